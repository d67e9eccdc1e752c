"""Which layers have weights to initialise, counted from the modules themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnviz.experiments.demonstrating import Demonstration, Shown

if TYPE_CHECKING:
    from torch import nn


def _run() -> Shown:
    counts = [(name, _parameters(layer), _buffers(layer)) for name, layer in _layers()]
    without = [name for name, weights, _ in counts if weights == 0]
    return Shown(
        head=("layer", "weights to learn", "buffers"),
        lines=tuple((name, f"{weights:,}", f"{buffers:,}") for name, weights, buffers in counts),
        conclusion=f"{len(without)} of these {len(counts)} have nothing to initialise: {', '.join(without)}.",
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


DEMONSTRATION = Demonstration(
    name="weightless",
    title="Do pooling and LRN have weights?",
    question="Do pooling and local response normalisation have weights to initialise?",
    asked_by="an article on AlexNet for STL-10",
    explanation=(
        "A layer has weights where its formula has numbers that training is to find: a convolution's kernel, "
        "a fully connected layer's matrix, batch normalisation's gain and shift.\n\n"
        "Max pooling takes the largest of a window and average pooling the mean: nothing to find. Local "
        "response normalisation divides by (k + α/n·Σ a²)^β, and k, α, β and n are chosen by hand: they are "
        "settings, not weights. So there is nothing to initialise in either, and a loop that initialises "
        "every layer has to pass them by.\n\n"
        "Buffers are numbers that a layer keeps without learning them by gradient: batch normalisation's "
        "running mean and variance, and a count of batches. LeNet-5 of 1998 is an exception to look at: its "
        "subsampling has a trainable gain and bias for each map."
    ),
    code="sum(parameter.numel() for parameter in nn.MaxPool2d(3, 2).parameters())",
    mended="",
    run=_run,
)
