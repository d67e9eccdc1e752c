"""Loss of a forward pass in a watched loop: what is kept of it, and what its input and target tell.

A loss is told to be of a forward pass where its input derives from that pass's output.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cnnviz.watching.loss_functions import LossCall

NO_CLASS = -1
"""Label of images whose target is no class."""
GRAPH_DEPTH = 8
"""Operations between a forward pass's output and a loss's input, at most."""
VIEWS = 4
"""Views between an activation and the tensor that is looked at, at most."""
VIEW_NODES = frozenset(
    ("Squeeze", "Unsqueeze", "View", "UnsafeView", "ReshapeAlias", "Select", "Slice", "T", "Transpose")
)
ACTIVATION_NODES = {
    "Sigmoid": "sigmoid", "Softmax": "softmax", "Relu": "relu", "Tanh": "tanh", "Hardtanh": "hardtanh",
    "Hardsigmoid": "hardsigmoid",
}  # fmt: skip
"""Activations by their node's name; `Hardtanh` is ReLU6 too."""
SUM_NODES = ("Addmm", "Mm", "Bmm", "Baddbmm", "Convolution")
LINEAR = "linear"
"""In place of an activation: the tensor is a layer's sums."""
BINARY_LOSSES = ("binary_cross_entropy", "binary_cross_entropy_with_logits")


@dataclass(slots=True)
class Forward:
    """A forward pass whose output may still get a gradient."""

    logits: Tensor
    in_evaluation: bool
    partly: bool
    """Whether some of the mode-dependent layers are in evaluation mode."""
    backward: bool = False
    has_loss: bool = False
    source: int = 0
    """The input's `id`."""
    labels: Tensor | None = None
    inputs: Tensor | None = None
    """In sampled steps, the input where it is a single tensor."""
    images: Tensor | None = None
    """The input, while pixels of more images are to be kept."""
    marks: Tensor | None = None
    """Marks of the images, `ImageSample.marks`."""


class StepLoss(NamedTuple):
    """Loss and predictions of one forward pass, on the device: fetched for many steps at once."""

    loss: Tensor
    """As the loss function returned it, detached."""
    reduction: str
    output: Tensor
    """Predicted classes `(N,)`, or the logits `(N, C)` that they are computed from when they are fetched."""
    labels: Tensor
    """Class indices `(N,)`."""
    ignored: int | None
    """Label of images that do not count."""
    versions: tuple[tuple[Tensor, int], ...]
    """The loop's own tensors with their version counters, which an in-place operation increments."""
    marks: Tensor | None = None
    """Marks of the images, `ImageSample.marks`."""
    binary: bool = False
    """Whether the network has one output, for two classes."""

    @property
    def is_overwritten(self) -> bool:
        """Whether the loop has written over its loss or its logits since (`loss /= 4`)."""
        return any(tensor._version != version for tensor, version in self.versions)

    @property
    def predicted(self) -> Tensor:
        """Predicted classes `(N,)`."""
        return self.output if self.output.dim() == 1 else self.output.argmax(1)


def are_no_answers(logits: Tensor, output: Tensor) -> bool:
    """Return whether a loss compares outputs with each other: its rows and columns are not theirs."""
    return len(logits) != len(output) and logits.shape[1] != output.shape[1]


def has_other_labels(call: LossCall, forward: Forward) -> bool:
    """Return whether a further loss of an output takes other labels, as mixup and CutMix do."""
    if forward.labels is None:
        return False
    if is_binary(call, forward.logits):
        return not torch.equal(binary_labels(call.target), forward.labels)
    plain = call.function in ("cross_entropy", "nll_loss") and call.target.dim() == 1
    return plain and not torch.equal(call.target, forward.labels)


def class_indices(target: Tensor, logits: Tensor) -> Tensor | None:
    """Return class indices `(N,)` of a target: as given, or the argmax of class probabilities.

    All are -1, without a wait for the device, where a row has no single largest value: such targets (several
    labels an image, ordinal ones) are no classes.
    """
    if target.dim() == 1 and not target.is_floating_point():
        return target
    if target.dim() == 2 and target.shape == logits.shape and target.shape[1] > 1:
        values, classes = target.topk(2, 1)
        return torch.where((values[:, 0] > values[:, 1]).all(), classes[:, 0], NO_CLASS)
    return None


def comes_from(loss_input: Tensor, logits: Tensor) -> bool:
    """Return whether a loss's input derives from this output: itself, its storage, or a few operations on."""
    if loss_input is logits or loss_input.data_ptr() == logits.data_ptr():
        return True
    output_node = logits.grad_fn
    if output_node is None:
        return False
    nodes = [loss_input.grad_fn] if loss_input.grad_fn is not None else []
    for _ in range(GRAPH_DEPTH):
        if any(node is output_node for node in nodes):
            return True
        nodes = [successor for node in nodes for successor, _ in node.next_functions if successor is not None]
    # No graph but the same shape: a detached or copied output.
    return loss_input.grad_fn is None and loss_input.shape == logits.shape


# One output: two classes by binary cross-entropy.


def has_one_output(output: Tensor) -> bool:
    """Return whether an output is one value an image, `(N,)` or `(N, 1)`."""
    return output.dim() in (1, 2) and output.numel() == len(output) > 0


def is_binary(call: LossCall, output: Tensor) -> bool:
    """Return whether a loss is a binary cross-entropy of a network's one output."""
    is_single = call.function in BINARY_LOSSES and has_one_output(output)
    return is_single and call.target.numel() == len(output)


def outputs_probability(call: LossCall, output: Tensor) -> bool:
    """Return whether a network's one output, of which a binary cross-entropy is taken, is a probability."""
    if call.function == "binary_cross_entropy" and call.input.data_ptr() == output.data_ptr():
        return True
    return is_probability(output)


def have_same_shape(first: Tensor, second: Tensor) -> bool:
    """Return whether two outputs have one shape, or one value an image each."""
    if first.shape == second.shape:
        return True
    return has_one_output(first) and has_one_output(second) and len(first) == len(second)


def activation_of(tensor: Tensor) -> str:
    """Return the activation that a tensor, or what it is a view of, is the result of.

    It is `linear` for a layer's sums, empty for another operation: by the name
    of its node in the graph, as `SigmoidBackward0`.
    """
    node = tensor.grad_fn
    for _ in range(VIEWS):
        if node is None:
            break
        name = node.name().partition("Backward")[0]
        if name not in VIEW_NODES:
            return LINEAR if name in SUM_NODES else ACTIVATION_NODES.get(name, "")
        node = node.next_functions[0][0] if node.next_functions else None
    return ""


def is_probability(output: Tensor) -> bool:
    """Return whether a tensor is the result of a sigmoid, or a view of it."""
    return activation_of(output) == "sigmoid"


def two_class_logits(output: Tensor, probability: bool) -> Tensor:
    """Return logits `(N, 2)` of one output: `[0, z]`, or the logarithms of `[1 - p, p]`."""
    values = output.reshape(-1).float()
    if not probability:
        return torch.stack((torch.zeros_like(values), values), 1)
    smallest = torch.finfo(values.dtype).tiny
    return torch.stack((1 - values, values), 1).clamp(min=smallest).log()


def binary_labels(target: Tensor) -> Tensor:
    """Return class indices `(N,)` of the targets of one output, `(N,)` or `(N, 1)`; smoothed ones too.

    All are -1, without a wait for the device, where a batch has more than one value on either side of a half
    (mixed or probable labels), or targets of a half.
    """
    values = target.reshape(-1)
    if not values.is_floating_point():
        values = values.float()
    low, high = values.min(), values.max()
    two = ((values == low) | (values == high)).all() & ((low == high) | ((low < 0.5) & (high > 0.5)))
    return torch.where(two & (low != 0.5) & (low >= 0) & (high <= 1), (values > 0.5).long(), NO_CLASS)


def mask_discriminator_labels(
    passes: Sequence[tuple[int, StepLoss]], labels: Sequence[NDArray[np.int64]]
) -> list[NDArray[np.int64]]:
    """Return the labels of passes, -1 in steps of several passes that have one of two classes each.

    The discriminator of a generative adversarial network meets genuine images in one pass, generated ones in
    another, and generated ones that are called genuine in a third: no classes to be learned.

    Args:
        passes: Each with the number of its step, in order.
        labels: Class indices `(N,)` of each.
    """
    masked: list[NDArray[np.int64]] = []
    for _, step in itertools.groupby(zip(passes, labels, strict=True), key=lambda entry: entry[0][0]):
        of_step = [batch for _, batch in step]
        has_one_class_each = len(of_step) > 1 and all(len(np.unique(batch)) == 1 for batch in of_step)
        masked += [np.full_like(batch, NO_CLASS) for batch in of_step] if has_one_class_each else of_step
    return masked
