"""Loss of a forward pass in a watched loop: what is kept of it, and what its input and target tell.

A loss is told to be of a forward pass where its input derives from that pass's output.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from cnnviz.watching.loss_functions import LossCall

NO_CLASS = -1
"""Label of images whose target is no class."""
GRAPH_DEPTH = 8
"""Operations between a forward pass's output and a loss's input, at most."""


@dataclass(slots=True)
class Forward:
    """A forward pass whose output may still get a gradient."""

    logits: Tensor
    in_evaluation: bool
    partly: bool
    """Whether some of the mode-dependent layers are in evaluation mode."""
    backward: bool = False
    has_loss: bool = False
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
    plain = call.function in ("cross_entropy", "nll_loss") and call.target.dim() == 1
    return plain and forward.labels is not None and not torch.equal(call.target, forward.labels)


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
