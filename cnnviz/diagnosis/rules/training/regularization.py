"""Rules on regularization: too much dropout, too much weight decay."""

from __future__ import annotations

import math
from statistics import median

from cnnviz.diagnosis import exclusions
from cnnviz.diagnosis.alternative_networks import dropout_rates, with_dropout
from cnnviz.diagnosis.evidence import Evidence
from cnnviz.diagnosis.evidence.learning_curves import (
    NEARLY_THERE,
    WELL,
    AccuracySummary,
    accuracy_figure,
    accuracy_summary,
    loss_figure,
)
from cnnviz.diagnosis.exclusions import overfits_without
from cnnviz.diagnosis.finding import Bars, Change, CodeFix, Fact, Finding, Lines, Series
from cnnviz.diagnosis.numbers import fixed, percent
from cnnviz.diagnosis.rules import Inconclusive, Negative, Outcome, rule

_SYMPTOMS = (
    "one-class",
    "under-fitting",
    "vanishing-gradients",
    "rate-too-low",
    "rate-too-high",
    "too-few-steps",
    "dead-relu",
)
"""Causes that too strong a regularization of either kind explains."""

# Dropout.

STRONG, EXTREME = 0.75, 0.85
"""Dropout rates: error is flat while 40 to 80 % of the units are kept and rises steeply below a quarter
(Srivastava et al., "Dropout", 2014, section 7.3).
"""
MILD = 0.3


@rule(
    "dropout",
    title="Dropout too strong",
    summary="So many units are dropped that too few learn.",
    moves={"dropout": "down"},
)
def dropout(evidence: Evidence) -> Outcome:
    """Detect a dropout rate of three quarters or more in a run that does not fit its images."""
    rates, now = dropout_rates(evidence), accuracy_summary(evidence)
    if not rates and evidence.kind != "trained" and evidence.dropout is None:
        return Inconclusive("The network's layers are not known.")
    if not rates:
        return Negative("No layer drops anything.")
    name, most = max(rates.items(), key=lambda pair: pair[1])
    if most < STRONG:
        return Negative(
            f"At most {percent(most)} is dropped, less than {percent(STRONG)}, from where on it harms."
        )
    if now is None and (most < EXTREME or evidence.status != "failed"):
        return Inconclusive(
            "No epoch has ended yet, so nobody knows how well the training images are learned."
        )
    enough = WELL if most >= EXTREME else NEARLY_THERE
    if now is not None and (now.fits_training or now.above(now.held_out_accuracy) >= enough):
        return Negative(
            f"{percent(most)} is dropped, but the images are known all the same "
            f"({percent(now.held_out_accuracy)})."
        )
    return _dropout_finding(evidence, rates, now, name)


def _dropout_finding(
    evidence: Evidence, rates: dict[str, float], now: AccuracySummary | None, name: str
) -> Finding:
    most, proven = rates[name], overfits_without(evidence, "dropout")
    width = next((layer.out for layer in evidence.layers if layer.name == name), ())
    units = 1
    for side in width:
        units *= side
    arithmetic = f" Of the {units:,} values that enter '{name}' {units * (1 - most):,.0f} are left." * (
        units > 1
    )
    change = with_dropout(evidence.recipe, MILD)
    return Finding(
        cause="dropout",
        confidence=0.98 if proven else 0.93 if most >= EXTREME else 0.75,
        effect=max(0.5, now.lost) if now else 1.0,
        verdict=f"Dropout of {percent(most)} leaves too little to learn from.",
        explanation=(
            f"In every training step each value is set to zero with a chance of {most:g}, and what is left "
            f"is multiplied by 1/(1 − {most:g}) = {1 / (1 - most):.3g}, so that the sum is right on "
            f"average.{arithmetic} But an average over few values is noisy: the variance that dropout adds "
            f"is p/(1 − p) = {most / (1 - most):.3g} times the mean square of what comes in, where p = 0.5 "
            "adds once. From one step to the next the network after it sees something else, and the "
            f"gradients point somewhere else.\n\n{_nothing_held_back(now)}"
        ),
        facts=(
            Fact("dropped", most, f"{percent(most)} at '{name}'"),
            Fact(
                "kept along the way", _kept(rates), f"{percent(_kept(rates), 2)} through all dropout layers"
            ),
            *(now.facts if now else ()),
            *proven,
        ),
        pictures=(
            Bars(
                title="What each dropout layer drops",
                names=tuple(rates),
                values={"dropped": tuple(rates.values())},
                reference=("half, the usual most", 0.5),
                marked=tuple(layer for layer, rate in rates.items() if rate >= STRONG),
                alt=f"'{name}' drops {percent(most)}.",
                percent=True,
            ),
            *((accuracy_figure(evidence, "Accuracy with dropout (training) and without"),) if now else ()),
        ),
        layers=tuple(layer for layer, rate in rates.items() if rate >= STRONG),
        ruled_out=exclusions.rule_out_overfitting(now) if now else (),
        changes=(Change(change, f"Drop {percent(MILD)} at most."),) if change else (),
        explains=(*_SYMPTOMS, "exploding-gradients", "non-finite"),
    )


def _nothing_held_back(now: AccuracySummary | None) -> str:
    means = "Dropout is a means against over-fitting, but here"
    if now is None:
        return f"{means} the run did not come so far: the loss was no number before an epoch had ended."
    return (
        f"{means} the training images are known to {percent(now.train_accuracy)} only, and others to "
        f"{percent(now.held_out_accuracy)}: there is nothing to be held back."
    )


def _kept(rates: dict[str, float]) -> float:
    fraction = 1.0
    for rate in rates.values():
        fraction *= 1 - rate
    return fraction


# Weight decay.

SHORT, HARMFUL = 50, 150
"""Half-life of a weight under decay alone, in steps. Usual settings (5e-4 at a rate of 0.05 with momentum
0.9) have 2,770; a batch-normalized network on a fast schedule tolerates a few hundred (Kosson et al.,
"Rotational equilibrium", 2023). With a half-life of 50 steps, a weight never holds more than it learns in
so many.
"""
ADAM_HARMFUL = 0.02
"""Weight decay for Adam, which adds it to the gradient (L2) and then divides by the gradient's size, so that
only their ratio counts (Loshchilov and Hutter, "Decoupled weight decay regularization", 2019). Gradients
of a weight are of the order of 1e-3 and weights of 5e-2: from here on decay is as large as the gradient.
"""
ALONG, FIRST = 0.6, 6
"""Cosine between gradient and weights from which a penalty in the loss is as large as the gradient of what
is learned (L1 has 0.8 to 0.87, L2 has 1), and the looked-at steps: later ones are where both are in
balance.
"""
ORDINARY = {"sgd": 1.5e-3, "nesterov": 1.5e-3, "adam": 3e-4, "adamw": 0.1, "rmsprop": 3e-4}
"""Decay up to which a short half-life is a matter of the rate. AdamW's is 0.05 to 0.1 for transformers."""
USUAL = {"sgd": 5e-4, "nesterov": 5e-4, "adam": 1e-4, "adamw": 1e-2, "rmsprop": 1e-4}

OPTIMISERS = {
    "sgd": "SGD",
    "nesterov": "SGD with Nesterov's momentum",
    "adam": "Adam",
    "adamw": "AdamW",
    "rmsprop": "RMSprop",
}
DECAY_AS_GRADIENT = frozenset(("adam", "rmsprop"))
"""Optimizers that add decay to the gradient and then divide by its size."""


@rule(
    "weight-decay",
    title="Weight decay too strong",
    summary="Weights are pulled to zero faster than learning builds them up.",
    moves={"weight_decay": "down"},
)
def weight_decay(evidence: Evidence) -> Outcome:
    """Detect weight decay with a half-life of dozens of steps in a run that does not fit its images."""
    recipe, now = evidence.recipe, accuracy_summary(evidence)
    along = _along_weights(evidence)
    if along is not None and along >= ALONG and now is not None and not (now.fits_training or now.well):
        return _penalty(evidence, now, along)
    if not recipe.weight_decay:
        return Negative("There is none: weight_decay is 0.")
    half = _half_life(evidence)
    tells = f"Decay alone would halve a weight in {half:,.0f} steps"
    strong = recipe.weight_decay >= ADAM_HARMFUL if recipe.optimiser in DECAY_AS_GRADIENT else half < HARMFUL
    if not strong:
        return Negative(f"{tells}, longer than what harms.")
    if recipe.weight_decay <= ORDINARY[recipe.optimiser]:
        return Negative(
            f"{tells}, by the learning rate: the decay of {recipe.weight_decay:g} is an ordinary one."
        )
    if now is None:
        return Inconclusive(
            "No epoch has ended yet, so nobody knows how well the training images are learned."
        )
    if now.fits_training:
        return Negative(
            f"{tells}, but the training images are known all the same ({percent(now.train_accuracy)})."
        )
    return _weight_decay_finding(evidence, now, half)


def _along_weights(evidence: Evidence) -> float | None:
    """Return the median cosine between gradient and weights over a watched loop's first looked-at steps."""
    looks = evidence.loop.looks[:FIRST] if evidence.loop is not None else ()
    cosines = [look.along_weights for look in looks if look.along_weights is not None]
    return median(cosines) if len(cosines) >= 3 else None


def _penalty(evidence: Evidence, now: AccuracySummary, along: float) -> Finding:
    """Report a penalty in the loss itself, whose gradient points along the weights."""
    return Finding(
        cause="weight-decay",
        confidence=0.9,
        effect=max(0.5, now.lost),
        verdict="The gradient is nearly that of a penalty on the weights: the cosine of it and the weights "
        f"is {along:.2f}, where what images teach has about 0.",
        explanation=(
            "The gradient of λ·Σ w² is 2λ·w, along the weights, and that of λ·Σ |w| nearly so. What images "
            "teach points elsewhere. Here the loss that is minimized is mostly such a penalty, so that "
            f"each step draws weights to zero: {percent(now.train_accuracy)} of the training images are "
            "known. A sum over all weights grows with their number, and a mean over a batch does not grow "
            "with it."
        ),
        facts=(Fact("cosine between gradient and weights", along, f"{along:.2f}"), *now.facts),
        fix=CodeFix(
            "Multiply the penalty by far less, or leave it to the optimizer.",
            "optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)",
        ),
        explains=(*_SYMPTOMS, "unstable-training", "initialisation", "labels-shuffled"),
    )


def _half_life(evidence: Evidence) -> float:
    """Return the half-life of a weight in steps: ln 2 / (η λ / (1 − μ)); Adam is treated as AdamW."""
    recipe, rates = evidence.recipe, evidence.curve("lr").values
    rate = sum(rates) / len(rates) if rates else recipe.lr
    momentum = recipe.momentum if recipe.optimiser in ("sgd", "nesterov") else 0.0
    return math.log(2) * (1 - momentum) / (rate * recipe.weight_decay)


def _weight_decay_finding(evidence: Evidence, now: AccuracySummary, half: float) -> Finding:
    recipe, usual = evidence.recipe, USUAL[evidence.recipe.optimiser]
    proven = overfits_without(evidence, "decay")
    confidence = 0.9 if half < SHORT or recipe.optimiser in DECAY_AS_GRADIENT else 0.65
    rate = f"{recipe.lr:g}"
    steps = (
        f"every step takes the part η·λ = {rate} × {recipe.weight_decay:g} = "
        f"{recipe.lr * recipe.weight_decay:.2g} off every weight"
    )
    if recipe.optimiser in ("sgd", "nesterov") and recipe.momentum:
        steps += (
            f", which momentum {recipe.momentum:g} repeats 1/(1 − {recipe.momentum:g}) = "
            f"{1 / (1 - recipe.momentum):.3g} times over"
        )
    return Finding(
        cause="weight-decay",
        confidence=0.98 if proven else confidence,
        effect=max(0.5, now.lost),
        verdict=(
            f"Weight decay of {recipe.weight_decay:g} halves every weight {_within(half)}: "
            "what is learned is forgotten as it comes."
        ),
        explanation=(
            f"Weight decay adds λ = {recipe.weight_decay:g} times the weight to its gradient, so {steps}. "
            f"Left to that alone a weight is halved in {half:.3g} steps; with the usual {usual:g} it would "
            f"take {half * recipe.weight_decay / usual:,.0f}.\n\n"
            "A weight stays where learning pushes it out as fast as decay pulls it in. Under so strong a "
            "pull that is close to zero: outputs shrink from layer to layer, all classes get nearly the same "
            f"probability, and the loss stays near ln {evidence.classes} = {evidence.chance_loss:.3f}. The "
            f"training images themselves are known to {percent(now.train_accuracy)} only, so this is no "
            "over-fitting, against which decay is meant."
        ),
        facts=(
            Fact("weight decay", recipe.weight_decay, f"{recipe.weight_decay:g}, usual is {usual:g}"),
            Fact("a weight is halved in", half, f"{fixed(half, 1)} steps by decay alone"),
            *now.facts,
            *proven,
        ),
        pictures=(_left(evidence, half, usual), loss_figure(evidence, "Loss, and that of chance")),
        ruled_out=exclusions.rule_out_overfitting(now),
        changes=(
            Change({"weight_decay": usual}, f"The usual strength for {OPTIMISERS[recipe.optimiser]}."),
            Change({"weight_decay": 0.0}, "None at all, to see what the network can do without."),
        ),
        explains=_SYMPTOMS,
    )


def _left(evidence: Evidence, half: float, usual: float) -> Lines:
    """Plot the fraction of a weight that decay alone leaves over steps."""
    steps = tuple(evidence.total_steps * i / 50 for i in range(51))
    slow = half * evidence.recipe.weight_decay / usual
    return Lines(
        title="What decay alone leaves of a weight",
        series=(
            Series(f"λ = {evidence.recipe.weight_decay:g}", steps, tuple(0.5 ** (t / half) for t in steps)),
            Series(f"λ = {usual:g}", steps, tuple(0.5 ** (t / slow) for t in steps), dashed=True),
        ),
        y_label="part of the weight",
        alt=f"With this decay a weight is halved every {half:.3g} steps, with the usual one every "
        f"{slow:,.0f}.",
        percent=True,
    )


def _within(half: float) -> str:
    return f"within {half:,.0f} steps" if half >= 1.5 else "at every step"
