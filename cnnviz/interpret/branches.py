"""Branches of inception blocks: their maps, cost, ablation and activity by class; auxiliary classifiers."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cnnviz.analysis.types import Analysis
from cnnviz.datasets.spec import Progress, silent
from cnnviz.interpret import InterpretError, UnknownLayerError
from cnnviz.interpret.cache import Batches, Stop, iterate_batches, never_stop
from cnnviz.interpret.hooks import activations, record_layers, reduce_activations, shared_copy
from cnnviz.interpret.layer_names import unknown
from cnnviz.interpret.mosaic import Floats
from cnnviz.models.modules import Inception, NaiveInception

BRANCHES: dict[str, tuple[str, ...]] = {
    "cnnviz": ("branch1", "branch3", "branch5", "branch_pool"),
    "torchvision": ("branch1", "branch2", "branch3", "branch4"),
}
TITLES = ("1×1", "3×3", "5×5", "pool")


@dataclass(frozen=True, slots=True)
class Branch:
    """One branch of an inception block."""

    name: str
    """Path of its module, which is a layer name."""
    title: str
    """`1×1`, `3×3`, `5×5` or `pool`, by position in the paper's figure."""
    kernel: int
    """Kernel size of its last convolution: torchvision has 3 where the paper has 5; 0 for a branch that only
    pools.
    """
    first: int
    """Index of the branch's first channel in the block's output."""
    channels: int
    params: int
    macs: int


@dataclass(frozen=True, slots=True)
class Block:
    """An inception block and its four branches, in the order of their channels."""

    name: str
    channels: int
    branches: tuple[Branch, ...]

    def branch_of(self, channel: int) -> Branch:
        """Return the branch that a channel of the block's output comes from."""
        return next(b for b in self.branches if b.first <= channel < b.first + b.channels)


def blocks(model: nn.Module, analysis: Analysis) -> tuple[Block, ...]:
    """Find the inception blocks of our models and of torchvision's GoogLeNet, in order; else none.

    `analysis` is the model's own, at the input size that it is used with.
    """
    return tuple(_block(name, module, analysis) for name, module in _inception_modules(model))


def _inception_modules(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    kinds: tuple[type[nn.Module], ...] = (Inception, NaiveInception)
    # Not imported, or still being imported by another thread: no module can be one of its type.
    googlenet = getattr(sys.modules.get("torchvision.models.googlenet"), "Inception", None)
    if googlenet is not None:
        kinds += (googlenet,)
    for name, module in model.named_modules():
        if isinstance(module, kinds):
            yield name, module


def _branch_names(module: nn.Module) -> tuple[str, ...]:
    ours = isinstance(module, Inception | NaiveInception)
    return BRANCHES["cnnviz" if ours else "torchvision"]


def _block(name: str, module: nn.Module, analysis: Analysis) -> Block:
    first, branches = 0, []
    for part, title in zip(_branch_names(module), TITLES, strict=True):
        path = f"{name}.{part}"
        rows = [row for row in analysis.rows if row.name == path or row.name.startswith(f"{path}.")]
        # The last row gives the branch's output, also where the branch itself computes something.
        channels = rows[-1].output_shape[0]
        params, macs = sum(row.params for row in rows), sum(row.macs for row in rows)
        kernel = _last_kernel(module.get_submodule(part))
        branches.append(Branch(path, title, kernel, first, channels, params, macs))
        first += channels
    return Block(name, first, tuple(branches))


def _last_kernel(branch: nn.Module) -> int:
    kernels = [part.kernel_size[0] for part in branch.modules() if isinstance(part, nn.Conv2d)]
    return kernels[-1] if kernels else 0


@dataclass(frozen=True)
class BranchActivations:
    """Activations of one branch for an image."""

    branch: Branch
    maps: Floats
    """`(C, H, W)`: the branch's channels of the concatenation."""
    activity: float
    """Mean absolute activation."""
    share: float
    """Fraction of the block's summed absolute activation, from 0 to 1."""
    zeros: float
    """Sparsity: fraction of its values that are exactly 0."""


@dataclass(frozen=True)
class BlockActivations:
    """Activations of an inception block for an image."""

    block: Block
    input: Floats
    """`(C, H, W)`: the input of all branches."""
    output: Floats
    """`(C, H, W)`: the branches' maps, concatenated."""
    branches: tuple[BranchActivations, ...]


def record_block(model: nn.Module, image: Tensor, block: Block) -> BlockActivations:
    """Record the input, the branches' maps and the output of a block for one image `(1, C, H, W)`."""
    recorded = record_layers(model, image, [block.name, *(branch.name for branch in block.branches)])
    output: Floats = recorded[block.name].output[0].cpu().numpy()
    magnitude = float(np.abs(output).sum()) or 1.0
    branch_activations = []
    for branch in block.branches:
        maps: Floats = recorded[branch.name].output[0].cpu().numpy()
        magnitudes = np.abs(maps)
        branch_activations.append(
            BranchActivations(
                branch,
                maps,
                float(magnitudes.mean()),
                float(magnitudes.sum()) / magnitude,
                float((maps == 0).mean()),
            )
        )
    return BlockActivations(
        block, recorded[block.name].inputs[0][0].cpu().numpy(), output, tuple(branch_activations)
    )


def ablate_branches(model: nn.Module, images: Tensor, branches: Collection[str]) -> Tensor:
    """Compute the logits `(N, classes)` with the outputs of these modules set to zero (ablation).

    With no `branches` these are the model's plain logits.

    Raises:
        UnknownLayerError: For a module that does not exist.
    """
    copied = shared_copy(model)
    modules = dict(copied.named_modules())
    for name in branches:
        if name not in modules:
            raise unknown(name, modules)
        modules[name].register_forward_hook(_zeroed)
    with torch.no_grad():
        logits: Tensor = copied(images)
    return logits


def _zeroed(module: nn.Module, args: Any, out: Tensor) -> Tensor:
    return torch.zeros_like(out)


def activity_by_class(
    model: nn.Module,
    blocks: tuple[Block, ...],
    batches: Batches,
    classes: int,
    total: int | None = None,
    progress: Progress = silent,
    stop: Stop = never_stop,
) -> NDArray[np.float64]:
    """Compute each branch's mean absolute activation by class.

    Goes through `batches` once.

    Returns:
        `(blocks, 4, classes)`; NaN for a class without images.

    Raises:
        StoppedError: When stopped.
        InterpretError: For no blocks, no images, or labels beyond `classes`.
    """
    names = [branch.name for block in blocks for branch in block.branches]
    if not names:
        raise InterpretError("The model has no inception blocks.")
    sums = torch.zeros(len(names), classes, dtype=torch.float64)
    counts = torch.zeros(classes, dtype=torch.float64)
    for images, labels in iterate_batches(batches, total, "activity", progress, stop):
        if len(labels) and int(labels.max()) >= classes:
            raise InterpretError(f"A label is {int(labels.max())}, but there are {classes} classes.")
        means = reduce_activations(
            model, images, names, lambda _, values: values.abs().flatten(1).mean(1).double().cpu()
        )
        for row, name in enumerate(names):
            sums[row].index_add_(0, labels.cpu(), means[name])
        counts += torch.bincount(labels.cpu(), minlength=classes)
    with np.errstate(invalid="ignore"):
        mean: NDArray[np.float64] = sums.numpy() / counts.numpy()
    return mean.reshape(len(blocks), -1, classes)


def find_block(blocks: tuple[Block, ...], name: str) -> Block:
    """Return the block called `name`; raises `UnknownLayerError`."""
    for block in blocks:
        if block.name == name:
            return block
    if not blocks:
        raise UnknownLayerError("The model has no inception blocks.")
    raise unknown(name, [block.name for block in blocks])


# Auxiliary classifiers, which inference leaves out.


@dataclass(frozen=True)
class ClassifierOutput:
    """Class probabilities of one classifier of the network."""

    name: str
    """Module path of the auxiliary classifier; empty for the main classifier."""
    after: str
    """Block whose output the classifier reads; empty for the main classifier."""
    probabilities: Floats
    """`(N, classes)`."""


def auxiliary_heads(model: nn.Module) -> dict[str, str]:
    """Return the auxiliary classifiers: module path → the block whose output it reads."""
    own = getattr(model, "head_names", None)
    if isinstance(own, dict):
        return {head: block for block, head in own.items()}
    torchvision_heads = {"aux1": "inception4a", "aux2": "inception4d"}
    modules = dict(model.named_modules())
    return {head: block for head, block in torchvision_heads.items() if head in modules and block in modules}


def classifier_outputs(model: nn.Module, images: Tensor) -> tuple[ClassifierOutput, ...]:
    """Compute the probabilities of the auxiliary classifiers, in order of depth, then of the main one.

    Inference does not run the auxiliary classifiers; here each is called on the recorded output of its block.
    """
    heads = auxiliary_heads(model)
    recorded = activations(model, images, ["", *heads.values()])
    copied = shared_copy(model)
    outputs = []
    with torch.no_grad():
        for head, block in heads.items():
            logits = copied.get_submodule(head)(recorded[block])
            outputs.append(ClassifierOutput(head, block, torch.softmax(logits, dim=1).cpu().numpy()))
    return (*outputs, ClassifierOutput("", "", torch.softmax(recorded[""], dim=1).cpu().numpy()))
