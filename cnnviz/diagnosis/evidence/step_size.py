"""Step size: update-to-weight ratios of the run, and the learning rate that makes the first step usual."""

from __future__ import annotations

from statistics import median

from cnnviz.diagnosis import fixes
from cnnviz.diagnosis.evidence import Evidence
from cnnviz.diagnosis.evidence.layer_signals import USUAL_UPDATE, first_look, layer_signals
from cnnviz.diagnosis.finding import Change
from cnnviz.diagnosis.numbers import short
from cnnviz.training.recipe import ADAPTIVE

EARLY = 20
"""Steps in which update-to-weight ratios reflect the learning rate, and not yet what became of the weights.
"""
NEAR = 1e-4
"""Update-to-weight ratio a tenth of the usual: 10,000 steps to replace a layer."""
AIM, AIM_NORMALIZED = 6e-3, 1.5e-2
"""Target of the first step's update-to-weight ratio for SGD. Of 86 runs without normalization that learned
well, the median began with 0.007 (half of them with 0.004 to 0.03); of 45 with it, with 0.018 (0.016 to
0.024). With an earlier target of 0.002, four of six runs stayed below nine tenths of what they can reach.
"""
AIM_ADAM, AIM_ADAM_NORMALIZED = 1.5e-2, 2.5e-2
"""The same for Adam, whose first steps are as long as its rate, whatever the gradient: 0.015 (0.008 to
0.024) of 113 runs, and 0.029 (0.024 to 0.031) of 14.
"""
AIM_BOLD = 1e-2
"""Least target where steps were far too short: the limit of what the run tolerates was not reached."""

BOLDEST = 10.0
"""Largest factor on the learning rate, where the run's steps were far too short at a rate that others do not
tolerate.
"""


def early_update_ratio(evidence: Evidence) -> float | None:
    """Return the largest median update-to-weight ratio, over layers, of the first steps.

    During a warm-up it is scaled to the largest rate, as a step is proportional to its rate.
    """
    rates, ratios = evidence.curve("lr"), []
    rate_by_step, top = dict(zip(rates.steps, rates.values, strict=True)), max(rates.values, default=0.0)
    for look in evidence.looks:
        updates = [stage.at.update for stage in layer_signals(evidence, look) if stage.at.update is not None]
        if look.step <= EARLY and updates:
            rate = rate_by_step.get(look.step, top)
            ratios.append(median(updates) * (top / rate if rate > 0 else 1.0))
    return max(ratios, default=None)


def suggest_learning_rate(evidence: Evidence) -> Change | None:
    """Propose the learning rate with which the first step has the median ratio of runs that learn well."""
    updates = [
        stage.at.update
        for stage in layer_signals(evidence, first_look(evidence))
        if stage.at.update is not None
    ]
    recipe, rate = evidence.recipe, evidence.curve("lr").first or evidence.recipe.lr
    # A warm-up begins below the recipe's rate.
    first = median(updates) * recipe.lr / rate if updates else 0.0
    if first <= 0:
        return None
    aim = max(_target_ratio(evidence), AIM_BOLD if first < NEAR else 0.0)
    target_rate, most = recipe.lr * aim / first, _largest_rate(evidence)
    if first < USUAL_UPDATE / 3:
        # The general limit does not hold for this network.
        most = max(most, BOLDEST * recipe.lr)
    change = fixes.change_learning_rate(recipe, min(target_rate, most), "")
    new_ratio = first * change.values["lr"] / recipe.lr
    usual = "as in runs that learn well" if target_rate <= most else "and larger rates are seldom borne"
    reason = (
        f"The first step at a rate of {short(recipe.lr)} moves the median layer by {short(first)} of its "
        f"weights; at {short(change.values['lr'])} by {short(new_ratio)}, {usual}."
    )
    return Change(change.values, reason)


def _target_ratio(evidence: Evidence) -> float:
    """Return the target ratio by optimizer and normalization."""
    if evidence.recipe.optimiser in ADAPTIVE:
        return AIM_ADAM_NORMALIZED if has_batch_norm(evidence) else AIM_ADAM
    return AIM_NORMALIZED if has_batch_norm(evidence) else AIM


def has_batch_norm(evidence: Evidence) -> bool:
    """Return whether the network has batch normalization."""
    return any("BatchNorm" in layer.type for layer in evidence.layers)


def _largest_rate(evidence: Evidence) -> float:
    """Return the largest learning rate that networks tolerate in general.

    Without normalization 3·10⁻³ for Adam (its paper has 10⁻³), and 0.2·(1 − momentum) for SGD. With it, where
    a longer step only shortens the next one, two and a half times as much.
    """
    recipe = evidence.recipe
    most = 3e-3 if recipe.optimiser in ADAPTIVE else 0.2 * (1 - recipe.momentum)
    return 2.5 * most if has_batch_norm(evidence) else most
