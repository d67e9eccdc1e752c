"""The loss stopped being a number: a symptom more than a cause, with the layer in which it began."""

from __future__ import annotations

from cnnviz.diagnosis import mending
from cnnviz.diagnosis.course import course
from cnnviz.diagnosis.evidence import Evidence
from cnnviz.diagnosis.finding import Fact, Finding, Lines, Series
from cnnviz.diagnosis.numbers import short
from cnnviz.diagnosis.pictures import loss_curve, update_lines
from cnnviz.diagnosis.registry import Clear, Outcome, Untold, rule
from cnnviz.diagnosis.step_size import sensible

LARGEST = 3.4e38
"""Of a 32-bit floating-point number (IEEE 754); bfloat16 reaches as far."""
_WHERE = {
    "output": "the output of '{}' was the first that was not finite",
    "gradient": "the gradient of '{}' was the first that was not finite",
    "weights": "the weights of '{}' had been spoilt by the step before",
    "loss": "every layer's output was finite, and the loss itself overflowed",
}


@rule(
    "non-finite",
    title="A loss that is no number",
    summary="A value grew beyond what a number can hold, and from then on everything is infinite or "
    "undefined.",
    live=True,
    moves={"lr": "down"},
)
def non_finite(evidence: Evidence) -> Outcome:
    """Found where the run failed of it: by the record of the place, or by the run's error."""
    told = evidence.nonfinite
    if told is None and "no longer a finite number" not in (evidence.error or ""):
        if not evidence.step:
            return Untold("No step was made.")
        return Clear(f"The loss was a finite number in all {evidence.step:,} steps.")
    step = told.step if told else evidence.step
    place = _WHERE.get(told.what, _WHERE["loss"]).format(told.layer) if told else "the place was not recorded"
    went, recipe = course(evidence), evidence.recipe
    pictures = (update_lines(evidence), *((loss_curve(went, evidence.classes),) if went else ()))
    return Finding(
        cause="non-finite",
        confidence=0.99,
        effect=1.0,
        verdict=f"At step {step:,} the loss was no longer a finite number: {place}.",
        explanation="\n\n".join((
            f"A 32-bit number ends at {short(LARGEST)}. What is larger becomes infinite, and infinity less "
            "infinity is undefined (NaN); sums and products with it are undefined too, so one such value "
            "spoils all weights in a single step.",
            _growth(evidence),
            "Values grow that large where each step overshoots: larger weights give larger outputs, these "
            "larger gradients, and these a still larger step.",
        )),
        facts=(
            Fact("step", float(step), f"{step:,}"),
            Fact("learning rate", recipe.lr, f"{recipe.lr:g}"),
            *((Fact("last finite loss", went.loss.values[-1], short(went.loss.values[-1])),) if went else ()),
        ),
        pictures=pictures if evidence.looks or went else (_nothing(step),),
        layers=(told.layer,) if told and told.layer else (),
        steps=(step, step),
        changes=mending.kept(
            (
                sensible(evidence)
                or mending.rate(recipe, recipe.lr / 10, "A tenth of the rate: steps that do not overshoot."),
                mending.normalised(recipe),
            ),
            recipe,
        ),
    )  # fmt: skip


def _growth(evidence: Evidence) -> str:
    spreads = [
        (look.step, layer.spread)
        for look in evidence.looks
        for layer in look.layers[-1:]
        if layer.spread is not None
    ]
    if len(spreads) < 2:
        return "It happened so early that no growth was recorded."
    (first, before), (last, after) = spreads[0], spreads[-1]
    return (
        f"In this run the last layer's outputs had a spread of {short(before)} at step {first:,} and of "
        f"{short(after)} at step {last:,}."
    )


def _nothing(step: int) -> Lines:
    return Lines(title="No step before it was recorded", series=(Series("step", (float(step),), (None,)),))
