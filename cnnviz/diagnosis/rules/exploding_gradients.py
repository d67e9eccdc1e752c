"""Gradients that are far too large before anything is learned, or grow on their way back."""

from __future__ import annotations

from statistics import median

from cnnviz.diagnosis import arithmetic, mending
from cnnviz.diagnosis.course import Course, course
from cnnviz.diagnosis.evidence import Evidence
from cnnviz.diagnosis.excluded import OVER_FITTING
from cnnviz.diagnosis.finding import Fact, Finding
from cnnviz.diagnosis.numbers import fixed, short
from cnnviz.diagnosis.pictures import gradient_bars, loss_curve
from cnnviz.diagnosis.registry import Clear, Outcome, Untold, rule
from cnnviz.diagnosis.stages import Stage, fresh, stages

EXPLODED = 10.0
"""Gradient by weights, in the median layer: a rate of 0.1 would throw weights away in one step. At the start
of networks that learn it is 0.002 to 3."""
BACKWARDS = 16.0
"""The first layer's gradient by the last one's: a rate that suits the last layer is 16 times too large for
the first. At the start of networks that learn it is at most half as much (LeNet-5, AlexNet, VGG, GoogLeNet,
ResNet)."""
BACKWARDS_SATURATED = 4.0
"""The same where outputs of tanh are saturated: weights so large stand behind both."""
SATURATED = 0.8
"""Standard deviation of a tanh's outputs, which is 1 where all are -1 or 1, and 0.58 where they are evenly
spread. Networks that learned began with 0.2 to 0.67, those with weights far too large with 0.84 and more."""
FOLLOWS = ("non-finite", "rate-too-high", "one-class", "dead-relu")


@rule(
    "exploding-gradients",
    title="Exploding gradients",
    summary="Gradients at the start are far larger than the weights, or grow from layer to layer on their "
    "way back.",
    live=True,
)
def exploding_gradients(evidence: Evidence) -> Outcome:
    """Found where fresh gradients are far larger than weights, or in front than at the end."""
    seen = tuple(stage for stage in stages(evidence, fresh(evidence)) if stage.at.gradient)
    went, sizes = course(evidence), _by_weights(evidence, seen)
    if went is None or len(seen) < 3:
        return Untold("The first step was not looked at, or the network has too few layers to compare.")
    backwards = (seen[0].at.gradient or 0.0) / (seen[-1].at.gradient or 1.0)
    typical = median(sizes.values()) if sizes else 0.0
    flat = saturated(evidence)
    if typical < EXPLODED and backwards < (BACKWARDS_SATURATED if flat else BACKWARDS):
        return Clear(
            f"At the first step '{seen[0].name}' has {short(backwards)} times the last layer's gradient."
        )
    if went.learned > 0.9:
        return Clear("Gradients began far too large, but the run got over it.")
    recipe = evidence.recipe
    return Finding(
        cause="exploding-gradients",
        confidence=0.9 if went.learned < 0.5 or flat else 0.6,
        effect=0.8,
        verdict=_verdict(seen, typical, backwards),
        explanation="\n\n".join((*_worked(evidence, seen, sizes, backwards), arithmetic.surprise(went))),
        facts=_facts(went, typical, backwards),
        pictures=(gradient_bars(seen), loss_curve(went, evidence.classes)),
        layers=tuple(stage.name for stage in seen if _large(stage, sizes, seen)),
        steps=(1, 1),
        ruled_out=("The learning rate alone: gradients were measured before any weight had moved.",),
        changes=mending.kept((mending.started(recipe), mending.normalised(recipe), mending.scaled()), recipe),
        explains=(*FOLLOWS, *OVER_FITTING) if flat else FOLLOWS,
    )


def saturated(evidence: Evidence) -> bool:
    """Whether most layers of tanh give -1 or 1 for nearly everything at the first step."""
    look, names = fresh(evidence), {layer.name for layer in evidence.layers if layer.type == "Tanh"}
    spreads = [one.spread for one in look.layers if one.name in names and one.spread] if look else []
    return bool(spreads) and median(spreads) >= SATURATED


def _verdict(seen: tuple[Stage, ...], typical: float, backwards: float) -> str:
    if typical >= EXPLODED:
        return f"At the first step gradients are {short(typical)} times as large as the weights they change."
    first, last = seen[0].name, seen[-1].name
    return f"Gradients grow {short(backwards)}-fold on their way back from '{last}' to '{first}'."


def _worked(
    evidence: Evidence, seen: tuple[Stage, ...], sizes: dict[str, float], backwards: float
) -> tuple[str, ...]:
    first, last, rate = seen[0], seen[-1], evidence.recipe.lr
    each = backwards ** (1 / (len(seen) - 1))
    told = [
        "A layer's gradient is the next one's, multiplied by that one's weights and by the slope of the "
        "activation between them. Factors above 1 multiply to a great deal over many layers (Bengio, "
        "Simard and Frasconi, 1994).",
        f"Measured at the first step: the norm is {short(last.at.gradient or 0)} at '{last.name}' and "
        f"{short(first.at.gradient or 0)} at '{first.name}', {len(seen) - 1} layers further back: "
        f"{short(each)} for each layer.",
    ]
    if sizes:
        name = max(sizes, key=lambda one: sizes[one])
        told.append(
            f"A step of plain gradient descent moves a layer by rate × gradient. The gradient of '{name}' is "
            f"{short(sizes[name])} times its weights: at a rate of {rate:g} a step moves it by {rate:g} · "
            f"{short(sizes[name])} = {short(rate * sizes[name])} of its size, where a thousandth is usual."
        )
    return tuple(told)


def _facts(went: Course, typical: float, backwards: float) -> tuple[Fact, ...]:
    by_weights = (Fact("gradient by weights, median layer", typical, short(typical)),) if typical else ()
    return (
        Fact("first layer's gradient by the last one's", backwards, short(backwards)),
        *by_weights,
        Fact("first loss", went.start, f"{short(went.start)} (guessing: {fixed(went.guess, 3)})"),
    )


def _large(stage: Stage, sizes: dict[str, float], seen: tuple[Stage, ...]) -> bool:
    by_last = (stage.at.gradient or 0.0) / (seen[-1].at.gradient or 1.0)
    return sizes.get(stage.name, 0.0) >= EXPLODED or by_last >= BACKWARDS


def _by_weights(evidence: Evidence, seen: tuple[Stage, ...]) -> dict[str, float]:
    """Gradient by weights of each layer at the first step: of SGD, whose step is rate × gradient there."""
    rates, recipe = evidence.curve("lr"), evidence.recipe
    if recipe.optimiser not in ("sgd", "nesterov") or not rates.steps or rates.steps[0] != 1:
        return {}
    ahead = 1 + recipe.momentum if recipe.optimiser == "nesterov" else 1.0
    times = rates.values[0] * ahead
    return {stage.name: stage.at.update / times for stage in seen if stage.at.update and times > 0}
