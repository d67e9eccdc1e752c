"""Rule on weight initialization: signal that shrinks, drowns in biases or grows layer by layer."""

from __future__ import annotations

import math
from statistics import median

from cnnviz.diagnosis import fixes
from cnnviz.diagnosis.evidence import Evidence
from cnnviz.diagnosis.evidence.layer_signals import (
    ALIKE,
    FAINT,
    SHRUNK,
    WIDE,
    LayerSignal,
    SignalPropagation,
    dead_at_initialization,
    explain_biases,
    explain_first_loss,
    explain_gradients,
    explain_layers,
    explain_saturation,
    explain_scaling,
    first_look,
    has_zero_weights,
    he_std_at_dead_relu,
    initializations,
    layer_signals,
    signal_propagation,
    silent_layer,
    tiny_layer,
)
from cnnviz.diagnosis.evidence.learning_curves import WELL, accuracy_summary, summarize_loss
from cnnviz.diagnosis.evidence.loop import LoopParameters
from cnnviz.diagnosis.figures import gradient_bars, loss_curve, signal_bars
from cnnviz.diagnosis.finding import Change, CodeFix, Fact, Finding
from cnnviz.diagnosis.numbers import fixed, percent, short
from cnnviz.diagnosis.rules import Inconclusive, Negative, Outcome, rule
from cnnviz.diagnosis.rules.training.learning_rate import YOUNG

FOLLOWS = (
    "one-class", "input-scale", "vanishing-gradients", "exploding-gradients", "dead-relu", "non-finite",
    "rate-too-low", "rate-too-high", "too-few-steps", "schedule-ended", "batch-too-large", "under-fitting",
)  # fmt: skip
DEFAULT_FOLLOWS = ("one-class", "vanishing-gradients", "under-fitting", "too-few-steps")
"""What follows from torch's default weights where they pass little signal: not what else is wrong."""
LARGE = 4.0
"""Factor by which a layer scales independent values: He's rule has 1.4, trained networks up to 3."""
SETTLED = 500
"""Steps within which a network with torch's own weights may still be on its first plateau."""
MOSTLY = 0.7
"""Fraction of the weight tensors, of which small ones are not told."""
GROWN = 30.0
"""Signal gain from the input to the logits: logits that differ by 30 make a softmax certain before any
training.
"""
CERTAIN = 5.0
"""Standard deviation of the logits from which a softmax is certain of one class, before any training. He
initialization gives 1 to 2.
"""
SURPRISED = 3.0
"""Multiple of the chance-level loss at the first step. He initialization begins at up to 1.5 times, with
logits of standard deviation 1 to 2; at 3 times most first predictions are both certain and wrong.
"""
STEEP = 4.0
"""Standard deviation of the input of a saturating activation, relative to its own input. Glorot
initialization preserves it; tanh of values four times as wide is ±1 nearly everywhere, where its slope is
0.
"""


@rule(
    "initialisation",
    title="Poor weight initialization",
    summary="Weights and biases begin so that images' differences shrink, drown or explode layer by layer.",
    live=True,
)
def initialisation(evidence: Evidence) -> Outcome:
    """Detect an initialization that propagates too little or too much signal, without recovery."""
    parameters = evidence.loop.parameters if evidence.loop is not None else None
    if parameters is not None and _are_alike(parameters):
        return _constant(evidence, parameters.constant)
    propagation, large = signal_propagation(evidence), _large(evidence)
    if propagation is not None and _grows(evidence, propagation):
        return _growing(evidence, propagation)
    if large is not None:
        return large
    if propagation is None:
        return Inconclusive("The first step was not looked at, or not far enough to compare layers.")
    if propagation.is_weak and _is_default(evidence) and evidence.step < SETTLED:
        return Inconclusive(
            f"Little signal reaches '{propagation.last.name}' from the weights that torch drew, from which "
            f"most networks begin to learn, if later: {evidence.step:,} steps are too few to tell."
        )
    if propagation.is_weak:
        return _shrinking(evidence, propagation)
    return Negative(
        f"Fresh weights pass {short(propagation.share)} of the input's standard deviation on to "
        f"'{propagation.last.name}', and "
        f"{percent(propagation.least_relative_signal, 1)} or more of every layer's outputs tells images "
        "apart."
    )


def _large(evidence: Evidence) -> Finding | None:
    """Report a watched network whose first weights are several times as large as any rule draws them."""
    gains = evidence.loop.parameters.gains if evidence.loop is not None else {}
    large = {name: gain for name, gain in gains.items() if gain >= LARGE}
    recurrent = {name: gain for name, gain in large.items() if ".weight_hh" in name}
    curve = summarize_loss(evidence)
    if (not recurrent and 2 * len(large) < len(gains)) or not large or curve is None or curve.learned > WELL:
        return None
    name, gain = max((recurrent or large).items(), key=lambda pair: pair[1])
    listed = ", ".join(f"'{one}'" for one in list(large)[:3]) + (
        f" and {len(large) - 3} more" * (len(large) > 3)
    )
    return Finding(
        cause="initialisation",
        confidence=0.9,
        effect=1.0 - max(curve.learned, 0.0) / 2,
        verdict=f"The first weights of {listed} are far too large: '{name}' multiplies what it reads by "
        f"{short(gain)}, where usual ones have 0.6 to 1.4.",
        explanation=(
            "A layer whose weights have standard deviation s scales independent values by s·√fan_in. He's "
            "rule makes that 1.4, Glorot's about 1, torch's own 0.6. Larger by a factor, each layer "
            "multiplies by it: activations and softmax saturate, and a step that suits the rate changes "
            f"such weights by next to nothing. The loss began at {fixed(curve.start, 3)} and ended at "
            f"{fixed(curve.end, 3)}; chance level is {fixed(curve.chance, 3)}."
        ),
        facts=(
            Fact("layers with large weights", float(len(large)), f"{len(large)} of {len(gains)}"),
            Fact(f"scale of '{name}'", gain, short(gain)),
            curve.fact,
        ),
        layers=tuple(large),
        steps=(1, 1),
        ruled_out=("The learning rate: it was so before any weight had moved.",),
        fix=CodeFix(
            "Leave the weights as torch draws them, or draw them by He's rule.",
            "nn.init.kaiming_normal_(layer.weight, nonlinearity='relu')\nnn.init.zeros_(layer.bias)",
        ),
        explains=(*FOLLOWS, "labels-shuffled", "labels-noisy", "unstable-training"),
    )


def _are_alike(parameters: LoopParameters) -> bool:
    """Return whether at least half of the layers of a watched network began with equal weights.

    Outputs differ by their labels: a last layer alone learns from zeros, as a softmax regression does.
    """
    hidden = set(parameters.constant) - {parameters.last}
    return bool(hidden) and 2 * len(parameters.constant) >= parameters.weights


def _constant(evidence: Evidence, layers: tuple[str, ...]) -> Outcome:
    """Report a watched network that began with equal weights in most layers."""
    curve, names = summarize_loss(evidence), ", ".join(f"'{name}'" for name in layers[:3])
    more = f" and {len(layers) - 3} more" if len(layers) > 3 else ""
    if curve is not None and curve.learned > WELL:
        return Negative(f"All weights of {names}{more} began equal, but the run got over it.")
    return Finding(
        cause="initialisation",
        confidence=0.96,
        effect=1.0 if curve is None else 1.0 - max(curve.learned, 0.0) / 2,
        verdict=f"All weights of {names}{more} began with one value: all units of a layer are the same.",
        explanation=(
            "Units with the same weights give the same output and get the same gradient, so that they stay "
            "equal: a layer of any width is one of a single unit. With zeros nothing passes at all. Random "
            "weights break this symmetry."
        ),
        facts=(Fact("layers with equal weights", float(len(layers)), f"{len(layers)}"),),
        layers=layers,
        steps=(1, 1),
        ruled_out=("The learning rate: it was so before any weight had moved.",),
        fix=CodeFix(
            "Leave the weights as torch draws them, or draw them at random.",
            "nn.init.kaiming_normal_(layer.weight, nonlinearity='relu')\nnn.init.zeros_(layer.bias)",
        ),
        explains=(*FOLLOWS, "labels-shuffled", "labels-noisy"),
    )


def _grows(evidence: Evidence, propagation: SignalPropagation) -> bool:
    surprised = (
        propagation.curve.loss.steps[0] == 1
        and propagation.curve.start > SURPRISED * propagation.curve.chance
    )
    # Normalization between layers hides growth from input to logits, but not what the softmax makes of them.
    certain = propagation.entering <= WIDE and (propagation.last.at.spread or 0.0) > CERTAIN
    return ((propagation.share > GROWN or certain) and surprised) or (
        _flat_ended(evidence) and steepest(propagation.stages) > STEEP
    )


def steepest(signals: tuple[LayerSignal, ...]) -> float:
    """Return the geometric mean, over layers after the first, of the outputs' standard deviation."""
    later = [stage.at.spread for stage in signals[1:] if stage.at.spread]
    return math.exp(sum(map(math.log, later)) / len(later)) if later else 0.0


def _growing(evidence: Evidence, propagation: SignalPropagation) -> Outcome:
    now = accuracy_summary(evidence)
    if propagation.curve.learned > 0.9 and (now is None or now.well):
        return Negative(f"Signal grows {short(propagation.share)}-fold, but the run got over it.")
    flat = _flat_ended(evidence) and propagation.share <= GROWN
    grown = propagation.share > GROWN
    widest = max(propagation.stages, key=lambda stage: stage.at.spread or 0.0)
    largest_std = widest.at.spread or 0.0
    verdict = (
        f"Fresh weights are so large that '{widest.name}' gives values with standard deviation "
        f"{short(largest_std)}, where activations are flat."
        if flat
        else f"Signal grows {short(propagation.share)}-fold from the input to '{propagation.last.name}', "
        "before any learning."
        if grown
        else f"Fresh weights give logits of standard deviation {short(propagation.last.at.spread or 0.0)} "
        f"and a first loss of {short(propagation.curve.start)} (chance level: "
        f"{fixed(propagation.curve.chance, 3)}): certain, and wrong, before any learning."
    )
    slope = (explain_saturation(widest),) if flat else ()
    return Finding(
        cause="initialisation",
        confidence=0.95 if propagation.curve.learned < 0.5 else 0.75,
        effect=1.0 - max(propagation.curve.learned, 0.0) / 2,
        verdict=verdict,
        explanation="\n\n".join(
            (
                explain_scaling(),
                *explain_layers(evidence, propagation),
                *slope,
                explain_first_loss(propagation.curve),
            )
        ),
        facts=_facts(propagation),
        pictures=(
            signal_bars(evidence, propagation.stages, [propagation.last.name]),
            loss_curve(propagation.curve, evidence.classes),
        ),
        layers=tuple(stage.name for stage in propagation.stages),
        steps=(1, 1),
        ruled_out=_ruled_out(propagation),
        changes=_changes(evidence),
        explains=_follows(evidence),
    )


def _shrinking(evidence: Evidence, propagation: SignalPropagation) -> Outcome:
    if not propagation.curve.stuck and propagation.curve.learned > 0.3:
        return Negative(
            f"Little signal reaches '{propagation.last.name}' at first ({propagation.share:.1g} of the "
            f"input's), but the loss fell to {fixed(propagation.curve.end)} all the same."
        )
    if _sigmoid(evidence) and not _weak(evidence):
        return Negative(
            "Signal shrinks, but the weights are as large as they should be: it is the sigmoid that "
            "flattens it."
        )
    last = propagation.last
    if propagation.least_relative_signal >= ALIKE and not _unusual(evidence):
        return Negative(
            f"Only {short(propagation.share)} of the input's standard deviation reaches '{last.name}', but "
            f"of its outputs {percent(propagation.least_relative_signal, 1)} tells images apart, and no "
            "weights or biases are known to be out of the usual. LeNet-5 of 1998 begins so, and learns."
        )
    drowned = propagation.least_relative_signal < ALIKE and propagation.share >= SHRUNK
    verdict = (
        f"Only {short(propagation.least_relative_signal)} of the outputs of a layer tells images apart: the "
        "rest is the same for all of them."
        if drowned
        else f"Only {short(propagation.share)} of the images' standard deviation is left at '{last.name}', "
        "before anything is learned."
    )
    return Finding(
        cause="initialisation",
        confidence=_sureness(evidence, propagation),
        effect=1.0,
        verdict=verdict,
        explanation="\n\n".join(
            (
                explain_scaling(),
                *explain_layers(evidence, propagation),
                *explain_biases(evidence, propagation),
                explain_gradients(evidence),
            )
        ),
        facts=_facts(propagation),
        pictures=(
            signal_bars(evidence, propagation.stages, [last.name]),
            gradient_bars(layer_signals(evidence, first_look(evidence))),
            loss_curve(propagation.curve, evidence.classes),
        ),
        layers=tuple(stage.name for stage in propagation.stages),
        steps=(1, evidence.step),
        ruled_out=_ruled_out(propagation),
        changes=_changes(evidence),
        explains=DEFAULT_FOLLOWS if _is_default(evidence) else _follows(evidence),
    )


def _is_default(evidence: Evidence) -> bool:
    """Return whether a watched network began with torch's default weights, from which most networks learn."""
    parameters = evidence.loop.parameters if evidence.loop is not None else None
    return parameters is not None and parameters.default >= MOSTLY * max(parameters.weights, 1)


def _follows(evidence: Evidence) -> tuple[str, ...]:
    """Return the causes explained by it.

    ReLUs born dead are the more direct cause, unless the weights leave them dead. In a layer of a handful of
    units chance decides what passes: there usual weights are no cause.
    """
    born_dead = dead_at_initialization(evidence) or silent_layer(evidence, first_look(evidence))
    from_weights = he_std_at_dead_relu(evidence) or has_zero_weights(evidence)
    nearer = {"dead-relu"} if born_dead and not from_weights else set()
    further = {"under-fitting"} if by_chance(evidence) else set()
    return tuple(cause for cause in FOLLOWS if cause not in nearer | further)


def by_chance(evidence: Evidence) -> bool:
    """Return whether the initialization is usual, and a layer has only a handful of units."""
    return bool(initializations(evidence)) and not _unusual(evidence) and tiny_layer(evidence) is not None


def _sureness(evidence: Evidence, propagation: SignalPropagation) -> float:
    """Return the confidence: high for a stuck run with so little signal, unless it is young.

    AlexNet with PyTorch's initialization is near the limits: it needs some hundred steps, and then learns.
    """
    if _is_default(evidence):
        return 0.55
    if evidence.step < YOUNG or not propagation.curve.stuck:
        return 0.65
    least = min(propagation.share / SHRUNK, propagation.least_relative_signal / ALIKE)
    return 0.97 if least < 0.1 else 0.85 if least < 0.3 else 0.75


def _changes(evidence: Evidence) -> tuple[Change, ...]:
    recipe = evidence.recipe
    change, ways = fixes.reinitialize(recipe), [fixes.add_batch_norm(recipe)]
    if change is not None:
        ways = [change, *ways]
    if change is not None and recipe.scale != "standardised":
        reason = f"{change.why[:-1]}; it expects pixels of mean 0 and standard deviation 1."
        ways = [Change({**change.values, "scale": "standardised"}, reason), *ways]
    return fixes.applicable_changes(ways, recipe)


def _facts(propagation: SignalPropagation) -> tuple[Fact, ...]:
    return (
        Fact("standard deviation of the input", propagation.entering, short(propagation.entering)),
        Fact(
            f"signal at {propagation.last.name}",
            propagation.last.at.signal or 0.0,
            short(propagation.last.at.signal or 0.0),
        ),
        Fact("signal propagated", propagation.share, short(propagation.share)),
        Fact(
            "of a layer's outputs tells images apart, at the least",
            propagation.least_relative_signal,
            short(propagation.least_relative_signal),
        ),
        propagation.curve.fact,
    )


def _ruled_out(propagation: SignalPropagation) -> tuple[str, ...]:
    # The signals are from the first step, before any update; the input is checked to be of usual scale.
    rate = "The learning rate: all of this was measured at the first step, before any weight had moved."
    if not FAINT <= propagation.entering <= WIDE:
        return (rate,)
    return (
        rate,
        f"The input alone: its standard deviation is {short(propagation.entering)}, wide enough to tell "
        "images apart.",
    )


def _flat_ended(evidence: Evidence) -> bool:
    return any(fact.type in fixes.SATURATING for fact in evidence.layers) and not any(
        "BatchNorm" in fact.type for fact in evidence.layers
    )


def _sigmoid(evidence: Evidence) -> bool:
    return any(fact.type == "Sigmoid" for fact in evidence.layers)


def _unusual(evidence: Evidence) -> bool:
    """Return whether weights are known to be small, or biases constant."""
    return _weak(evidence) or any(weights.bias for weights in initializations(evidence).values())


def _weak(evidence: Evidence) -> bool:
    """Return whether weights are smaller than PyTorch's initialization, whose σ·√n is 0.58."""
    gains = [weights.std * math.sqrt(weights.fan_in) for weights in initializations(evidence).values()]
    return bool(gains) and median(gains) < 0.4
