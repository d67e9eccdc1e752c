"""Demos: questions answered without training, by running real code.

Every `Demo` of this module is listed automatically.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class DemoResult:
    """Result of a demo."""

    head: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    """Table of what was tried, and the result."""
    conclusion: str
    """One sentence, derived from the table."""
    message: str = ""
    """Error message of torch, verbatim; empty without an error."""


@dataclass(frozen=True)
class Demo:
    """A question with code that answers it. Only `run` imports torch."""

    name: str
    title: str
    question: str
    asked_by: str
    explanation: str
    """For students; paragraphs are separated by empty lines."""
    code: str
    """The essential code."""
    mended: str
    """The code without the error; empty if there is none to fix."""
    run: Callable[[], DemoResult]


@functools.cache
def list_demos() -> dict[str, Demo]:
    """Return all demos by name."""
    return {value.name: value for value in globals().values() if isinstance(value, Demo)}


# In-place dropout after ReLU.

WIDTH = 8


def _run_inplace_dropout() -> DemoResult:
    import torch

    lines, messages = [], []
    for name, make, training in _arrangements():
        torch.manual_seed(0)
        network = make().train(training)
        message = _backward(network)
        lines.append((name, "raises" if message else "runs"))
        messages.append(message)
    raised = sum(outcome == "raises" for _, outcome in lines)
    return DemoResult(
        head=("what stands where", "backward pass"),
        lines=tuple(lines),
        conclusion=(
            f"{raised} of {len(lines)} raise: those where training overwrites the output of an activation "
            "that needs it again."
        ),
        message=next(filter(None, messages), ""),
    )


def _backward(network: nn.Module) -> str:
    """Return torch's error message of a backward pass; empty if it succeeds."""
    import torch

    try:
        network(torch.randn(4, WIDTH)).sum().backward()
    except RuntimeError as error:
        return str(error)
    return ""


def _arrangements() -> list[tuple[str, Callable[[], nn.Module], bool]]:
    """Return name, network factory, and whether it is in training mode."""
    from torch import nn

    def full() -> nn.Module:
        return nn.Linear(WIDTH, WIDTH)

    def row(*middle: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
        return lambda: nn.Sequential(*(make() for make in (full, *middle, full)))

    def over() -> nn.Module:
        return nn.Dropout(0.5, inplace=True)

    def relu_over() -> nn.Module:
        return nn.ReLU(inplace=True)

    relu = nn.ReLU
    return [
        ("ReLU, Dropout(inplace=True)", row(relu, over), True),
        ("ReLU(inplace=True), Dropout(inplace=True)", row(relu_over, over), True),
        ("ReLU, Flatten, Dropout(inplace=True)", row(relu, nn.Flatten, over), True),
        ("Tanh, Dropout(inplace=True)", row(nn.Tanh, over), True),
        ("Sigmoid, Dropout(inplace=True)", row(nn.Sigmoid, over), True),
        ("ReLU, Dropout(inplace=True), evaluation mode", row(relu, over), False),
        ("GELU, Dropout(inplace=True)", row(nn.GELU, over), True),
        ("LeakyReLU, Dropout(inplace=True)", row(nn.LeakyReLU, over), True),
        ("Linear, Dropout(inplace=True)", row(over), True),
        ("Dropout(inplace=True), ReLU", row(over, relu), True),
        ("ReLU, Dropout", row(relu, nn.Dropout), True),
        ("ReLU(inplace=True), Dropout", row(relu_over, nn.Dropout), True),
    ]


INPLACE_DROPOUT = Demo(
    name="inplace-dropout",
    title="Why does Dropout(inplace=True) raise?",
    question="Why does Dropout(inplace=True) after ReLU raise an error about an inplace operation?",
    asked_by="an article on AlexNet for STL-10",
    explanation=(
        "To find gradients, autograd keeps what each operation will need on the way back. ReLU keeps its "
        "output y: its gradient passes where y > 0. Tanh keeps its output too (the derivative is 1 - y²), "
        "and so does the sigmoid (y·(1 - y)). GELU and LeakyReLU keep their input, a fully connected "
        "layer its input and weights.\n\n"
        "Every tensor carries a counter that each write to its memory raises, and autograd keeps the count "
        "beside the tensor. Dropout(inplace=True) writes zeros into y itself: the counter goes from 0 to 1. "
        "On the way back ReLU finds version 1 where it kept version 0, and torch stops, since it cannot know "
        "what was overwritten.\n\n"
        "So it raises only while training (in evaluation dropout writes nothing) and only after an "
        "operation that keeps its own output. After ReLU the gradient would even have been right, since "
        "dropout passes none where it wrote zeros; after tanh it would silently have been wrong. torch "
        "draws no such line, and refuses both.\n\n"
        "Inplace saves the memory of one activation. Take it from dropout and give it to ReLU, which may "
        "overwrite what a convolution has computed: a convolution keeps its input, not its output."
    ),
    code="nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Dropout(0.5, inplace=True), nn.Linear(8, 8))",
    mended="nn.Sequential(nn.Linear(8, 8), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Linear(8, 8))",
    run=_run_inplace_dropout,
)


# Layers without weights, counted from the modules themselves.


def _run_weightless() -> DemoResult:
    counts = [(name, _parameters(layer), _buffers(layer)) for name, layer in _layers()]
    without = [name for name, weights, _ in counts if weights == 0]
    return DemoResult(
        head=("layer", "weights to learn", "buffers"),
        lines=tuple((name, f"{weights:,}", f"{buffers:,}") for name, weights, buffers in counts),
        conclusion=f"{len(without)} of these {len(counts)} have nothing to initialize: {', '.join(without)}.",
    )


def _layers() -> list[tuple[str, nn.Module]]:
    from torch import nn

    return [
        ("Conv2d(96, 256, 5)", nn.Conv2d(96, 256, 5)),
        ("Linear(9216, 4096)", nn.Linear(9216, 4096)),
        ("BatchNorm2d(96)", nn.BatchNorm2d(96)),
        ("PReLU()", nn.PReLU()),
        ("MaxPool2d(3, 2)", nn.MaxPool2d(3, 2)),
        ("AvgPool2d(2)", nn.AvgPool2d(2)),
        ("AdaptiveAvgPool2d(1)", nn.AdaptiveAvgPool2d(1)),
        ("LocalResponseNorm(5)", nn.LocalResponseNorm(5)),
        ("ReLU()", nn.ReLU()),
        ("Tanh()", nn.Tanh()),
        ("Dropout(0.5)", nn.Dropout(0.5)),
        ("Flatten()", nn.Flatten()),
    ]


def _parameters(layer: nn.Module) -> int:
    return sum(parameter.numel() for parameter in layer.parameters())


def _buffers(layer: nn.Module) -> int:
    return sum(buffer.numel() for buffer in layer.buffers())


WEIGHTLESS = Demo(
    name="weightless",
    title="Do pooling and LRN have weights?",
    question="Do pooling and local response normalization have weights to initialize?",
    asked_by="an article on AlexNet for STL-10",
    explanation=(
        "A layer has weights where its formula has numbers that training is to find: a convolution's kernel, "
        "a fully connected layer's matrix, batch normalization's gain and shift.\n\n"
        "Max pooling takes the largest of a window and average pooling the mean: nothing to find. Local "
        "response normalization divides by (k + α/n·Σ a²)^β, and k, α, β and n are chosen by hand: they are "
        "settings, not weights. So there is nothing to initialize in either, and a loop that initializes "
        "every layer has to pass them by.\n\n"
        "Buffers are numbers that a layer keeps without learning them by gradient: batch normalization's "
        "running mean and variance, and a count of batches. LeNet-5 of 1998 is an exception to look at: its "
        "subsampling has a trainable gain and bias for each map."
    ),
    code="sum(parameter.numel() for parameter in nn.MaxPool2d(3, 2).parameters())",
    mended="",
    run=_run_weightless,
)
