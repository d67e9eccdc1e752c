"""Layer signals: the layers with weights as a step saw them, their initial weights, and dead ReLUs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from cnnviz import models
from cnnviz.diagnosis.evidence.evidence import Evidence, LayerAt, LayerFact, Look
from cnnviz.models.layer_list_edit import fan_in
from cnnviz.models.layers import Conv, Linear
from cnnviz.models.layers.base import pair
from cnnviz.models.layers.layer_list import Step
from cnnviz.training.recipe import side_for, spec_for

USUAL_UPDATE = 1e-3
"""Part of its own size that a layer's weights move in a step: a rule of thumb (Karpathy, CS231n notes)."""


@dataclass(frozen=True)
class LayerSignal:
    """One layer with weights at one step."""

    fact: LayerFact
    at: LayerAt

    @property
    def name(self) -> str:
        """The layer's."""
        return self.fact.name

    @property
    def told_apart(self) -> float | None:
        """Signal by the size of the outputs, in [0, 1]: near 0 all images look alike to the next layer."""
        at = self.at
        if at.signal is None or at.spread is None or at.mean is None:
            return None
        return at.signal / max(math.hypot(at.mean, at.spread), 1e-30)


@dataclass(frozen=True)
class Weights:
    """How a layer's weights are drawn: standard deviation, and the constant of its biases where it is one."""

    std: float
    bias: float | None
    fan_in: int

    @property
    def he(self) -> float:
        """√(2/fan_in), with which a ReLU network keeps its signal (He et al., 2015)."""
        return math.sqrt(2 / max(self.fan_in, 1))


def stages(evidence: Evidence, look: Look | None) -> tuple[LayerSignal, ...]:
    """What a look saw of the layers with weights, in the order of the network."""
    if look is None:
        return ()
    seen = {layer.name: layer for layer in look.layers}
    return tuple(LayerSignal(fact, seen[fact.name]) for fact in evidence.weighted() if fact.name in seen)


def undisturbed(evidence: Evidence, seen: Sequence[LayerSignal]) -> tuple[LayerSignal, ...]:
    """Those before the first dropout, whose noise differs from image to image as a signal does."""
    names = [fact.name for fact in evidence.layers]
    noisy = (
        fact.name
        for fact in evidence.layers
        if fact.type.startswith(("Dropout", "StochasticDepth")) and _acts(evidence, fact)
    )
    first = next(noisy, None)
    if first is None:
        return tuple(seen)
    return tuple(stage for stage in seen if names.index(stage.name) < names.index(first))


def _acts(evidence: Evidence, fact: LayerFact) -> bool:
    """Whether a dropout layer drops anything: of a watched network it is known which do."""
    known = evidence.dropout is not None and fact.type.startswith("Dropout")
    return not known or (evidence.dropout or {}).get(fact.name, 0.0) > 0


def fresh(evidence: Evidence) -> Look | None:
    """The look at the first step: outputs and gradients of weights that have learned nothing."""
    return evidence.looks[0] if evidence.looks and evidence.looks[0].step == 1 else None


def typical_update(evidence: Evidence, last: int | None = None) -> float | None:
    """Median, over layers and looks up to step `last`, of the part of itself that weights moved."""
    moved = [
        stage.at.update
        for look in evidence.looks
        if last is None or look.step <= last
        for stage in stages(evidence, look)
        if stage.at.update is not None
    ]
    return median(moved) if moved else None


def starts(evidence: Evidence) -> dict[str, Weights]:
    """How the weights of each layer began, by its name; empty for what is no plain sequence of layers."""
    recipe = evidence.recipe
    try:
        options = None if recipe.layers else recipe.options
        layers = models.layer_list(spec_for(recipe), evidence.classes or None, side_for(recipe), options)
    except ValueError:
        return {}
    if layers is None or layers.problem():
        return {}
    return {step.name: _drawn(step) for step in layers.steps() if isinstance(step.layer, Conv | Linear)}


def _drawn(step: Step) -> Weights:
    layer, entering, leaving = step.layer, step.input_shape, step.output_shape
    if not isinstance(layer, Conv | Linear) or entering is None or leaving is None:
        raise ValueError(f"'{step.name}' does not fit.")
    fan = fan_in(layer, entering)
    window = math.prod(pair(layer.kernel)) if isinstance(layer, Conv) else 1
    return Weights(layer.init.deviation(fan, leaving[0] * window), layer.init.bias, fan)


# Dead ReLUs, and why they died: by their biases, by weights too small beside these, or in a tiny layer.

DEAD = 0.9
"""Of a layer's channels: what a tenth of them lets through is too little for a network that was planned with
all. Of healthy layers up to a half is 0 for a whole batch, in wide layers behind little signal."""
BELOW = 3.0
"""Standard deviations that a mean may lie below 0: one value in 740 is above it then, a few of every map."""
HANDFUL = 4
"""Channels: each is 0 about half of the time, so that all four are for one image in 16, and where one dies
there are hardly others to make up for it."""


def relus(evidence: Evidence) -> set[str]:
    """The names of the ReLU layers."""
    return {fact.name for fact in evidence.layers if fact.type == "ReLU"}


def dead(look: Look, names: set[str]) -> list[LayerAt]:
    """Those of these layers of which nine tenths were 0 for a whole batch."""
    return [layer for layer in look.layers if layer.name in names and (layer.dead or 0.0) >= DEAD]


def born_dead(evidence: Evidence) -> list[LayerAt]:
    """The ReLUs that were dead at the first step, before any weight had moved."""
    first = fresh(evidence)
    return dead(first, relus(evidence)) if first else []


def layer_before(evidence: Evidence, look: Look, name: str) -> str | None:
    """The layer with weights that `name` reads from."""
    names = [layer.name for layer in look.layers]
    place = names.index(name)
    return next(
        (stage.name for stage in reversed(stages(evidence, look)) if names.index(stage.name) < place), None
    )


def would_live(evidence: Evidence) -> float | None:
    """The spread that weights by He's rule would give what enters the first ReLU that was dead at birth.

    None where even that leaves it dead, as its biases lie too far below 0: then they are the reason.
    """
    first, born = fresh(evidence), born_dead(evidence)
    before = layer_before(evidence, first, born[0].name) if first and born else None
    at, weights = (first.of(before), starts(evidence).get(before)) if first and before else (None, None)
    if at is None or at.mean is None or at.spread is None or weights is None or weights.std <= 0:
        return None
    spread = at.spread * weights.he / weights.std
    return spread if -at.mean < BELOW * spread else None


def tiny(evidence: Evidence) -> str | None:
    """The layer with weights, the last one apart, with the fewest maps or units, if they are a handful."""
    hidden = [layer for layer in evidence.weighted()[:-1] if layer.out]
    least = min(hidden, key=lambda layer: layer.out[0], default=None)
    return least.name if least is not None and least.out[0] <= HANDFUL else None


def died_of_size(evidence: Evidence) -> bool:
    """Whether ReLUs that are dead now were not at birth, in a network with a tiny layer."""
    return tiny(evidence) is not None and not born_dead(evidence)
