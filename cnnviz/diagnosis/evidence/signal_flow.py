"""Signal propagation through the layers at initialization, from the first step, with worked numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cnnviz.diagnosis.evidence.evidence import Evidence
from cnnviz.diagnosis.evidence.layer_signals import (
    Initialization,
    LayerSignal,
    before_dropout,
    first_look,
    initializations,
    layer_signals,
)
from cnnviz.diagnosis.evidence.learning_curves import LossCurve, summarize_loss
from cnnviz.diagnosis.numbers import fixed, short

ALIKE = 0.01
"""Least signal relative to a layer's outputs. Networks that learn have 0.03 or more (LeNet-5, AlexNet, VGG,
GoogLeNet and ResNet with PyTorch's and He's initialization); below 0.01 the next layer, whose weights
have an error of that order after a step, gets nearly the same input for every image.
"""
SHRUNK = 1e-3
"""Least signal at the last layer before dropout, relative to the input's standard deviation: gradients of
the first layers are smaller by that factor, and a thousand times as many steps are needed.
"""

WIDE = 5.0
"""Input standard deviation: initializations are designed for 1 (LeCun et al., "Efficient BackProp", 1998);
five times as much makes first gradients some 25 times too large, more than learning rates can be off.
"""
FAINT = 0.05
"""Input standard deviation: pixels in [0, 1] have 0.2 to 0.35, low-contrast images a tenth; below, images
are nearly uniform, and the signal may be lost before the network.
"""


@dataclass(frozen=True)
class SignalPropagation:
    """Signal propagation at initialization up to the first dropout, and the loss curve."""

    stages: tuple[LayerSignal, ...]
    entering: float
    curve: LossCurve

    @property
    def last(self) -> LayerSignal:
        """Last layer before dropout."""
        return self.stages[-1]

    @property
    def share(self) -> float:
        """Signal at the last layer, relative to the input's standard deviation."""
        return (self.last.at.signal or 0.0) / max(self.entering, 1e-30)

    @property
    def least_relative_signal(self) -> float:
        """Least signal of any layer relative to its outputs."""
        return min(stage.relative_signal or 0.0 for stage in self.stages)

    @property
    def is_weak(self) -> bool:
        """Whether too little signal is propagated."""
        return self.share < SHRUNK or self.least_relative_signal < ALIKE


def signal_propagation(evidence: Evidence) -> SignalPropagation | None:
    """Return the signal propagation at the first step; None where it cannot be compared.

    That is for a batch of one image, or too few layers before dropout.
    """
    curve, flow = (
        summarize_loss(evidence),
        before_dropout(evidence, layer_signals(evidence, first_look(evidence))),
    )
    flow = tuple(stage for stage in flow if stage.at.signal is not None)
    if curve is None or evidence.input is None or len(flow) < 2 or evidence.recipe.batch_size < 2:
        return None
    return SignalPropagation(flow, evidence.input.spread, curve)


def explain_scaling() -> str:
    """Explain the scaling rule of weight initialization."""
    return (
        "Each output of a layer is a sum of n products of inputs and weights. If the weights are drawn with "
        "standard deviation σ, inputs of size 1 get standard deviation σ·√n. He's rule chooses σ = "
        "√(2/n), so that σ·√n = √2, and a ReLU, which keeps half of it, passes on as much as came in (He et "
        "al., 2015). A smaller σ shrinks the signal in every layer, a larger one blows it up, and the "
        "factors multiply."
    )


def explain_layers(evidence: Evidence, propagation: SignalPropagation) -> tuple[str, ...]:
    """Work out the two layers farthest from He initialization, where known, and the whole network."""
    initial = initializations(evidence)
    named = [(stage, initial[stage.name]) for stage in propagation.stages if stage.name in initial]
    if not named:
        return (_explain_network(propagation),)
    # Layers with the same initialization are worked out once.
    unlike = {(weights.std, weights.fan_in): (stage, weights) for stage, weights in reversed(named)}
    farthest = sorted(unlike.values(), key=lambda item: -abs(math.log(item[1].std / item[1].he)))[:2]
    lines = [
        _explain_layer(stage, weights)
        for stage, weights in sorted(farthest, key=lambda item: named.index(item))
    ]
    return (" ".join(lines), _explain_network(propagation))


def _explain_layer(stage: LayerSignal, weights: Initialization) -> str:
    gain, n = weights.std * math.sqrt(weights.fan_in), weights.fan_in
    return (
        f"In '{stage.name}' n is {n:,} and σ is {short(weights.std)}: {short(weights.std)}·√{n:,} = "
        f"{short(gain)} where He's rule has √(2/{n:,}) = {short(weights.he)}, that is "
        f"{short(weights.he)}·√{n:,} = 1.41."
    )


def _explain_network(propagation: SignalPropagation) -> str:
    count, left = len(propagation.stages), propagation.last.at.signal or 0.0
    each = propagation.share ** (1 / count) if propagation.share > 0 else 0.0
    return (
        "Measured in this run at its first step: images enter with a standard deviation of "
        f"{short(propagation.entering)}; what "
        f"differs from image to image at '{propagation.last.name}' is {short(left)}. That is a factor of "
        f"{short(propagation.share)} over {count} layers, {short(each)} for each."
    )


def explain_biases(evidence: Evidence, propagation: SignalPropagation) -> tuple[str, ...]:
    """Explain the effect of biases with a constant initialization; empty without any."""
    initial = initializations(evidence)
    biased = [stage for stage in propagation.stages if stage.name in initial and initial[stage.name].bias]
    if not biased:
        return ()
    stage = min(biased, key=lambda candidate: candidate.relative_signal or 1.0)
    return (
        f"Its biases drown what is left: '{stage.name}' begins with {initial[stage.name].bias:g} in every "
        f"bias, the same for all images, so its outputs have a mean of {short(stage.at.mean or 0)}, while "
        f"images differ by {short(stage.at.signal or 0)}: {short(stage.relative_signal or 0)} of their size.",
    )


def explain_gradients(evidence: Evidence) -> str:
    """Explain the effect on gradients."""
    with_gradient = [stage for stage in layer_signals(evidence, first_look(evidence)) if stage.at.gradient]
    if len(with_gradient) < 2:
        return "Gradients shrink by the same factors on their way back."
    first, last = with_gradient[0], with_gradient[-1]
    ratio = (first.at.gradient or 0) / (last.at.gradient or 1)
    return (
        "Gradients pass the same weights on their way back and shrink alike: their norm is "
        f"{short(last.at.gradient or 0)} at '{last.name}' and {short(first.at.gradient or 0)} at "
        f"'{first.name}', {short(ratio)} of it. So the last layer learns how common each class is, which "
        "leads to the loss at chance level, and the layers that should see images stay as they were drawn."
    )


def explain_saturation(widest: LayerSignal) -> str:
    """Explain the saturation of tanh at values far from 0."""
    spread = widest.at.spread or 0.0
    slope = 1 - math.tanh(min(spread, 15.0)) ** 2
    return (
        f"'{widest.name}' gives values with standard deviation {short(spread)}. Tanh is flat there: its "
        "slope at "
        f"{short(spread)} is 1 - tanh²({short(spread)}) = {short(slope)}, so most units answer ±1 whatever "
        "the image, and few of them can learn. Weights by Glorot's rule, σ = √(2/(n in + n out)), keep "
        "values near 0, where the slope is 1."
    )


def explain_first_loss(curve: LossCurve) -> str:
    """Explain why overconfident logits begin with a large loss."""
    return (
        "Logits that are far apart make a certain answer, and before learning most certain answers are "
        f"wrong: the first loss is {short(curve.start)}, chance has {fixed(curve.chance, 3)}. Gradients "
        "are as much too large, so that the first steps throw the weights about."
    )
