"""Layer signals: statistics of the layers with weights at a step, their initialization, and dead ReLUs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from cnnviz import models
from cnnviz.diagnosis.evidence import Evidence, LayerAt, LayerFact, Look
from cnnviz.diagnosis.evidence.learning_curves import LossCurve, summarize_loss
from cnnviz.diagnosis.numbers import fixed, short
from cnnviz.models.layer_list_edit import fan_in
from cnnviz.models.layers import Conv, Linear
from cnnviz.models.layers.base import pair
from cnnviz.models.layers.layer_list import Step
from cnnviz.training.recipe import side_for, spec_for

USUAL_UPDATE = 1e-3
"""Usual update-to-weight ratio: a rule of thumb (Karpathy, CS231n notes)."""


@dataclass(frozen=True)
class LayerSignal:
    """Statistics of one layer with weights at one step."""

    fact: LayerFact
    at: LayerAt

    @property
    def name(self) -> str:
        """Layer name."""
        return self.fact.name

    @property
    def relative_signal(self) -> float | None:
        """Signal by the outputs' root mean square: near 0 all images look alike to the next layer."""
        at = self.at
        if at.signal is None or at.spread is None or at.mean is None:
            return None
        return at.signal / max(math.hypot(at.mean, at.spread), 1e-30)


@dataclass(frozen=True)
class Initialization:
    """Initialization of a layer: standard deviation of the weights, and the biases if constant."""

    std: float
    bias: float | None
    fan_in: int

    @property
    def he(self) -> float:
        """√(2/fan_in), with which a ReLU network preserves its signal (He et al., 2015)."""
        return math.sqrt(2 / max(self.fan_in, 1))


def layer_signals(evidence: Evidence, look: Look | None) -> tuple[LayerSignal, ...]:
    """Return the statistics of the layers with weights, in the order of the network."""
    if look is None:
        return ()
    by_name = {layer.name: layer for layer in look.layers}
    return tuple(
        LayerSignal(fact, by_name[fact.name]) for fact in evidence.weighted() if fact.name in by_name
    )


def before_dropout(evidence: Evidence, signals: Sequence[LayerSignal]) -> tuple[LayerSignal, ...]:
    """Return the layers before the first dropout, whose noise differs between images as a signal does."""
    names = [fact.name for fact in evidence.layers]
    noisy = (
        fact.name
        for fact in evidence.layers
        if fact.type.startswith(("Dropout", "StochasticDepth")) and _is_active(evidence, fact)
    )
    first = next(noisy, None)
    if first is None:
        return tuple(signals)
    return tuple(stage for stage in signals if names.index(stage.name) < names.index(first))


def _is_active(evidence: Evidence, fact: LayerFact) -> bool:
    """Return whether a dropout layer has a rate above 0, as is known of a watched network; else True."""
    has_rate = evidence.dropout is not None and fact.type.startswith("Dropout")
    return not has_rate or (evidence.dropout or {}).get(fact.name, 0.0) > 0


def first_look(evidence: Evidence) -> Look | None:
    """Return the statistics at the first step, that is at initialization; None where missing."""
    return evidence.looks[0] if evidence.looks and evidence.looks[0].step == 1 else None


def typical_update_ratio(evidence: Evidence, last: int | None = None) -> float | None:
    """Return the median update-to-weight ratio over layers and recorded steps up to `last`."""
    ratios = [
        stage.at.update
        for look in evidence.looks
        if last is None or look.step <= last
        for stage in layer_signals(evidence, look)
        if stage.at.update is not None
    ]
    return median(ratios) if ratios else None


def initializations(evidence: Evidence) -> dict[str, Initialization]:
    """Return each layer's initialization, by name; empty for a network that is not sequential."""
    recipe = evidence.recipe
    try:
        options = None if recipe.layers else recipe.options
        layers = models.layer_list(spec_for(recipe), evidence.classes or None, side_for(recipe), options)
    except ValueError:
        return {}
    if layers is None or layers.problem():
        return {}
    return {
        step.name: _initialization_of(step)
        for step in layers.steps()
        if isinstance(step.layer, Conv | Linear)
    }


def _initialization_of(step: Step) -> Initialization:
    layer, entering, leaving = step.layer, step.input_shape, step.output_shape
    if not isinstance(layer, Conv | Linear) or entering is None or leaving is None:
        raise ValueError(f"'{step.name}' does not fit.")
    fan = fan_in(layer, entering)
    window = math.prod(pair(layer.kernel)) if isinstance(layer, Conv) else 1
    return Initialization(layer.init.deviation(fan, leaving[0] * window), layer.init.bias, fan)


# Dead ReLUs and their causes: biases, weights too small relative to biases, or a tiny layer.

DEAD_FRACTION = 0.9
"""Fraction of dead channels from which a layer counts as dead: a tenth of the channels is too little for a
network designed with all. In healthy layers up to half are 0 for a whole batch, in wide layers with
little signal.
"""
MAX_BELOW = 3.0
"""Standard deviations that a mean may be below 0: one value in 740 is above 0 then, a few per map."""
TINY_WIDTH = 4
"""Channels of a tiny layer: each is 0 about half of the time, so that all four are for one image in 16, and
there are hardly others to replace one that dies.
"""


def relu_names(evidence: Evidence) -> set[str]:
    """Return the names of the ReLU layers."""
    return {fact.name for fact in evidence.layers if fact.type == "ReLU"}


def dead_layers(look: Look, names: set[str]) -> list[LayerAt]:
    """Return those of these layers in which `DEAD_FRACTION` of the channels were 0 for a whole batch."""
    return [layer for layer in look.layers if layer.name in names and (layer.dead or 0.0) >= DEAD_FRACTION]


def dead_at_initialization(evidence: Evidence) -> list[LayerAt]:
    """Return the ReLU layers that were dead at the first step, before any update."""
    first = first_look(evidence)
    return dead_layers(first, relu_names(evidence)) if first else []


def has_zero_weights(evidence: Evidence) -> bool:
    """Return whether, at the first step, the first layer's outputs do not depend on images that differ."""
    signals, read = layer_signals(evidence, first_look(evidence)), evidence.input
    return bool(signals) and signals[0].at.signal == 0 and (read is None or read.spread > 0)


VANISHED = 1e-3
"""Ratio of the first layer's gradient to the last one's: the first needs a thousand steps for one of the
last. At initialization of networks that learn it is 0.02 to 10 (LeNet-5, AlexNet, VGG, GoogLeNet,
ResNet).
"""


def vanishes_at_start(evidence: Evidence) -> bool:
    """Return whether the gradient vanishes on its way to the first layer at the first step, and is not 0."""
    signals = layer_signals(evidence, first_look(evidence))
    gradients = [stage.at.gradient for stage in signals if stage.at.gradient is not None]
    return len(gradients) >= 3 and 0 < gradients[0] < VANISHED * gradients[-1]


def silent_layer(evidence: Evidence, look: Look | None) -> LayerAt | None:
    """Return the first layer whose values an activation function in code turns to 0 for every image.

    Such a function (`torch.relu`, `F.gelu`) is no layer, so that its outputs are not recorded. That nothing
    passes is seen around it: values far below 0 that differ between images, and not the least difference
    after the next layer. Weights that are far too small, which leave biases alone, are another cause.
    """
    if look is None or relu_names(evidence):
        return None
    for stage, following in itertools.pairwise(layer_signals(evidence, look)):
        at, entering = stage.at, evidence.input.spread if evidence.input else 0.0
        if at.mean is None or not at.spread or not at.signal or following.relative_signal is None:
            continue
        far_below = at.mean < -MAX_BELOW * at.spread and at.signal > 0.1 * entering
        if far_below and following.relative_signal < 1e-6:
            return at
    return None


def layer_before(evidence: Evidence, look: Look, name: str) -> str | None:
    """Return the layer with weights before `name`."""
    names = [layer.name for layer in look.layers]
    position = names.index(name)
    return next(
        (
            stage.name
            for stage in reversed(layer_signals(evidence, look))
            if names.index(stage.name) < position
        ),
        None,
    )


def he_std_at_dead_relu(evidence: Evidence) -> float | None:
    """Return the standard deviation that He initialization gives before the first ReLU born dead.

    None where even that leaves it dead, as its biases are too far below 0: then they are the cause.
    """
    first, dead = first_look(evidence), dead_at_initialization(evidence)
    before = layer_before(evidence, first, dead[0].name) if first and dead else None
    at, weights = (
        (first.of(before), initializations(evidence).get(before)) if first and before else (None, None)
    )
    if at is None or at.mean is None or at.spread is None or weights is None or weights.std <= 0:
        return None
    spread = at.spread * weights.he / weights.std
    return spread if -at.mean < MAX_BELOW * spread else None


def tiny_layer(evidence: Evidence) -> str | None:
    """Return the hidden layer with the fewest channels or units, if they are at most `TINY_WIDTH`."""
    hidden = [layer for layer in evidence.weighted()[:-1] if layer.out]
    least = min(hidden, key=lambda layer: layer.out[0], default=None)
    return least.name if least is not None and least.out[0] <= TINY_WIDTH else None


def died_in_tiny_network(evidence: Evidence) -> bool:
    """Return whether ReLUs died after initialization in a network with a tiny layer."""
    return tiny_layer(evidence) is not None and not dead_at_initialization(evidence)


# Signal propagation through the layers at initialization, from the first step, with worked numbers.

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

    That is for a batch of one image, or too few layers before dropout. A last layer that begins at zero on
    purpose is left out: it passes nothing on before its first step, and learns all the same.
    """
    curve, flow = (
        summarize_loss(evidence),
        before_dropout(evidence, layer_signals(evidence, first_look(evidence))),
    )
    parameters = evidence.loop.parameters if evidence.loop is not None else None
    zero = parameters.last if parameters is not None and parameters.last in parameters.constant else None
    flow = tuple(stage for stage in flow if stage.at.signal is not None and stage.name != zero)
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
