"""How far steps move the weights: what the run showed, and the learning rate that would be usual for it."""

from __future__ import annotations

from statistics import median

from cnnviz.diagnosis import fixes
from cnnviz.diagnosis.evidence.evidence import Evidence
from cnnviz.diagnosis.evidence.layer_signals import USUAL_UPDATE, fresh, stages
from cnnviz.diagnosis.finding import Change
from cnnviz.diagnosis.numbers import short
from cnnviz.training.recipe import ADAPTIVE

EARLY = 20
"""Steps: what happens in them is the rate's doing, and not yet what became of the weights."""
NEAR = 1e-4
"""Of the weights, moved by one step: a tenth of what is usual; 10,000 steps to replace a layer."""
AIM, AIM_NORMALIZED = 6e-3, 1.5e-2
"""Of the weights, what the first step of SGD should move. Of 86 runs without normalization that learned well,
the middle one began with 0.007 (half of them with 0.004 to 0.03); of 45 with it, with 0.018 (0.016 to 0.024).
With 0.002, as was proposed before, four of six runs stayed short of nine tenths of what they can reach."""
AIM_ADAM, AIM_ADAM_NORMALIZED = 1.5e-2, 2.5e-2
"""The same for Adam, whose first steps are as long as its rate, whatever the gradient: 0.015 (0.008 to 0.024)
of 113 runs, and 0.029 (0.024 to 0.031) of 14."""
AIM_BOLD = 1e-2
"""At least, where steps were far too small: what they can bear was not reached."""

BOLDEST = 10.0
"""Times the rate at once, where the run's steps were far too short at one that others do not bear."""


def early_update(evidence: Evidence) -> float | None:
    """Of the looks at the first steps the largest median, over layers, of the part that weights moved.

    Where the rate still rises, as in a warm-up, it is what the largest rate would have moved: a step is as
    long as its rate.
    """
    rates, ratios = evidence.curve("lr"), []
    known, top = dict(zip(rates.steps, rates.values, strict=True)), max(rates.values, default=0.0)
    for look in evidence.looks:
        moved = [stage.at.update for stage in stages(evidence, look) if stage.at.update is not None]
        if look.step <= EARLY and moved:
            rate = known.get(look.step, top)
            ratios.append(median(moved) * (top / rate if rate > 0 else 1.0))
    return max(ratios, default=None)


def sensible(evidence: Evidence) -> Change | None:
    """The rate with which the first step would move the median layer as far as in runs that learn well."""
    seen = [stage.at.update for stage in stages(evidence, fresh(evidence)) if stage.at.update is not None]
    recipe, rate = evidence.recipe, evidence.curve("lr").first or evidence.recipe.lr
    # A warm-up begins with less than the recipe's rate.
    first = median(seen) * recipe.lr / rate if seen else 0.0
    if first <= 0:
        return None
    aim = max(_aim(evidence), AIM_BOLD if first < NEAR else 0.0)
    wanted, most = recipe.lr * aim / first, _largest(evidence)
    if first < USUAL_UPDATE / 3:
        # What networks bear in general is refuted by what this one did.
        most = max(most, BOLDEST * recipe.lr)
    change = fixes.rate(recipe, min(wanted, most), "")
    then = first * change.values["lr"] / recipe.lr
    usual = "as in runs that learn well" if wanted <= most else "and larger rates are seldom borne"
    why = (
        f"The first step at {short(recipe.lr)} moves the median layer by {short(first)} of its weights; at "
        f"this rate by {short(then)}, {usual}."
    )
    return Change(change.values, why)


def _aim(evidence: Evidence) -> float:
    """What the first step should move, by optimizer and whether layers are normalized."""
    if evidence.recipe.optimiser in ADAPTIVE:
        return AIM_ADAM_NORMALIZED if normalized(evidence) else AIM_ADAM
    return AIM_NORMALIZED if normalized(evidence) else AIM


def normalized(evidence: Evidence) -> bool:
    """Whether the network has batch normalization."""
    return any("BatchNorm" in layer.type for layer in evidence.layers)


def _largest(evidence: Evidence) -> float:
    """What networks bear.

    Without normalization 3·10⁻³ of Adam (its paper has 10⁻³); 0.2 of SGD, divided by how many steps momentum
    adds up. With it, where a longer step only makes the next one shorter, two and a half times as much.
    """
    recipe = evidence.recipe
    most = 3e-3 if recipe.optimiser in ADAPTIVE else 0.2 * (1 - recipe.momentum)
    return 2.5 * most if normalized(evidence) else most
