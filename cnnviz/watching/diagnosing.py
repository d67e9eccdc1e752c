"""Diagnosis of a watched network in the user's process: probes of copies with its weights, and the report.

The copies have its first and its current weights. The loop is not affected: weights, gradients, modes and
random states stay as they are, and hooks on the copies are silent (`LoopMonitor.paused`). A watched run
stores no images but part of one batch, so only probes of the network run. The report is formatted for a
terminal or a notebook.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import Any, cast

import torch
from torch import Tensor, nn

from cnnviz.diagnosis import Diagnosis, Finding, Outcome
from cnnviz.diagnosis.evidence import Evidence
from cnnviz.diagnosis.probes import MISSING, probes
from cnnviz.diagnosis.probes.context import ProbeContext
from cnnviz.diagnosis.rules import rules
from cnnviz.sentences import percent
from cnnviz.training.data import DataModule, Labelled
from cnnviz.training.data.transforms import Transform
from cnnviz.watching.recording import as_logits
from cnnviz.watching.step_loss import has_one_output, two_class_logits

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
        self.probability: bool | None = None
        """Whether the network's one output is a probability and no logit; None where it has no one output."""

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
            if inputs.probability is not None:
                for network in (current, fresh):
                    network.register_forward_hook(partial(_two_class_logits, probability=inputs.probability))
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


def _two_class_logits(_network: nn.Module, _inputs: Any, output: Any, *, probability: bool) -> Any:
    """Replace one output for two classes by the logits `(N, 2)` that probes expect."""
    logits = as_logits(output)
    if logits is None or not has_one_output(logits):
        return output
    return two_class_logits(logits, probability)


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


@dataclass(frozen=True, repr=False)
class Report:
    """Diagnosis with `outcome`, `verdict` and `findings`, each with `cause`, `confidence` and `fix`."""

    diagnosis: Diagnosis
    probes: tuple[tuple[str, str], ...] = ()
    """Title and result of each probe that was run."""

    @property
    def outcome(self) -> Outcome:
        """`healthy`, `cause-found`, `unexplained` or `not-judged`."""
        return self.diagnosis.outcome

    @property
    def healthy(self) -> bool | None:
        """True or False; None where too little is known."""
        return {"healthy": True, "not-judged": None}.get(self.outcome, False)

    @property
    def verdict(self) -> str:
        """One self-contained sentence."""
        return self.diagnosis.verdict

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Findings, by descending rank."""
        return self.diagnosis.findings

    @property
    def causes(self) -> tuple[str, ...]:
        """Cause identifiers of the findings."""
        return tuple(finding.cause for finding in self.findings)

    @property
    def root_causes(self) -> tuple[str, ...]:
        """Those of `causes` that follow from no other finding."""
        return tuple(f.cause for f in self.findings if self.diagnosis.explained_by(f) is None)

    @property
    def missing(self) -> tuple[str, ...]:
        """What is not known, and how to provide it."""
        return self.diagnosis.missing

    def __str__(self) -> str:
        lines = [f"{self.outcome}: {self.verdict}"]
        for number, finding in enumerate(self.findings, 1):
            title = rules()[finding.cause].title
            lines.append(f"{number}. {title} ({finding.cause}, {percent(finding.confidence)} sure)")
            lines.append(f"   {finding.verdict}")
            if root := self.diagnosis.explained_by(finding):
                lines.append(
                    f"   It follows from {self.findings.index(root) + 1}, which is to be fixed first."
                )
            if finding.fix is not None:
                lines.append(f"   Fix: {finding.fix.text}")
                lines += [f"       {line}" for line in finding.fix.code.splitlines()]
        lines += [f"Check: {title}. {result}" for title, result in self.probes]
        lines += [f"Missing: {item}" for item in self.missing]
        lines += [f"Note: {item.text}" for item in self.diagnosis.notes]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        parts = [f"<p><b>{escape(self.outcome)}</b>: {escape(self.verdict)}</p>"]
        for finding in self.findings:
            title = escape(rules()[finding.cause].title)
            text = (
                f"<h4>{title} <small>{escape(finding.cause)}, {percent(finding.confidence)} sure</small></h4>"
            )
            text += f"<p>{escape(finding.verdict)}</p>"
            if root := self.diagnosis.explained_by(finding):
                title = escape(rules()[root.cause].title)
                text += f"<p>It follows from “{title}”, which is to be fixed first.</p>"
            if finding.fix is not None:
                text += f"<p><b>Fix:</b> {escape(finding.fix.text)}</p>"
                text += f"<pre>{escape(finding.fix.code)}</pre>" if finding.fix.code else ""
            parts.append(text)
        parts += [f"<p>{escape(title)}: {escape(result)}</p>" for title, result in self.probes]
        parts += [f"<p>Missing: {escape(item)}</p>" for item in self.missing]
        return "".join(parts)
