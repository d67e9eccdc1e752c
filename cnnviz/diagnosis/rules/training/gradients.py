"""Rules on gradients: exploding, vanishing, and a loss that is NaN or Inf."""

from __future__ import annotations

from statistics import median

from cnnviz.diagnosis import fixes
from cnnviz.diagnosis.evidence import Evidence, Points
from cnnviz.diagnosis.evidence.layer_signals import (
    LayerSignal,
    dead_at_initialization,
    explain_first_loss,
    explain_scaling,
    first_look,
    layer_signals,
    vanishes_at_start,
)
from cnnviz.diagnosis.evidence.learning_curves import LossCurve, first_nonfinite, summarize_loss
from cnnviz.diagnosis.evidence.step_size import suggest_learning_rate
from cnnviz.diagnosis.exclusions import OVER_FITTING
from cnnviz.diagnosis.figures import gradient_bars, loss_curve, update_lines
from cnnviz.diagnosis.finding import CodeFix, Fact, Finding, Lines, Series
from cnnviz.diagnosis.numbers import counted, fixed, short
from cnnviz.diagnosis.rules import Inconclusive, Negative, Outcome, rule, rules
from cnnviz.diagnosis.rules.data.images import INDEPENDENT
from cnnviz.diagnosis.rules.training.learning_rate import YOUNG

# Exploding gradients: far too large at initialization, or growing on the way back.

EXPLODED = 10.0
"""Gradient-to-weight ratio of the median layer: a rate of 0.1 would replace the weights in one step. At
initialization of networks that learn it is 0.002 to 3.
"""
BACKWARDS = 16.0
"""Ratio of the first layer's gradient to the last one's: a rate that suits the last layer is 16 times too
large for the first. At initialization of networks that learn it is at most half as much (LeNet-5,
AlexNet, VGG, GoogLeNet, ResNet).
"""
BACKWARDS_SATURATED = 4.0
"""The same with saturated tanh outputs, which too large weights explain as well."""
SATURATED = 0.8
"""Standard deviation of a tanh's outputs: 1 where all are ±1, and 0.58 where they are uniform. Networks that
learned began with 0.2 to 0.67, those with weights far too large with 0.84 and more.
"""
EXPLODING_FOLLOWS = ("non-finite", "rate-too-high", "one-class", "dead-relu")


@rule(
    "exploding-gradients",
    title="Exploding gradients",
    summary="Gradients at the start are far larger than the weights, or grow from layer to layer on their "
    "way back.",
    live=True,
)
def exploding_gradients(evidence: Evidence) -> Outcome:
    """Detect gradients at initialization far larger than the weights, or growing towards the input."""
    signals = tuple(stage for stage in layer_signals(evidence, first_look(evidence)) if stage.at.gradient)
    curve, sizes = summarize_loss(evidence), _by_weights(evidence, signals)
    if curve is None or len(signals) < 3:
        return Inconclusive("The first step was not looked at, or the network has too few layers to compare.")
    backwards = (signals[0].at.gradient or 0.0) / (signals[-1].at.gradient or 1.0)
    typical = median(sizes.values()) if sizes else 0.0
    flat = saturated(evidence)
    if typical < EXPLODED and backwards < (BACKWARDS_SATURATED if flat else BACKWARDS):
        return Negative(
            f"At the first step '{signals[0].name}' has {short(backwards)} times the last layer's gradient."
        )
    if curve.learned > 0.9:
        return Negative("Gradients began far too large, but the run got over it.")
    recipe = evidence.recipe
    return Finding(
        cause="exploding-gradients",
        confidence=0.9 if curve.learned < 0.5 or flat else 0.6,
        effect=0.8,
        verdict=_verdict(signals, typical, backwards),
        explanation="\n\n".join((*_worked(evidence, signals, sizes, backwards), explain_first_loss(curve))),
        facts=_facts(curve, typical, backwards),
        pictures=(gradient_bars(signals), loss_curve(curve, evidence.classes)),
        layers=tuple(stage.name for stage in signals if _large(stage, sizes, signals)),
        steps=(1, 1),
        ruled_out=("The learning rate alone: gradients were measured before any weight had moved.",),
        changes=fixes.applicable_changes(
            (fixes.reinitialize(recipe), fixes.add_batch_norm(recipe), fixes.standardize_pixels()), recipe
        ),
        explains=(*EXPLODING_FOLLOWS, *OVER_FITTING) if flat else EXPLODING_FOLLOWS,
    )


def saturated(evidence: Evidence) -> bool:
    """Return whether most tanh layers output ±1 for nearly everything at the first step."""
    look, names = first_look(evidence), {layer.name for layer in evidence.layers if layer.type == "Tanh"}
    spreads = [layer.spread for layer in look.layers if layer.name in names and layer.spread] if look else []
    return bool(spreads) and median(spreads) >= SATURATED


def _verdict(signals: tuple[LayerSignal, ...], typical: float, backwards: float) -> str:
    if typical >= EXPLODED:
        return f"At the first step gradients are {short(typical)} times as large as the weights they change."
    first, last = signals[0].name, signals[-1].name
    return f"Gradients grow {short(backwards)}-fold on their way back from '{last}' to '{first}'."


def _worked(
    evidence: Evidence, signals: tuple[LayerSignal, ...], sizes: dict[str, float], backwards: float
) -> tuple[str, ...]:
    first, last, rate = signals[0], signals[-1], evidence.recipe.lr
    each = backwards ** (1 / (len(signals) - 1))
    lines = [
        "A layer's gradient is the next one's, multiplied by that one's weights and by the slope of the "
        "activation between them. Factors above 1 multiply to a great deal over many layers (Bengio, "
        "Simard and Frasconi, 1994).",
        f"Measured at the first step: the norm is {short(last.at.gradient or 0)} at '{last.name}' and "
        f"{short(first.at.gradient or 0)} at '{first.name}', {len(signals) - 1} layers further back: "
        f"{short(each)} for each layer.",
    ]
    if sizes:
        name = max(sizes, key=lambda layer: sizes[layer])
        lines.append(
            f"A step of plain gradient descent moves a layer by rate × gradient. The gradient of '{name}' is "
            f"{short(sizes[name])} times its weights: at a rate of {rate:g} a step moves it by {rate:g} · "
            f"{short(sizes[name])} = {short(rate * sizes[name])} of its size, where a thousandth is usual."
        )
    return tuple(lines)


def _facts(curve: LossCurve, typical: float, backwards: float) -> tuple[Fact, ...]:
    by_weights = (Fact("gradient by weights, median layer", typical, short(typical)),) if typical else ()
    return (
        Fact("first layer's gradient by the last one's", backwards, short(backwards)),
        *by_weights,
        Fact("first loss", curve.start, f"{short(curve.start)} (chance level: {fixed(curve.chance, 3)})"),
    )


def _large(stage: LayerSignal, sizes: dict[str, float], signals: tuple[LayerSignal, ...]) -> bool:
    by_last = (stage.at.gradient or 0.0) / (signals[-1].at.gradient or 1.0)
    return sizes.get(stage.name, 0.0) >= EXPLODED or by_last >= BACKWARDS


def _by_weights(evidence: Evidence, signals: tuple[LayerSignal, ...]) -> dict[str, float]:
    """Return each layer's gradient-to-weight ratio at the first step of SGD, whose step is rate × gradient.

    Empty with gradient clipping, where the step shows the clipped length.
    """
    rates, recipe = evidence.curve("lr"), evidence.recipe
    plain = recipe.optimiser in ("sgd", "nesterov") and not recipe.clip_norm
    if not plain or not rates.steps or rates.steps[0] != 1:
        return {}
    ahead = 1 + recipe.momentum if recipe.optimiser == "nesterov" else 1.0
    times = rates.values[0] * ahead
    return {stage.name: stage.at.update / times for stage in signals if stage.at.update and times > 0}


# Vanishing gradients at initialization.

VANISHING_FOLLOWS = ("one-class", "rate-too-low", "too-few-steps", "under-fitting", "input-scale")


@rule(
    "vanishing-gradients",
    title="Vanishing gradients",
    summary="Gradients shrink from layer to layer on their way back, so that the first layers do not learn.",
    live=True,
)
def vanishing_gradients(evidence: Evidence) -> Outcome:
    """Detect a first-layer gradient below a thousandth of the last layer's, in a run that does not learn."""
    signals = tuple(
        stage for stage in layer_signals(evidence, first_look(evidence)) if stage.at.gradient is not None
    )
    curve = summarize_loss(evidence)
    if curve is None or len(signals) < 3:
        return Inconclusive("The first step was not looked at, or the network has too few layers to compare.")
    first, last = signals[0].at.gradient or 0.0, signals[-1].at.gradient or 0.0
    if not vanishes_at_start(evidence):
        return Negative(
            f"At the first step '{signals[0].name}' has a gradient of {short(first)}, '{signals[-1].name}' "
            f"{short(last)}."
        )
    if not curve.stuck:
        return Negative(
            f"The first layer's gradient is small at first, but the loss fell to {fixed(curve.end)}."
        )
    return _vanishing(evidence, signals, curve, first / last)


def _vanishing(
    evidence: Evidence, signals: tuple[LayerSignal, ...], curve: LossCurve, ratio: float
) -> Finding:
    flat = sorted({fact.type for fact in evidence.layers if fact.type in fixes.SATURATING})
    each = ratio ** (1 / (len(signals) - 1))
    reason = _flat_reason(evidence, flat, each) if flat else explain_scaling()
    recipe = evidence.recipe
    first, last = signals[0].at.gradient or 0.0, signals[-1].at.gradient or 0.0
    changes = (fixes.use_relu(recipe), fixes.add_batch_norm(recipe), fixes.reinitialize(recipe))
    return Finding(
        cause="vanishing-gradients",
        confidence=0.7 if evidence.step < YOUNG else 0.95,
        effect=1.0,
        verdict=f"The gradient of '{signals[0].name}' is {short(ratio)} of that of '{signals[-1].name}': the "
        "first layers do not learn.",
        explanation="\n\n".join((
            "A layer's gradient is the next one's, multiplied by that one's weights and by the slope of the "
            "activation between them. Factors below 1 multiply to nothing over many layers (Hochreiter, "
            "1991).",
            reason,
            f"Measured at the first step: '{signals[-1].name}' has a gradient of norm "
            f"{short(signals[-1].at.gradient or 0)}, '{signals[0].name}' one of "
            f"{short(signals[0].at.gradient or 0)}, {len(signals) - 1} layers further back: {short(each)} "
            "for "
            f"each layer. The loss ends at {fixed(curve.end, 3)}, chance level is {fixed(curve.chance, 3)}.",
        )),
        facts=(
            Fact("first layer's gradient", first, short(first)),
            Fact("last layer's gradient", last, short(last)),
            Fact("passed on by a layer", each, short(each)),
            curve.fact,
        ),
        pictures=(gradient_bars(signals), loss_curve(curve, evidence.classes)),
        layers=tuple(stage.name for stage in signals if (stage.at.gradient or 0) < 0.03 * last),
        steps=(1, evidence.step),
        ruled_out=("The learning rate: gradients were measured before any weight had moved.",),
        changes=fixes.applicable_changes(changes, recipe),
        explains=(*VANISHING_FOLLOWS, *_dies_later(evidence)) if flat else (),
    )  # fmt: skip


def _dies_later(evidence: Evidence) -> tuple[str, ...]:
    return () if dead_at_initialization(evidence) else ("dead-relu",)


def _flat_reason(evidence: Evidence, flat: list[str], each: float) -> str:
    count = sum(fact.type in flat for fact in evidence.layers)
    if flat == ["Sigmoid"]:
        return (
            f"The slope of a sigmoid is at most 1/4. {count} of them make at most (1/4)^{count} = "
            f"{short(0.25**count)} of a gradient, and weights below 1 take more. A ReLU's slope is 1 where "
            "it is on."
        )
    return (
        f"The slope of tanh is 1 at 0 and falls to 0.07 at ±2. Where its {count} activations get large "
        "values, each hands back a small part only. A ReLU's slope is 1 where it is on."
    )


# NaN or Inf loss: a symptom more than a cause, with the layer where it began.

LARGEST = 3.4e38
"""Largest 32-bit floating-point number (IEEE 754); bfloat16 has the same range."""
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
    """Detect a NaN or Inf loss: from the record of its origin, the run's error, or a history's curve."""
    if evidence.nonfinite_input:
        return _nonfinite_input()
    if evidence.loop is not None and (steps := evidence.loop.count("nonfinite_rates")):
        return _nonfinite_rate(steps)
    nonfinite = evidence.nonfinite
    loss = evidence.curves.get("train/loss") or evidence.curves.get("train/epoch_loss") or Points()
    broken = first_nonfinite(loss) if evidence.kind != "trained" else None
    failed = "no longer a finite number" in (evidence.error or "")
    if nonfinite is None and broken is None and not failed:
        if not evidence.step:
            return Inconclusive("No step was made.")
        counted = evidence.data.counted_in or "steps"
        return Negative(f"The loss was a finite number in all {evidence.step:,} {counted}.")
    step = nonfinite.step if nonfinite else broken or evidence.step
    known_rate = "lr" not in evidence.unknown
    origin = (
        _WHERE.get(nonfinite.what, _WHERE["loss"]).format(nonfinite.layer)
        if nonfinite
        else "the place was not recorded"
    )
    curve, recipe = summarize_loss(evidence), evidence.recipe
    pictures = (update_lines(evidence), *((loss_curve(curve, evidence.classes),) if curve else ()))
    return Finding(
        cause="non-finite",
        confidence=0.99,
        effect=1.0,
        verdict=f"At step {step:,} the loss was no longer a finite number: {origin}.",
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
            *((Fact("learning rate", recipe.lr, f"{recipe.lr:g}"),) if known_rate else ()),
            *((Fact("last finite loss", last := curve.loss.values[-1], short(last)),) if curve else ()),
        ),
        pictures=pictures if evidence.looks or curve else (_nothing(step),),
        layers=(nonfinite.layer,) if nonfinite and nonfinite.layer else (),
        steps=(step, step),
        changes=fixes.applicable_changes(
            (
                suggest_learning_rate(evidence)
                or fixes.change_learning_rate(
                    recipe, recipe.lr / 10, "A tenth of the rate: steps that do not overshoot."
                ),
                fixes.add_batch_norm(recipe),
            ),
            recipe,
        )
        if known_rate
        else (),
        fix=None if known_rate else CodeFix("Use a tenth of the learning rate: steps that do not overshoot."),
    )  # fmt: skip


def _nonfinite_input() -> Finding:
    return Finding(
        cause="non-finite",
        confidence=0.99,
        effect=1.0,
        verdict="The network reads NaN or infinite values: there are some in the very first batch.",
        explanation=(
            "One NaN or infinite value makes every sum that it enters NaN: the output, the loss, all "
            "gradients and, after one step, all weights. It is in the input already, so that neither the "
            "network nor the learning rate is to blame. Usual origins are a missing value in a file, a "
            "division by a standard deviation of 0 (a constant column or pixel), and the logarithm of 0."
        ),
        facts=(Fact("first batch", 1.0, "with NaN or infinite values"),),
        steps=(1, 1),
        fix=CodeFix(
            "Find and replace them before training.",
            "print(torch.isfinite(images).all())\nimages = (images - mean) / std.clamp_min(1e-6)",
        ),
        hides=tuple(sorted(set(rules()) - INDEPENDENT)),
    )


def _nonfinite_rate(steps: int) -> Finding:
    return Finding(
        cause="non-finite",
        confidence=0.99,
        effect=1.0,
        verdict=f"The learning rate was NaN or infinite in {counted(steps, 'step')}.",
        explanation=(
            "A step is the learning rate times a direction. With a rate that is no finite number all weights "
            "are NaN or infinite after one step, and so is everything computed with them. A schedule usually "
            "gets there by dividing by a number of steps or epochs that is 0, or by growing without end."
        ),
        facts=(Fact("steps with such a rate", float(steps), f"{steps:,}"),),
        fix=CodeFix(
            "Look at the rate that the schedule sets, and give the optimizer a finite one.",
            "print(scheduler.get_last_lr(), optimizer.param_groups[0]['lr'])",
        ),
        explains=tuple(sorted(set(rules()) - INDEPENDENT)),
    )


def _growth(evidence: Evidence) -> str:
    spreads = [
        (look.step, layer.spread)
        for look in evidence.looks
        for layer in look.layers[-1:]
        if layer.spread is not None
    ]
    if not evidence.looks:
        return "How the values grew was not recorded."
    if len(spreads) < 2:
        return "It happened so early that no growth was recorded."
    (first, before), (last, after) = spreads[0], spreads[-1]
    return (
        f"In this run the last layer's outputs had a standard deviation of {short(before)} at step "
        f"{first:,} and of {short(after)} at step {last:,}."
    )


def _nothing(step: int) -> Lines:
    return Lines(title="No step before it was recorded", series=(Series("step", (float(step),), (None,)),))
