"""Texts of a diagnosis report, for page and command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cnnviz.diagnosis.evidence.evidence import Evidence
from cnnviz.diagnosis.finding import Finding
from cnnviz.diagnosis.outcome import Outcome
from cnnviz.diagnosis.probes.registry import MISSING, probes


def describe_probes(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return title and result of each probe in `Evidence.probes`; of one that could not run, the reason."""
    available = probes()
    return [
        (
            available[name].title,
            str(result[MISSING]) if MISSING in result else available[name].describe(result),
        )
        for name, result in results.items()
        if name in available and result
    ]


# Names and symbols, the same on pages and on the command line.

SURENESS = ((0.95, "almost certain"), (0.8, "very likely"), (0.65, "likely"), (0.0, "possible"))


OUTCOMES: dict[Outcome, str] = {
    "healthy": "Healthy",
    "cause-found": "Cause found",
    "unexplained": "Not healthy, cause unknown",
    "not-judged": "Not judged: too little was recorded",
}
"""Title of each outcome."""

MARKS: dict[Outcome, str] = {"healthy": "✓", "cause-found": "!", "unexplained": "?", "not-judged": "–"}
"""Symbol of each outcome, shown beside its title."""

COMPARISONS = {
    "ended": "How it ended",
    "finite": "Loss is a number",
    "chance": "Chance level",
    "patch-classifier": "Classifier without training",
    "training-accuracy": "Training accuracy",
    "loss": "Training loss",
    "best-epoch": "Best epoch",
    "one-batch": "Overfit one batch",
    "inputs": "Answers depend on the input",
    "checkpoint": "Accuracy of the checkpoint",
}
"""Title of each comparison."""

SIGNS = {True: "✓", False: "✗", None: "–"}
"""Symbols for passed, failed and inconclusive."""


def sureness(confidence: float) -> str:
    """Return a confidence in [0, 1] in words."""
    return next(words for least, words in SURENESS if confidence >= least)


def where(finding: Finding) -> str:
    """Format the layers and steps of a finding: `conv1, fc1 · steps 1 to 40`; empty for neither."""
    parts = [_several(finding.layers)] if finding.layers else []
    if finding.steps is not None:
        first, last = finding.steps
        parts.append(f"step {first:,}" if first == last else f"steps {first:,} to {last:,}")
    return " · ".join(parts)


def status_text(evidence: Evidence) -> str:
    """Format a run's status: `finished after 200 steps`, `running, step 40 of 200`."""
    if evidence.status == "finished":
        return f"finished after {evidence.step:,} steps"
    of = f" of {evidence.total_steps:,}" if evidence.total_steps else ""
    return f"{evidence.status}, step {evidence.step:,}{of}" if evidence.step else evidence.status


def _several(layers: tuple[str, ...], most: int = 6) -> str:
    more = f" and {len(layers) - most} more" if len(layers) > most else ""
    return ", ".join(layers[:most]) + more
