"""Dead ReLUs, and why they died: by their biases, by weights too small beside these, or in a tiny layer."""

from __future__ import annotations

from cnnviz.diagnosis.evidence.evidence import Evidence, LayerAt, Look
from cnnviz.diagnosis.evidence.layer_signals import fresh, stages, starts

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
