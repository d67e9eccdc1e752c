"""Probes of a watched network in the user's process, on copies with its first and its current weights.

The loop is not affected: weights, gradients, modes and random states stay as they are, and hooks on the
copies are silent (`LoopMonitor.paused`). A watched run stores no images but part of one batch, so only probes
of the network run.
"""

from __future__ import annotations

import copy
from typing import Any, cast

import torch
from torch import Tensor, nn

from cnnviz.diagnosis.evidence.evidence import Evidence
from cnnviz.diagnosis.probes.context import ProbeContext
from cnnviz.diagnosis.probes.registry import MISSING, probes
from cnnviz.training.data.tensors import DataModule, Labelled
from cnnviz.training.data.transforms import Transform

PROBES = ("initial-loss", "gradient-flow", "overfit-batch")
"""The probes that need only a network and a batch."""
MAX_IMAGES = 64
MAX_BATCH_BYTES, MAX_WEIGHT_BYTES = 16 << 20, 64 << 20
"""Most bytes of the batch and of the first weights that are stored for probes."""
_FIRST = "The network takes more than 64 MiB, so its first weights were not kept for a copy to begin with."
_BATCH = (
    "No batch was seen that can be given to a copy: one tensor of images, and class numbers in "
    "torch.nn.functional.cross_entropy or run.step(loss, logits, labels)."
)
_OPTIMIZER = "The optimizer is of a kind that cannot be made anew here: SGD, Adam, AdamW and RMSprop can."


class ProbeInputs:
    """What probes need and a loop does not store: the network's first weights, and part of one batch."""

    def __init__(self, model: nn.Module) -> None:
        state = model.state_dict()
        size = sum(tensor.nbytes for tensor in state.values())
        self.first = (
            {name: tensor.detach().to("cpu", copy=True) for name, tensor in state.items()}
            if size <= MAX_WEIGHT_BYTES
            else None
        )
        self.batch: tuple[Tensor, Tensor] | None = None

    def keep(self, images: Tensor, labels: Tensor) -> None:
        """Store the first images and labels of a batch, within the limits."""
        largest = MAX_BATCH_BYTES // max(1, images[:1].nbytes)
        count = min(MAX_IMAGES, len(images), len(labels), largest)
        if count >= 2:
            self.batch = images[:count].detach().clone(), labels[:count].detach().long().clone()


def run_probes(model: nn.Module, inputs: ProbeInputs, evidence: Evidence, macs: int) -> Evidence:
    """Return the evidence with the results of the probes; of one that cannot run, the reason.

    Args:
        model: The user's network, which is copied and not changed.
        inputs: Its first weights and a batch.
        evidence: Evidence of the run.
        macs: Multiply-adds of one image, 0 where unknown.
    """
    if inputs.first is None or inputs.batch is None:
        reason = _FIRST if inputs.first is None else _BATCH
        return evidence.model_copy(update={"probes": {name: {MISSING: reason} for name in PROBES}})
    images, labels = inputs.batch
    devices = [images.device] if images.is_cuda else []
    with torch.random.fork_rng(devices), torch.inference_mode(False), torch.enable_grad():
        try:
            current, fresh = copy.deepcopy(model), copy.deepcopy(model)
            fresh.load_state_dict(inputs.first)
        except Exception as error:
            reason = _reason("It cannot be copied", error)
            results: dict[str, Any] = {name: {MISSING: reason} for name in PROBES}
        else:
            subject = _context(evidence, (images, labels), (current, fresh), macs)
            results = {name: _run_probe(name, subject) for name in PROBES}
    return evidence.model_copy(update={"probes": results})


def _context(
    evidence: Evidence, batch: tuple[Tensor, Tensor], networks: tuple[nn.Module, nn.Module], macs: int
) -> ProbeContext:
    images, labels = batch
    current, fresh = networks
    for network in networks:
        network.zero_grad(set_to_none=True)
    nothing = Labelled(images[:0], labels[:0])
    return ProbeContext(
        evidence=evidence,
        recipe=evidence.recipe,
        data_module=DataModule(Labelled(images, labels), nothing, nothing, evidence.data.classes, ""),
        transform=cast(Transform, _Identity()),
        device=images.device,
        trained=current.eval(),
        why_untrained="",
        step=evidence.step,
        macs=max(macs, sum(p.numel() for p in fresh.parameters())),
        _fresh=fresh,
    )


class _Identity:
    """Identity transform, for images that a loop has preprocessed already."""

    def test(self, images: Tensor) -> Tensor:
        """Return the images unchanged."""
        return images


def _run_probe(name: str, context: ProbeContext) -> dict[str, Any]:
    if name == "overfit-batch" and {"optimiser", "lr"} & set(context.evidence.unknown):
        return {MISSING: _OPTIMIZER}
    try:
        return probes()[name].ask(context)
    except Exception as error:  # the user's network may raise anything
        return {MISSING: _reason("A copy of the network failed in it", error)}


def _reason(problem: str, error: Exception) -> str:
    line = next(iter(str(error).strip().splitlines()), "").rstrip(".")
    return f"{problem}: {type(error).__name__}{f': {line}' if line else ''}."
