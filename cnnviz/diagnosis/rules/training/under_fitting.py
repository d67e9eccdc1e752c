"""Rule on underfitting: a network too small for its task."""

from __future__ import annotations

import math

from cnnviz.diagnosis.alternative_networks import (
    LARGER,
    registered_model,
    small_network,
    widen,
    widen_bottlenecks,
)
from cnnviz.diagnosis.evidence import Evidence
from cnnviz.diagnosis.evidence.layer_signals import died_in_tiny_network, tiny_layer
from cnnviz.diagnosis.evidence.learning_curves import AccuracySummary, accuracy_figure, accuracy_summary
from cnnviz.diagnosis.finding import Bars, Change, Fact, Finding
from cnnviz.diagnosis.numbers import counted, percent
from cnnviz.diagnosis.rules import Inconclusive, Negative, Outcome, rule
from cnnviz.diagnosis.rules.training.initialization import by_chance

ENOUGH_WEIGHTS, FEW_WEIGHTS = 1.0, 0.1
"""Parameters relative to one fully connected layer from pixels to classes, the smallest network that reads
everything. LeNet-5 has eight times as many. Convolutions with global average pooling (Lin et al.,
"Network in network", 2014) share weights and need fewer, so that up to 1 they count only where the loss
no longer falls; below 0.1 layers have a handful of channels.
"""
NARROW = 1.0
"""Least values per class that each layer has to pass on: with fewer, classes share them."""
WIDTH = 4
"""Values per class to which a bottleneck is widened: LeNet-5's narrowest layer has 84 for ten."""
SOMETHING = 0.2
"""Chance-corrected training accuracy below which a network of some size has another problem."""
MUCH = 0.8
"""The same, from which a network that is not tiny is not called too small."""
FLAT = 0.03
"""Relative fall of the loss over the last third of the run below which more epochs do not help."""


@rule(
    "under-fitting",
    title="Under-fitting: too small a network",
    summary="The network has too few weights to tell the classes apart, however long it learns.",
    moves={"params": "up"},
)
def under_fitting(evidence: Evidence) -> Outcome:
    """Detect a tiny network that fits neither training nor held-out images."""
    now = accuracy_summary(evidence)
    if now is None or not evidence.params or len(evidence.data.shape) != 3:
        return Inconclusive(
            "No epoch has ended yet, so nobody knows how well the training images are learned."
        )
    if now.fits_training or now.well:
        return Negative(
            f"The network knows {percent(max(now.train_accuracy, now.held_out_accuracy))} of the images."
        )
    if now.gap > max(0.1, 3 * now.error):
        return Negative(f"Training images are known {100 * now.gap:.0f} points better than others.")
    linear = (math.prod(evidence.data.shape) + 1) * evidence.classes
    times, narrow = evidence.params / linear, _narrowest(evidence)
    thin = narrow is not None and narrow[1] < NARROW * evidence.classes
    if now.above(now.train_accuracy) >= MUCH and times >= FEW_WEIGHTS:
        return Negative(f"The network knows {percent(now.train_accuracy)} of its training images.")
    came_to_rest = _flat(_gained(evidence)) and now.above(now.train_accuracy) > SOMETHING
    small = times < (ENOUGH_WEIGHTS if came_to_rest else FEW_WEIGHTS)
    if not small and not thin:
        return Negative(
            f"It has {evidence.params:,} weights, {times:,.1f} times as many as one fully connected layer "
            f"from pixels to classes ({linear:,})"
            + (": room enough." if times >= ENOUGH_WEIGHTS else ", and its loss has not stopped falling.")
        )
    return _finding(evidence, now, linear, narrow if thin else None)


def _finding(
    evidence: Evidence, now: AccuracySummary, linear: int, narrow: tuple[str, int] | None
) -> Finding:
    gained, few_weights = _gained(evidence), evidence.params < linear * FEW_WEIGHTS
    confidence = 0.6 + 0.15 * few_weights + 0.1 * (narrow is not None) + 0.08 * _flat(gained)
    flat = ""
    if _flat(gained):
        flat = f" Over the last third of the run its loss {_fell(gained)}: more epochs will not fix it."
    thin = (
        f" At its narrowest, '{narrow[0]}', only "
        f"{counted(narrow[1], 'value carries', 'values carry')} all that is known of "
        f"{evidence.classes} classes."
        if narrow
        else ""
    )
    least = tiny_layer(evidence)
    luck = (
        f" In '{least}' so few units are left to chance: all of them may be off at once, from the start or "
        "later, and no other stands in for them."
        if least
        else ""
    )
    return Finding(
        cause="under-fitting",
        confidence=confidence,
        effect=0.8 * max(0.3, now.lost),
        verdict=(
            f"With {evidence.params:,} weights the network is too small: it knows "
            f"{percent(now.train_accuracy)} of "
            "its own training images."
        ),
        explanation=(
            f"The network knows {percent(now.train_accuracy, 1)} of the images it learns from and "
            f"{percent(now.held_out_accuracy, 1)} of others: it memorizes nothing, because it has "
            f"nowhere to keep it.\n\nAn image has {' × '.join(map(str, evidence.data.shape))} = "
            f"{math.prod(evidence.data.shape):,} values. One fully connected layer from there to "
            f"{evidence.classes} classes would have ({math.prod(evidence.data.shape):,} + 1) · "
            f"{evidence.classes} = {linear:,} weights, this network has "
            f"{evidence.params:,}.{thin}{luck}{flat}"
        ),
        facts=(
            Fact("weights", evidence.params, f"{evidence.params:,}"),
            Fact("of one layer from pixels to classes", linear, f"{linear:,}"),
            *now.facts,
        ),
        pictures=(
            _widths(evidence, narrow),
            accuracy_figure(evidence, "Neither learned nor held-out images are known"),
        ),
        layers=(narrow[0],) if narrow else (),
        ruled_out=(
            f"Over-fitting: others are known to {percent(now.held_out_accuracy)}, nearly as well as the "
            "training images.",
        ),
        changes=_larger(evidence, narrow is not None, few_weights),
        explains=("one-class", "too-few-steps", "rate-too-low", *_by_chance(evidence)),
    )


def _by_chance(evidence: Evidence) -> tuple[str, ...]:
    """Return what happens to layers of a handful of units by chance: all die, or little signal passes."""
    dead = ("dead-relu",) if died_in_tiny_network(evidence) else ()
    return (*dead, "initialisation") if by_chance(evidence) else dead


def _flat(gained: float | None) -> bool:
    """Return whether the loss no longer falls."""
    return gained is not None and gained < FLAT


def _gained(evidence: Evidence) -> float | None:
    """Return the relative fall of the loss over the last third of the epochs; None for fewer than three."""
    loss = evidence.curve("train/epoch_loss")
    if len(loss) < 3:
        return None
    before, last = loss.values[-1 - len(loss) // 3], loss.values[-1]
    return (before - last) / max(before, 1e-9)


def _fell(part: float | None) -> str:
    return f"fell by {percent(part, 1)} only" if part and part >= 0.0005 else "did not fall"


def _narrowest(evidence: Evidence) -> tuple[str, int] | None:
    """Return the layer before the last with the fewest output values, and their number.

    A layer before one with larger maps is beside the way from image to classes, as a squeeze that scales
    channels is (Hu et al., 2018): images pass around it.
    """
    weighted = evidence.weighted()
    last = evidence.layers.index(weighted[-1]) if weighted else 0
    narrowest, largest = None, 0
    for layer in reversed(evidence.layers[:last]):
        area, size = math.prod(layer.out[1:]), math.prod(layer.out)
        if area >= largest and (narrowest is None or size <= narrowest[1]):
            narrowest = layer.name, size
        largest = max(largest, area)
    return narrowest


def _larger(evidence: Evidence, narrow: bool, few_weights: bool) -> tuple[Change, ...]:
    """Propose a larger network: its bottleneck widened, or all of it where parameters are few."""
    recipe = evidence.recipe
    if recipe.layers is None:
        name = LARGER.get(recipe.model)
        return (Change(registered_model(name), f"{name}, a larger network for such images."),) if name else ()
    # Sixteen channels in the narrowest layer, as most small networks begin with.
    times = max(
        2, math.ceil(16 / min((layer.out[0] for layer in evidence.weighted()[:-1] if layer.out), default=8))
    )
    larger, reason = widen(recipe.layers, times), f"{times} times as many maps and units in every layer."
    if narrow:
        base = recipe.changed(larger).layers if few_weights else recipe.layers
        larger = widen_bottlenecks(base or recipe.layers, WIDTH * evidence.classes)
        each = (
            f"Every layer passes on at least {WIDTH} · {evidence.classes} = {WIDTH * evidence.classes} values"
        )
        reason = f"{each}; {reason[:1].lower()}{reason[1:]}" if few_weights else f"{each}."
    if recipe.changed(larger) != recipe:
        return (Change(larger, reason),)
    channels, height, width = recipe.layers.input
    network = small_network((channels, height, width), evidence.classes)
    return (Change(network, "Two convolutions before the fully connected layer."),) if height >= 8 else ()


def _widths(evidence: Evidence, narrow: tuple[str, int] | None) -> Bars:
    layers = [layer for layer in evidence.weighted() if layer.out]  # one that has not run has no output
    return Bars(
        title="Maps or units of each layer",
        names=tuple(layer.name for layer in layers),
        values={"maps or units": tuple(float(layer.out[0]) for layer in layers)},
        y_label="maps or units",
        reference=("classes", float(evidence.classes)),
        marked=(narrow[0],) if narrow else (),
        alt="; ".join(f"{layer.name} {layer.out[0]}" for layer in layers[:12]) + ".",
    )
