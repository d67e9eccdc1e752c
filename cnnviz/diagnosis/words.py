"""How a diagnosis is told, on a page as on the command line."""

from __future__ import annotations

from cnnviz.diagnosis.evidence import Evidence
from cnnviz.diagnosis.finding import Finding
from cnnviz.diagnosis.judge import Diagnosis

SURENESS = ((0.95, "almost certain"), (0.8, "very likely"), (0.65, "likely"), (0.0, "possible"))


def sureness(confidence: float) -> str:
    """A confidence in [0, 1] in words."""
    return next(words for least, words in SURENESS if confidence >= least)


def nothing_to_judge(evidence: Evidence, diagnosis: Diagnosis) -> bool:
    """Whether a run told too little for its recipe's being sound to mean anything, and nothing was found."""
    told = evidence.looks or any(len(points) for points in evidence.curves.values())
    return not told and not diagnosis.findings


def where(finding: Finding) -> str:
    """Layers and steps that a finding is about: `conv1, fc1 · steps 1 to 40`; empty for neither."""
    said = [_several(finding.layers)] if finding.layers else []
    if finding.steps is not None:
        first, last = finding.steps
        said.append(f"step {first:,}" if first == last else f"steps {first:,} to {last:,}")
    return " · ".join(said)


def state(evidence: Evidence) -> str:
    """How far a run is: `finished after 200 steps`, `running, step 40 of 200`."""
    if evidence.status == "finished":
        return f"finished after {evidence.step:,} steps"
    of = f" of {evidence.total_steps:,}" if evidence.total_steps else ""
    return f"{evidence.status}, step {evidence.step:,}{of}" if evidence.step else evidence.status


def _several(layers: tuple[str, ...], most: int = 6) -> str:
    more = f" and {len(layers) - most} more" if len(layers) > most else ""
    return ", ".join(layers[:most]) + more
