"""Weights pulled to zero faster than learning can build them up."""

from __future__ import annotations

import math

from cnnviz.diagnosis import excluded
from cnnviz.diagnosis.evidence import Evidence
from cnnviz.diagnosis.finding import Change, Fact, Finding, Lines, Series
from cnnviz.diagnosis.numbers import percent
from cnnviz.diagnosis.proven import learnt_without
from cnnviz.diagnosis.registry import Clear, Outcome, Untold, rule
from cnnviz.diagnosis.standing import Standing, losses, standing

SHORT, HARMFUL = 50, 150
"""Steps in which decay alone halves a weight. Usual settings (5e-4 at a rate of 0.05 with momentum 0.9) take
2,770; a batch-normalised network on a fast schedule bears a few hundred (Kosson et al., "Rotational
equilibrium", 2023). What a weight learns in 50 steps, its half-life, is all that it ever holds."""
ADAM_HARMFUL = 0.02
"""Adam adds decay to the gradient (L2) and then divides by its size, so that only their ratio counts
(Loshchilov and Hutter, "Decoupled weight decay regularization", 2019). Gradients of a weight are of the order
of 1e-3 and weights of 5e-2: from here on decay is as large as what is learnt."""
USUAL = {"sgd": 5e-4, "nesterov": 5e-4, "adam": 1e-4, "adamw": 1e-2}

OPTIMISERS = {"sgd": "SGD", "nesterov": "SGD with Nesterov's momentum", "adam": "Adam", "adamw": "AdamW"}


@rule(
    "weight-decay",
    title="Weight decay too strong",
    summary="Weights are pulled to zero faster than learning builds them up.",
    moves={"weight_decay": "down"},
)
def weight_decay(evidence: Evidence) -> Outcome:
    """Found where decay alone halves weights within dozens of steps and training images are not known."""
    recipe, now = evidence.recipe, standing(evidence)
    if not recipe.weight_decay:
        return Clear("There is none: weight_decay is 0.")
    half = _half_life(evidence)
    tells = f"Decay alone would halve a weight in {half:,.0f} steps"
    strong = recipe.weight_decay >= ADAM_HARMFUL if recipe.optimiser == "adam" else half < HARMFUL
    if not strong:
        return Clear(f"{tells}, longer than what harms.")
    if now is None:
        return Untold("No epoch has ended yet, so nobody knows how well the training images are learnt.")
    if now.learnt_well:
        return Clear(f"{tells}, but the training images are known all the same ({percent(now.learnt)}).")
    return _finding(evidence, now, half)


def _half_life(evidence: Evidence) -> float:
    """Steps in which decay alone halves a weight: ln 2 / (η λ / (1 − μ)); Adam's is as if it were AdamW's."""
    recipe, rates = evidence.recipe, evidence.curve("lr").values
    rate = sum(rates) / len(rates) if rates else recipe.lr
    momentum = recipe.momentum if recipe.optimiser in ("sgd", "nesterov") else 0.0
    return math.log(2) * (1 - momentum) / (rate * recipe.weight_decay)


def _finding(evidence: Evidence, now: Standing, half: float) -> Finding:
    recipe, usual = evidence.recipe, USUAL[evidence.recipe.optimiser]
    proven = learnt_without(evidence, "decay")
    certain = 0.9 if half < SHORT or recipe.optimiser == "adam" else 0.65
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
        confidence=0.98 if proven else certain,
        effect=max(0.5, now.lost),
        verdict=(
            f"Weight decay of {recipe.weight_decay:g} halves every weight {_within(half)}: "
            "what is learnt is forgotten as it comes."
        ),
        explanation=(
            f"Weight decay adds λ = {recipe.weight_decay:g} times the weight to its gradient, so {steps}. "
            f"Left to that alone a weight is halved in {half:.3g} steps; with the usual {usual:g} it would "
            f"take {half * recipe.weight_decay / usual:,.0f}.\n\n"
            "A weight stays where learning pushes it out as fast as decay pulls it in. Under so strong a "
            "pull that is close to zero: outputs shrink from layer to layer, all classes get nearly the same "
            f"probability, and the loss stays near ln {evidence.classes} = {evidence.chance_loss:.3f}. The "
            f"training images themselves are known to {percent(now.learnt)} only, so this is no "
            "over-fitting, against which decay is meant."
        ),
        facts=(
            Fact("weight decay", recipe.weight_decay, f"{recipe.weight_decay:g}, usual is {usual:g}"),
            Fact("a weight is halved in", half, f"{half:,.1f} steps by decay alone"),
            *now.facts,
            *proven,
        ),
        pictures=(_left(evidence, half, usual), losses(evidence, "Loss, and that of an even guess")),
        ruled_out=excluded.over_fitting(now),
        changes=(
            Change({"weight_decay": usual}, f"The usual strength for {OPTIMISERS[recipe.optimiser]}."),
            Change({"weight_decay": 0.0}, "None at all, to see what the network can do without."),
        ),
        explains=(
            "one-class",
            "under-fitting",
            "vanishing-gradients",
            "rate-too-low",
            "rate-too-high",
            "too-few-steps",
            "dead-relu",
        ),
    )


def _left(evidence: Evidence, half: float, usual: float) -> Lines:
    """What decay alone would leave of a weight."""
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
