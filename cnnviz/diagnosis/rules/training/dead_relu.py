"""Rule on dead ReLUs: 0 for every image, so that neither signal nor gradient passes."""

from __future__ import annotations

from cnnviz.diagnosis import fixes
from cnnviz.diagnosis.evidence import Evidence, LayerAt, Look
from cnnviz.diagnosis.evidence.layer_signals import (
    dead_layers,
    died_in_tiny_network,
    has_zero_weights,
    he_std_at_dead_relu,
    initializations,
    layer_before,
    relu_names,
    silent_layer,
    vanishes_at_start,
)
from cnnviz.diagnosis.evidence.learning_curves import POOR, summarize_loss
from cnnviz.diagnosis.evidence.step_size import suggest_learning_rate
from cnnviz.diagnosis.figures import loss_curve
from cnnviz.diagnosis.finding import Bars, Change, Fact, Finding
from cnnviz.diagnosis.numbers import percent, short
from cnnviz.diagnosis.rules import Inconclusive, Negative, Outcome, rule


@rule(
    "dead-relu",
    title="Dead ReLUs",
    summary="Nearly all channels of a ReLU are 0 for every image, so no gradient comes back through it.",
    live=True,
    moves={"lr": "down"},
)
def dead_relu(evidence: Evidence) -> Outcome:
    """Detect ReLU layers of which nine tenths of the channels are 0 for a whole batch."""
    names = relu_names(evidence)
    looks = [look for look in evidence.looks if any(layer.name in names for layer in look.layers)]
    if not looks:
        return _in_code(evidence)
    last = dead_layers(looks[-1], names)
    if not last:
        worst = max((layer.dead or 0.0 for layer in looks[-1].layers if layer.name in names), default=0.0)
        return Negative(f"At most {percent(worst)} of a ReLU's channels are 0 for a whole batch.")
    curve = summarize_loss(evidence)
    if curve is None:
        return Inconclusive("No loss was recorded.")
    if curve.learned >= POOR:
        return Negative(f"'{last[0].name}' lets little through, but the network learns around it.")
    return _finding(evidence, looks, names, last[0].name)


def _in_code(evidence: Evidence) -> Outcome:
    """Detect an activation function in code, which is no layer, that is 0 for every image from the start."""
    looks = [look for look in evidence.looks if look.layers]
    silent = silent_layer(evidence, looks[0]) if looks else None
    curve = summarize_loss(evidence)
    if silent is None or silent_layer(evidence, looks[-1]) is None:
        return Inconclusive("No ReLU was looked at.")
    if curve is None or curve.learned >= POOR:
        return Negative(
            f"What follows '{silent.name}' lets little through, but the network learns around it."
        )
    mean, spread = silent.mean or 0.0, silent.spread or 0.0
    return Finding(
        cause="dead-relu",
        confidence=0.95,
        effect=1.0,
        verdict=f"Nothing passes the activation after '{silent.name}', from the first step on: its values "
        "lie far below 0 for every image.",
        explanation=(
            "A ReLU gives max(0, x), and far below 0 GELU and SiLU are 0 too. Where x lies there for every "
            "image the output is 0 and so is its slope: no gradient comes back, so the weights before it "
            "never move again, and what follows sees only zeros.\n\n"
            f"It begins so: '{silent.name}' gives values of mean {short(mean)} and standard deviation "
            f"{short(spread)}: {short(-mean / spread)} standard deviations below 0. The activation is called "
            "in code and is no layer, so that its own outputs are not recorded; after the next layer not the "
            "least difference between images is left."
        ),
        facts=(
            Fact("mean before the activation", mean, short(mean)),
            Fact("standard deviation before it", spread, short(spread)),
        ),
        pictures=(loss_curve(curve, evidence.classes),),
        layers=(silent.name,),
        steps=(looks[0].step, evidence.step),
        ruled_out=("The learning rate: it was so before any weight had moved.",),
        changes=_changes(evidence, dead_from_start=True),
        explains=_follows(evidence, dead_from_start=True),
    )


def _finding(evidence: Evidence, looks: list[Look], names: set[str], name: str) -> Finding:
    first_dead = next(look for look in looks if _is_dead(look, name))
    dead_from_start, curve = first_dead.step == looks[0].step, summarize_loss(evidence)
    when = "from the first step on" if dead_from_start else f"since step {first_dead.step:,} at the latest"
    share = (looks[-1].of(name) or LayerAt(name=name)).dead or 0.0
    return Finding(
        cause="dead-relu",
        confidence=0.97 if dead_from_start else 0.85,
        effect=1.0 if dead_from_start else 0.9,
        verdict=f"{percent(share)} of '{name}' is 0 for every image, {when}.",
        explanation="\n\n".join((
            "A ReLU gives max(0, x). Where x is below 0 for every image its output is 0 and so is its "
            "slope: no gradient comes back, so the weights before it never move again, and what follows "
            "sees only zeros.",
            _reason(evidence, looks, name, dead_from_start),
        )),
        facts=(
            Fact("dead channels", share, f"{percent(share)} of {name}"),
            Fact("dead since step", float(first_dead.step), f"{first_dead.step:,}"),
        ),
        pictures=(
            _picture(evidence, looks[-1], name),
            *((loss_curve(curve, evidence.classes),) if curve else ()),
        ),
        layers=tuple(layer.name for layer in dead_layers(looks[-1], names)),
        steps=(first_dead.step, evidence.step),
        ruled_out=("The learning rate: it was so before any weight had moved.",) if dead_from_start else (),
        changes=_changes(evidence, dead_from_start),
        explains=_follows(evidence, dead_from_start),
    )  # fmt: skip


def _follows(evidence: Evidence, dead_from_start: bool) -> tuple[str, ...]:
    """Return the causes explained by it, except those that are its own causes."""
    consequences: tuple[str, ...] = ("one-class", "vanishing-gradients", "rate-too-low")
    if not dead_from_start and vanishes_at_start(evidence):
        return "one-class", "rate-too-low"
    if not dead_from_start:
        return consequences if died_in_tiny_network(evidence) else (*consequences, "under-fitting")
    consequences = (*consequences, "under-fitting", "rate-too-high", "too-few-steps")
    from_weights = he_std_at_dead_relu(evidence) or has_zero_weights(evidence)
    return consequences if from_weights else (*consequences, "initialisation")


def _changes(evidence: Evidence, dead_from_start: bool) -> tuple[Change, ...]:
    recipe = evidence.recipe
    ways = (fixes.reinitialize(recipe), fixes.add_batch_norm(recipe))
    return fixes.applicable_changes(
        ways if dead_from_start else (suggest_learning_rate(evidence), *ways), recipe
    )


def _reason(evidence: Evidence, looks: list[Look], name: str, dead_from_start: bool) -> str:
    before = layer_before(evidence, looks[0], name)
    if not dead_from_start or before is None:
        return (
            "It did not begin so: steps that were too large pushed the sums below 0 for all images, and "
            "with no gradient nothing brings them back."
        )
    at = looks[0].of(before)
    mean, spread = (at.mean or 0.0, at.spread or 0.0) if at else (0.0, 0.0)
    bias = initializations(evidence)[before].bias if before in initializations(evidence) else None
    text = f" Its biases begin at {bias:g}." if bias else ""
    below = f": {short(-mean / spread)} standard deviations below 0" if spread and mean < 0 else ""
    values = f"values of mean {short(mean)} and standard deviation {short(spread)}{below}"
    return f"It begins so: '{before}' gives {values}.{text}{_weights_too_small(evidence)}"


def _weights_too_small(evidence: Evidence) -> str:
    """Explain that the weights are too small, where they are the cause."""
    spread = he_std_at_dead_relu(evidence)
    if not spread:
        return ""
    return (
        " It is the weights that are too small: by He's rule the standard deviation would be "
        f"{short(spread)}, and part of the values above 0."
    )


def _is_dead(look: Look, name: str) -> bool:
    return bool(dead_layers(look, {name}))


def _picture(evidence: Evidence, look: Look, name: str) -> Bars:
    names = relu_names(evidence)
    layers = [layer for layer in look.layers if layer.name in names]
    return Bars(
        title=f"Channels that are 0 for every image of a batch, at step {look.step:,}",
        names=tuple(layer.name for layer in layers),
        values={"dead channels": tuple(layer.dead for layer in layers)},
        y_label="share of the channels",
        marked=(name,),
        percent=True,
        alt=f"{name} is dead: {percent(next(layer.dead or 0 for layer in layers if layer.name == name))}.",
    )
