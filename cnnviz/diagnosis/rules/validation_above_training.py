"""Held-out accuracy above training accuracy: why that is usual with dropout or augmentation."""

from __future__ import annotations

from cnnviz.diagnosis.evidence import Evidence
from cnnviz.diagnosis.finding import Finding, Note
from cnnviz.diagnosis.networks import augments, dropout_rates
from cnnviz.diagnosis.numbers import percent
from cnnviz.diagnosis.registry import note
from cnnviz.diagnosis.rules.augmentation_too_strong import augmentation_too_strong
from cnnviz.diagnosis.rules.dropout import dropout
from cnnviz.diagnosis.rules.leakage import leakage
from cnnviz.diagnosis.standing import ERRORS, Standing, error, standing

LEAST = 0.005
"""Of the accuracy: half a point that both figures round to is nothing to explain."""
SURE = 2.0
"""Standard errors: with fewer the two may as well be equal."""
FAULTS = (augmentation_too_strong, dropout, leakage)
"""Rules whose finding is another explanation, and no usual one."""


@note("validation-above-training")
def validation_above_training(evidence: Evidence) -> Note | None:
    """Explain held-out images that are known better than training images, where nothing is wrong with it."""
    now = standing(evidence)
    if now is None or -now.gap <= max(LEAST, SURE * now.error):
        return None
    if any(isinstance(rule(evidence), Finding) for rule in FAULTS):
        return None
    plain, reasons = evidence.train_evaluated, _reasons(evidence)
    if plain is not None and plain.accuracy < now.held - ERRORS * (
        now.error + error(plain.accuracy, plain.images)
    ):
        return None  # Even evaluated alike training images are known less: that has another reason.
    text = (
        f"The {now.part} images are known better than the training images ({percent(now.held, 1)} against "
        f"{percent(now.learnt, 1)}). That is usual here and no sign of an error: training accuracy is "
        f"measured {'; '.join(reasons)}. Held-out images are evaluated after the epoch, without any of it."
    )
    return Note("validation-above-training", text + _plain(evidence, now))


def _reasons(evidence: Evidence) -> list[str]:
    reasons, rates = [], dropout_rates(evidence)
    if rates:
        most = max(rates.values())
        reasons.append(f"with dropout on, which leaves out up to {percent(most)} of a layer's values")
    if augments(evidence.recipe):
        reasons.append("on augmented images, which are harder")
    return [*reasons, "over the whole epoch, in which the weights were still improving"]


def _plain(evidence: Evidence, now: Standing) -> str:
    plain = evidence.train_evaluated
    if plain is None:
        return ""
    return (
        f" Evaluated as the {now.part} images are, {percent(plain.accuracy, 1)} of {plain.images:,} training "
        "images are known."
    )
