"""Exclusions: sentences that rule out other causes than a finding's, each with the number tested."""

from __future__ import annotations

from collections.abc import Mapping

from cnnviz.diagnosis.evidence import Evidence, Neighbours, layer_signals
from cnnviz.diagnosis.evidence.layer_signals import (
    dead_at_initialization,
    dead_layers,
    relu_names,
    typical_update_ratio,
)
from cnnviz.diagnosis.evidence.learning_curves import ERRORS, AccuracySummary, neighbors_agree
from cnnviz.diagnosis.evidence.step_size import early_update_ratio, suggest_learning_rate
from cnnviz.diagnosis.finding import Fact
from cnnviz.diagnosis.numbers import percent, short

FACTOR = 3.0
"""Ratio of the learning rate to the usual one below which they count as equal."""

OVER_FITTING = ("over-fitting-data", "over-fitting-augmentation", "over-fitting-model")
RATES = ("rate-too-high", "rate-too-low")
SETTINGS = (*RATES, "initialisation", "under-fitting", "dropout", "weight-decay", "vanishing-gradients")

EXCLUDES: Mapping[str, tuple[str, ...]] = {
    "Over-fitting": OVER_FITTING,
    "Under-fitting": ("under-fitting",),
    "The learning rate": RATES,
    "The learning rate alone": RATES,
    "The initial weights": ("initialisation",),
    "The input alone": ("input-scale", "constant-input"),
    "Unbalanced classes": ("classes-unbalanced", "classes-missing"),
    "Shuffled labels": ("labels-shuffled",),
    "Labels shuffled altogether": ("labels-shuffled",),
    "A network that does not learn": ("under-fitting",),
    "A network that cannot learn": ("under-fitting",),
    "The network and its settings": SETTINGS,
    "The length of the run": ("too-few-steps",),
    "Accident": (),
    "Accumulation on purpose": ("gradient-accumulation-scale",),
    "Chance": (),
    "The same file in both parts": (),
}
"""Causes ruled out, by the words of a sentence before its colon; empty where it is none of our causes. A
rule that rules out something else adds it here.
"""


def excludes(sentence: str) -> tuple[str, ...]:
    """Return the causes that a sentence of `Finding.ruled_out` rules out."""
    return EXCLUDES.get(sentence.partition(":")[0], ())


def rule_out_overfitting(now: AccuracySummary) -> tuple[str, ...]:
    """Rule out overfitting where training accuracy is not above held-out accuracy; else return nothing."""
    if now.fits_training or now.gap > max(0.1, ERRORS * now.error):
        return ()
    return (f"Over-fitting: the training images are not known either ({percent(now.train_accuracy)}).",)


def rule_out_shuffled_labels(neighbors: Neighbours | None) -> tuple[str, ...]:
    """Rule out shuffled labels where neighbors share labels beyond chance; else return nothing."""
    if neighbors is None or not neighbors_agree(neighbors):
        return ()
    return (
        f"Shuffled labels: neighbors share one {percent(neighbors.share)} of the time, "
        f"{percent(neighbors.chance)} by "
        "chance.",
    )


def rule_out_initialization(evidence: Evidence) -> tuple[str, ...]:
    """Rule out the initial weights where they preserve the signal; else, or if unknown, return nothing."""
    propagation = layer_signals.signal_propagation(evidence)
    if propagation is None or propagation.is_weak or propagation.entering <= 0:
        return ()
    return (
        f"The initial weights: they pass {short(propagation.share)} of the input's standard deviation on to "
        f"'{propagation.last.name}', and {percent(propagation.least_relative_signal)} or more of every "
        "layer's outputs tells images apart.",
    )


def rule_out_learning_rate(evidence: Evidence, last: int | None = None) -> tuple[str, ...]:
    """Rule out the learning rate where update-to-weight ratios up to step `last` are usual.

    Return nothing else, and where the first steps were much longer than a sensible rate's, or ReLUs died
    since.
    """
    typical, first, change = (
        typical_update_ratio(evidence, last=last),
        early_update_ratio(evidence),
        suggest_learning_rate(evidence),
    )
    if typical is None or not 1e-4 <= typical <= 3e-2:
        return ()
    lower = change is not None and change.values["lr"] * FACTOR < evidence.recipe.lr
    relus_died = (
        bool(evidence.looks)
        and dead_layers(evidence.looks[-1], relu_names(evidence))
        and not dead_at_initialization(evidence)
    )
    if relus_died or (lower and first is not None and first > 3e-2):
        return ()
    return (f"The learning rate: a step moves the median layer by {short(typical)} of its weights.",)


def overfits_without(evidence: Evidence, regularizer: str) -> tuple[Fact, ...]:
    """Return a fact if one batch is overfitted only without `what` ("decay" or "dropout"); else nothing."""
    conditions = evidence.probes.get("overfit-batch", {}).get("arms", {})
    own, without = conditions.get("own", {}).get("loss"), conditions.get(f"no-{regularizer}", {}).get("loss")
    if own is None or without is None or without > own / 2:
        return ()
    return (
        Fact(f"loss of one batch without {regularizer}", without, f"{without:.3g}, and {own:.3g} with it"),
    )
