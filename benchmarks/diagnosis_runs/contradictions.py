"""What in one diagnosis cannot be true together, found without knowing any rule.

Causes are told apart by their identifiers and the titles that the diagnosis itself gives them; evidence that
speaks against a finding is a condition that the finding needs by its meaning alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from typing import Any

from cnnviz.diagnosis import Change, Diagnosis, Evidence

Check = Callable[[Evidence], bool]


def contradictions(diagnosis: Diagnosis, evidence: Evidence) -> list[str]:
    """A sentence for each; empty where there is none."""
    return [
        *_ruled_out_and_found(diagnosis),
        *_opposite_changes(diagnosis, evidence),
        *_named_as_reason_and_clear(diagnosis),
        *_empty_changes(diagnosis, evidence),
        *_spoken_against(diagnosis, evidence),
    ]


def _ruled_out_and_found(diagnosis: Diagnosis) -> Iterator[str]:
    titles = {checked.cause: checked.title for checked in diagnosis.checked}
    for finding in diagnosis.findings:
        # A sentence names what is out, and after its first colon why.
        heads = [sentence.removeprefix("Not this: ").split(":", 1)[0] for sentence in finding.ruled_out]
        for other in diagnosis.findings:
            names = {other.cause, titles.get(other.cause, other.cause), *_words(other.cause)}
            if other is not finding and any(_names(head, name) for head in heads for name in names):
                yield f"'{finding.cause}' rules out '{other.cause}', which is found too."


def _words(cause: str) -> Iterator[str]:
    """How sentences call a cause, beside its identifier and its title."""
    yield cause.replace("-", " ")
    yield from (words for words, causes in CALLED.items() if cause in causes)


def _names(head: str, name: str) -> bool:
    head, name = head.casefold(), name.casefold()
    return head == name or head.startswith(f"{name} ") or f" {name}" in head


def _opposite_changes(diagnosis: Diagnosis, evidence: Evidence) -> Iterator[str]:
    for first, second in combinations(diagnosis.findings, 2):
        for left, right in ((a, b) for a in first.changes[:1] for b in second.changes[:1]):
            moves = [_moves(change, evidence) for change in (left, right)]
            for field in sorted(moves[0].keys() & moves[1].keys()):
                if moves[0][field] * moves[1][field] < 0:
                    yield f"'{first.cause}' and '{second.cause}' move '{field}' in opposite directions."


def _moves(change: Change, evidence: Evidence) -> dict[str, int]:
    """1 for each recipe field whose number rises, −1 where it falls."""
    old = evidence.recipe.model_dump()
    numbers = {
        field: (old.get(field), new)
        for field, new in change.values.items()
        if _is_number(old.get(field)) and _is_number(new)
    }
    return {field: (new > before) - (new < before) for field, (before, new) in numbers.items()}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _named_as_reason_and_clear(diagnosis: Diagnosis) -> Iterator[str]:
    """A cause that is clear, and yet found or said to bring about what is found."""
    found = {finding.cause for finding in diagnosis.findings}
    for checked in diagnosis.checked:
        if checked.outcome == "clear" and checked.cause in found:
            yield f"'{checked.cause}' is found and clear."
    for first, second in combinations(diagnosis.findings, 2):
        if second.cause in first.explains and first.cause in second.explains:
            yield f"'{first.cause}' and '{second.cause}' follow from each other."


def _empty_changes(diagnosis: Diagnosis, evidence: Evidence) -> Iterator[str]:
    for finding in diagnosis.findings:
        for change in finding.changes:
            try:
                changed = change.recipe(evidence.recipe)
            except ValueError as error:
                yield f"A change for '{finding.cause}' cannot be made: {error}"
                continue
            if not evidence.recipe.difference(changed):
                yield f"A change for '{finding.cause}' changes nothing."


def _spoken_against(diagnosis: Diagnosis, evidence: Evidence) -> Iterator[str]:
    for finding in diagnosis.findings:
        check = NEEDED.get(finding.cause)
        if check is not None and not check(evidence):
            yield f"The evidence speaks against '{finding.cause}'."
        if any(not math.isfinite(fact.value) and fact.text[:1].isdigit() for fact in finding.facts):
            yield f"A fact of '{finding.cause}' is no number and is written as one."


def _gap(evidence: Evidence) -> bool:
    """Whether training images are known better than those held out, at some time, by accuracy or loss."""
    fitted, held = evidence.curve("train/epoch_accuracy"), evidence.held_out("accuracy")
    test = evidence.curve("test/accuracy")
    best = max(fitted.values, default=0.0)
    return any(best > (curve.last or 0.0) for curve in (held, test) if len(curve))


def _learned(evidence: Evidence) -> bool:
    """Whether it gets nearly every test image right."""
    return (evidence.curve("test/accuracy").last or 0.0) >= 0.97


def _has(evidence: Evidence, *types: str) -> bool:
    return any(word in layer.type for layer in evidence.layers for word in types)


def _ratio(evidence: Evidence) -> float:
    counts = [count for count in evidence.data.counts if count]
    return max(counts, default=1) / min(counts, default=1)


def _augmented(evidence: Evidence) -> bool:
    recipe = evidence.recipe
    jitter = recipe.colour_jitter or recipe.pca_jitter
    return bool(recipe.cutout or recipe.pad_crop or recipe.crop_from or jitter or recipe.flip != "none")


def _not_finite(evidence: Evidence) -> bool:
    losses = evidence.curves.get("train/loss")
    return evidence.nonfinite is not None or (
        losses is not None and not all(math.isfinite(value) for value in losses.values)
    )


CALLED: Mapping[str, frozenset[str]] = {
    "under-fitting": frozenset({"under-fitting"}),
    "over-fitting": frozenset({"over-fitting-data", "over-fitting-augmentation", "over-fitting-model"}),
    "learning rate": frozenset({"rate-too-high", "rate-too-low"}),
    "initial weights": frozenset({"initialisation"}),
    "shuffled labels": frozenset({"labels-shuffled"}),
    "labels shuffled": frozenset({"labels-shuffled"}),
    "unbalanced classes": frozenset({"classes-unbalanced"}),
    "the input": frozenset({"input-scale", "constant-input"}),
}
"""Words for causes in what a finding rules out."""

NEEDED: Mapping[str, Check] = {
    "batch-norm-unsettled": lambda e: _has(e, "BatchNorm", "Residual", "Inception"),
    "batch-too-large": lambda e: e.steps_per_epoch < 20,
    "batch-too-small": lambda e: e.recipe.batch_size < 16,
    "classes-missing": lambda e: 0 in e.data.counts,
    "classes-unbalanced": lambda e: _ratio(e) >= 1.5,
    "augmentation-too-strong": _augmented,
    "dropout": lambda e: _has(e, "Dropout"),
    "evaluation-mode": lambda e: bool(e.in_training_mode),
    "labels-noisy": lambda e: not _learned(e),
    "labels-shuffled": lambda e: not _learned(e),
    "non-finite": _not_finite,
    "over-fitting-augmentation": _gap,
    "over-fitting-data": _gap,
    "over-fitting-model": _gap,
    "schedule-ended": lambda e: e.recipe.schedule != "constant",
    "unstable-training": lambda e: e.recipe.epochs > 1,
    "weight-decay": lambda e: e.recipe.weight_decay > 0,
}
"""What a cause needs by the meaning of its name; a finding without it has the evidence against it."""
