"""Consistency of the findings of one diagnosis: no two of them contradict each other.

Rules do not know of each other, so that what one rules out another may find, and what one turns up another
may turn down. This settles it for all of them alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cnnviz.diagnosis.excluded import OVER_FITTING, excludes
from cnnviz.diagnosis.finding import Change, Finding
from cnnviz.training.recipe import Recipe

EXCLUSIVE: tuple[tuple[frozenset[str], frozenset[str]], ...] = (
    (frozenset(("rate-too-high",)), frozenset(("rate-too-low",))),
    (frozenset(("batch-too-small",)), frozenset(("batch-too-large",))),
    (frozenset(("under-fitting",)), frozenset(OVER_FITTING)),
)
"""Causes of which a run can have one side only."""


def consistent(findings: Sequence[Finding], recipe: Recipe) -> tuple[list[Finding], Mapping[str, Finding]]:
    """Make findings, which come in order, agree with each other.

    Returns:
        The findings that stay, without sentences that rule out what is found too, without changes that undo
        what an earlier finding changes, and without two that explain each other; and the finding that stays
        in place of each cause that went.
    """
    kept, gone = _compatible(findings)
    found = {finding.cause for finding in kept}
    made: list[Finding] = []
    moved: dict[str, set[int]] = {}
    for finding in kept:
        changes = tuple(change for change in finding.changes if not _opposes(change, recipe, moved))
        for change in changes:
            for field, direction in _directions(change, recipe).items():
                moved.setdefault(field, set()).add(direction)
        earlier = {one.cause for one in made if finding.cause in one.explains}
        made.append(
            replace(
                finding,
                changes=changes,
                ruled_out=tuple(one for one in finding.ruled_out if not found & {*excludes(one)}),
                explains=tuple(cause for cause in finding.explains if cause not in earlier),
            )
        )
    return made, gone


def _compatible(findings: Sequence[Finding]) -> tuple[list[Finding], dict[str, Finding]]:
    """Of two that exclude each other, the more confident stays; of equals, the first."""
    gone: dict[str, Finding] = {}
    for finding in sorted(findings, key=lambda one: -one.confidence):
        against = [
            other
            for other in findings
            if other.cause not in gone and other is not finding and _excludes(finding.cause, other.cause)
        ]
        if finding.cause not in gone:
            gone |= {other.cause: finding for other in against}
    return [finding for finding in findings if finding.cause not in gone], gone


def _excludes(one: str, other: str) -> bool:
    return any((one in a and other in b) or (one in b and other in a) for a, b in EXCLUSIVE)


def _opposes(change: Change, recipe: Recipe, moved: Mapping[str, set[int]]) -> bool:
    moves = _directions(change, recipe)
    return any(-direction in moved.get(field, ()) for field, direction in moves.items())


def _directions(change: Change, recipe: Recipe) -> dict[str, int]:
    """1 for each number of the recipe, or of its model's options, that a change raises, -1 where it falls."""
    old, new = recipe.model_dump(), dict(change.values)
    pairs = {field: (old.get(field), value) for field, value in new.items()}
    if isinstance(options := new.get("options"), Mapping):
        pairs |= {f"options.{name}": (recipe.options.get(name), value) for name, value in options.items()}
    return {
        field: 1 if value > before else -1
        for field, (before, value) in pairs.items()
        if _is_number(before) and _is_number(value) and value != before
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
