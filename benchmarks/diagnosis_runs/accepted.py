"""Second names: for each cause that is planted, what may be said first because it is its mechanism.

Written down before the rules of issue 11 were touched and before a run of the new blind parts was diagnosed.
"""

from __future__ import annotations

from collections.abc import Iterable

UNEXPLAINED = "unexplained"
"""Planted where no rule is meant to know the cause: the outcome of that name is right."""

MECHANISMS: dict[str, frozenset[str]] = {
    "augmentation-too-strong": frozenset({"constant-input", "under-fitting"}),
    "batch-norm-unsettled": frozenset({"evaluation-mode", "too-few-steps"}),
    "batch-too-large": frozenset({"too-few-steps", "rate-too-low"}),
    "batch-too-small": frozenset({"rate-too-high", "unstable-training"}),
    "classes-missing": frozenset({"split-mismatch", "classes-unbalanced"}),
    "classes-unbalanced": frozenset({"classes-missing"}),
    "constant-input": frozenset({"augmentation-too-strong"}),
    "data-channels": frozenset(),
    "data-enlarged": frozenset(),
    "dead-relu": frozenset({"initialisation"}),
    "dropout": frozenset({"under-fitting"}),
    "evaluation-mode": frozenset({"dropout", "batch-norm-unsettled"}),
    "exploding-gradients": frozenset({"initialisation", "non-finite", "rate-too-high"}),
    "initialisation": frozenset({"vanishing-gradients", "exploding-gradients", "dead-relu"}),
    "input-scale": frozenset({"rate-too-high", "dead-relu", "exploding-gradients", "non-finite"}),
    "labels-noisy": frozenset({"labels-shuffled"}),
    "labels-shuffled": frozenset({"labels-noisy"}),
    "leakage": frozenset(),
    "non-finite": frozenset({"exploding-gradients", "rate-too-high"}),
    "output-activation": frozenset({"dead-relu", "vanishing-gradients"}),
    "over-fitting-augmentation": frozenset({"over-fitting-data", "over-fitting-model"}),
    "over-fitting-data": frozenset({"over-fitting-augmentation", "over-fitting-model"}),
    "over-fitting-model": frozenset({"over-fitting-data", "over-fitting-augmentation"}),
    "rate-too-high": frozenset({"dead-relu", "non-finite", "exploding-gradients", "unstable-training"}),
    "rate-too-low": frozenset({"too-few-steps"}),
    "schedule-ended": frozenset({"rate-too-low"}),
    "split-mismatch": frozenset({"classes-missing", "classes-unbalanced", "labels-shuffled"}),
    "too-few-steps": frozenset({"rate-too-low", "batch-norm-unsettled"}),
    "under-fitting": frozenset({"dead-relu", "initialisation"}),
    UNEXPLAINED: frozenset(),
    "unstable-training": frozenset({"rate-too-high", "batch-too-small"}),
    "vanishing-gradients": frozenset({"initialisation"}),
    "weight-decay": frozenset({"under-fitting"}),
}
"""By cause. What a plant of its own allows stands with it (`Plant.also`)."""


def accepted(causes: Iterable[str]) -> frozenset[str]:
    """The mechanisms of any of these causes; raises `KeyError` for one that nobody wrote down."""
    return frozenset().union(*(MECHANISMS[cause] for cause in causes))
