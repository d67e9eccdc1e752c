"""Rules on batch normalization and batch size: unsettled running statistics, too small a batch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cnnviz.diagnosis import exclusions, fixes
from cnnviz.diagnosis.evidence import BatchNorm, BatchNormLayer, Evidence
from cnnviz.diagnosis.evidence.learning_curves import (
    ERRORS,
    NEARLY_THERE,
    POOR,
    AccuracySummary,
    LossCurve,
    accuracy_summary,
    standard_error,
    summarize_loss,
)
from cnnviz.diagnosis.figures import loss_curve, update_lines
from cnnviz.diagnosis.finding import Bars, Change, Fact, Finding
from cnnviz.diagnosis.fixes import affordable_epochs, faster_batch_norm, more_epochs, suggest_batch_size
from cnnviz.diagnosis.numbers import counted, fixed, percent, short
from cnnviz.diagnosis.rules import Inconclusive, Negative, Outcome, rule
from cnnviz.diagnosis.rules.training.learning_rate import YOUNG
from cnnviz.models.layers import BatchNorm as BatchNormInList
from cnnviz.training.recipe import ADAPTIVE

# Running statistics that have not settled: held-out images are evaluated with stale ones.

STALE = 0.05
"""Weight of the initial statistics (mean 0, variance 1) above which they are visible in every output."""
WINDOWS = 5.0
"""Multiple of 1/momentum, the number of batches that running statistics average over: after five of them 1 −
e⁻⁵ = 99 % are from the run's own batches.
"""
LONG = 100.0
"""Averaging window in batches: so long, the statistics lag behind weights that still change."""
COSTS = 0.05
"""Accuracy lost to running statistics: less is within the variation between batches."""
ONE_SIDED = 1.64
"""Standard errors that confirm, 95 % certain, a loss whose cause and direction are known beforehand. Both
accuracies are of the same images, so that their difference is known better than that.
"""
USUAL = 0.1
"""PyTorch's default momentum: settled after some thirty batches."""


@dataclass(frozen=True)
class Statistics:
    """Running statistics of the batch-norm layer that settles most slowly."""

    layer: BatchNormLayer
    count: int
    """Number of batch-norm layers."""

    @property
    def window(self) -> float:
        """Averaging window of the running statistics in batches: 1/momentum."""
        momentum = self.layer.momentum
        return float(self.layer.updates) if momentum is None else 1 / momentum if momentum else math.inf

    @property
    def initial(self) -> float:
        """Weight of the initial statistics: (1 − momentum)^updates."""
        momentum, updates = self.layer.momentum, self.layer.updates
        return float(updates == 0) if momentum is None else (1 - momentum) ** updates

    @property
    def young(self) -> bool:
        """Whether the run was short for that window."""
        return self.layer.updates < WINDOWS * self.window


def slowest(evidence: Evidence) -> Statistics | None:
    """Return the batch-norm layer with the oldest statistics; None without one, or where not recorded."""
    layers = evidence.batch_norm.layers if evidence.batch_norm else _listed(evidence)
    # Recorded before the first step, `updates` is 0.
    layers_with_updates = [
        layer if layer.updates else layer.model_copy(update={"updates": evidence.step}) for layer in layers
    ]
    if not layers_with_updates:
        return None
    least = max(layers_with_updates, key=lambda layer: Statistics(layer, 1).initial)
    return Statistics(least, len(layers_with_updates))


def cost(evidence: Evidence) -> float | None:
    """Return the accuracy that running statistics cost on the same test images; None where not measured.

    0 where it is no more than `COSTS` or sampling error. Where arithmetic says that the statistics are stale
    the measurement only has to confirm it.
    """
    evaluated = _evaluated_both_ways(evidence)
    if evaluated is None:
        return None
    recorded, running, batch = evaluated
    lost, statistics = batch - running, slowest(evidence)
    stale = statistics is not None and statistics.initial >= STALE
    tolerance = (ONE_SIDED if stale else ERRORS) * math.hypot(
        standard_error(running, recorded.images), standard_error(batch, recorded.images)
    )
    return lost if lost > max(COSTS, tolerance) else 0.0


def unsettled(evidence: Evidence) -> bool:
    """Return whether held-out accuracy reflects stale statistics rather than the network."""
    statistics, lost = slowest(evidence), cost(evidence)
    if statistics is None:
        return False
    if lost is not None:
        return lost > 0 and (statistics.young or statistics.window >= LONG)
    return statistics.initial >= STALE


@rule(
    "batch-norm-unsettled",
    title="Batch-norm statistics not settled",
    summary="Held-out images are evaluated with running statistics that are still those of the start.",
    moves={"batch_norm_momentum": "up", "steps": "up"},
)
def batch_norm_unsettled(evidence: Evidence) -> Outcome:
    """Detect stale running statistics: batch statistics are far better, or the initial ones dominate."""
    if evidence.layers and not any("BatchNorm" in layer.type for layer in evidence.layers):
        return Negative("There is no batch normalization.")
    statistics, now, lost = slowest(evidence), accuracy_summary(evidence), cost(evidence)
    if statistics is None:
        return Inconclusive("The momentum of batch normalization was not recorded.")
    if now is None:
        return Inconclusive("No epoch has ended yet, so nothing was evaluated with running statistics.")
    if not unsettled(evidence):
        return Negative(_settled(evidence, statistics))
    if lost is None and now.gap <= max(0.1, ERRORS * now.error):
        return Negative(
            f"The initial statistics still weigh {percent(statistics.initial)}, but held-out images are "
            f"known to {percent(now.held_out_accuracy)}, nearly as well as the training images."
        )
    return _batch_norm_finding(evidence, statistics, now, lost)


def _batch_norm_finding(
    evidence: Evidence, statistics: Statistics, now: AccuracySummary, lost: float | None
) -> Finding:
    layer = statistics.layer
    averaging = "a mean over all batches" if layer.momentum is None else f"momentum {layer.momentum:g}"
    accuracies = (now.train_accuracy, _running(evidence, now), _batch(evidence))
    return Finding(
        cause="batch-norm-unsettled",
        confidence=0.95 if lost and statistics.young else 0.85 if lost else 0.8,
        effect=min(1.0, max(0.3, 2 * (lost if lost is not None else now.gap))),
        verdict=(
            f"The running statistics of batch normalization have not settled after "
            f"{counted(layer.updates, 'step')} ({averaging}), so {percent(accuracies[1])} is not what the "
            "network can do."
        ),
        explanation="\n\n".join((
            "In training, batch normalization brings each channel to mean 0 and variance 1 by the batch it "
            "sees. In evaluation it uses running statistics, which each step moves by the part 'momentum' "
            "towards the batch's own.",
            _arithmetic(statistics),
            _measured(evidence, now),
            "They can also be computed anew without training: let some dozen training batches pass in "
            "training mode with the momentum set to None, and take no step.",
        )),
        facts=(
            Fact("momentum", layer.momentum or 0.0, "cumulative" if layer.momentum is None else
                 f"{layer.momentum:g} at '{layer.name}'"),
            Fact("steps", float(layer.updates), f"{layer.updates:,}"),
            Fact("weight of the initial statistics", statistics.initial, percent(statistics.initial)),
            *_facts(evidence),
            *now.facts,
        ),
        pictures=(_picture(accuracies),),
        layers=(layer.name,) if statistics.count == 1 or layer.name else (),
        steps=(1, evidence.step),
        ruled_out=_ruled_out(evidence),
        changes=_changes(evidence, statistics),
        explains=(
            "over-fitting-data", "over-fitting-augmentation", "over-fitting-model", "unstable-training",
            "one-class", "under-fitting", "labels-noisy", "labels-shuffled", "too-few-steps",
        ),
    )  # fmt: skip


def _arithmetic(statistics: Statistics) -> str:
    layer, number = statistics.layer, statistics.layer.updates
    if layer.momentum is None:
        return (
            f"Here they are the mean over all {counted(number, 'batch', 'batches')}, the first ones included."
        )
    if layer.momentum == 0:
        return "Here the momentum is 0: they stay as they began, at mean 0 and variance 1."
    remaining = (
        f"After {counted(number, 'step')} the initial mean 0 and variance 1 still weigh "
        f"(1 − {layer.momentum:g})^{number:,} = {percent(statistics.initial)}"
    )
    return (
        f"With momentum {layer.momentum:g} they look back on about 1/{layer.momentum:g} = "
        f"{short(statistics.window)} batches and need some {WINDOWS:g} times as many, "
        f"{short(WINDOWS * statistics.window)}, to settle. {remaining}"
        + (", and the rest is of weights that have moved on since." if statistics.initial < STALE else ".")
    )


def _measured(evidence: Evidence, now: AccuracySummary) -> str:
    evaluated = _evaluated_both_ways(evidence)
    if evaluated is not None:
        recorded, running, batch = evaluated
        return (
            f"The check: the same {recorded.images:,} test images are known to {percent(running, 1)} with "
            f"running statistics and to {percent(batch, 1)} with each batch's own. Weights and images are "
            f"the same, so the difference of {100 * (batch - running):.1f} points is the statistics'."
        )
    return (
        f"In training, with the batches' own statistics, {percent(now.train_accuracy, 1)} are known, in "
        f"evaluation {percent(now.held_out_accuracy, 1)}."
    )


def _settled(evidence: Evidence, statistics: Statistics) -> str:
    evaluated = _evaluated_both_ways(evidence)
    if evaluated is not None:
        recorded, running, batch = evaluated
        return (
            f"Of {recorded.images:,} test images {percent(running, 1)} are known with running statistics and "
            f"{percent(batch, 1)} with the batches' own."
        )
    layer = statistics.layer
    momentum = "cumulative" if layer.momentum is None else f"momentum {layer.momentum:g}"
    return (
        f"After {counted(layer.updates, 'step')} ({momentum}) the initial statistics weigh "
        f"{percent(statistics.initial)}."
    )


def _ruled_out(evidence: Evidence) -> tuple[str, ...]:
    evaluated = _evaluated_both_ways(evidence)
    if evaluated is None:
        return ()
    recorded, _, batch = evaluated
    return (
        f"Over-fitting: with the batches' own statistics {percent(batch, 1)} of {recorded.images:,} test "
        "images are known.",
    )


def _changes(evidence: Evidence, statistics: Statistics) -> tuple[Change, ...]:
    faster = min(0.5, max(USUAL, WINDOWS / max(statistics.layer.updates, 1)))
    enough = math.ceil(WINDOWS * statistics.window) if math.isfinite(statistics.window) else 0
    changes = (faster_batch_norm(evidence.recipe, faster), more_epochs(evidence, enough) if enough else None)
    return tuple(change for change in changes if change is not None)


def _evaluated_both_ways(evidence: Evidence) -> tuple[BatchNorm, float, float] | None:
    """Return the record, and the accuracies with running and with batch statistics."""
    recorded = evidence.batch_norm
    if recorded is None or recorded.running is None or recorded.batch is None:
        return None
    return recorded, recorded.running.accuracy, recorded.batch.accuracy


def _running(evidence: Evidence, now: AccuracySummary) -> float:
    evaluated = _evaluated_both_ways(evidence)
    return evaluated[1] if evaluated else now.held_out_accuracy


def _batch(evidence: Evidence) -> float | None:
    evaluated = _evaluated_both_ways(evidence)
    return evaluated[2] if evaluated else None


def _facts(evidence: Evidence) -> tuple[Fact, ...]:
    evaluated = _evaluated_both_ways(evidence)
    if evaluated is None:
        return ()
    of = f"of {evaluated[0].images:,} test images"
    return (
        Fact("with running statistics", evaluated[1], f"{percent(evaluated[1], 1)} {of}"),
        Fact("with batch statistics", evaluated[2], f"{percent(evaluated[2], 1)} {of}"),
    )


def _picture(accuracies: tuple[float, float, float | None]) -> Bars:
    names = ("in training", "held out, running statistics", "held out, batch statistics")
    measured = [(name, value) for name, value in zip(names, accuracies, strict=True) if value is not None]
    return Bars(
        title="Accuracy by the statistics that batch normalization uses",
        names=tuple(name for name, _ in measured),
        values={"accuracy": tuple(value for _, value in measured)},
        y_label="accuracy",
        marked=(names[1],),
        percent=True,
        alt="; ".join(f"{name}: {percent(value)}" for name, value in measured) + ".",
    )


def _listed(evidence: Evidence) -> tuple[BatchNormLayer, ...]:
    """Return the layers of a layer list, for runs that did not record them."""
    layers = evidence.recipe.layers
    if layers is None:
        return ()
    named = zip(layers.names(), layers.layers, strict=True)
    return tuple(
        BatchNormLayer(name=name, momentum=layer.momentum, updates=evidence.step)
        for name, layer in named
        if isinstance(layer, BatchNormInList)
    )


# Batch size too small for the learning rate: each step follows the noise of a few images.

SMALL = 8
"""Batch size up to which the gradient's relative error is 1/√8 = 0.35 or more of a single image's."""
USUAL_BATCH = 0.1 / 256 / (1 - 0.9)
"""Effective learning rate per image of a batch: 0.1 for 256 with momentum 0.9 (Goyal et al., "Accurate,
large minibatch SGD", 2017).
"""
USUAL_ADAM = 1e-3 / math.sqrt(32)
"""The same for Adam, whose rate scales with the root of the batch size (Malladi et al., 2022)."""
FAR = 8.0
"""Multiple of the usual rate: small networks tolerate four times that of ResNet-50, but not eight. At twice
that, a run that got half-way is kept from the other half.
"""
ENOUGH = 1_000
"""Steps that a fixed run should have."""

ENOUGH_STEPS = 300
"""Steps in which small networks on small images learn something, whatever the batch size."""


@rule(
    "batch-too-small",
    title="Batch too small for the rate",
    summary="A few images a step, at a rate for many: steps follow noise.",
    live=True,
    moves={"batch_size": "up", "lr": "down"},
)
def batch_too_small(evidence: Evidence) -> Outcome:
    """Detect a batch of eight or fewer with a learning rate for many more, in a poor run."""
    curve, recipe = summarize_loss(evidence), evidence.recipe
    if curve is None:
        return Inconclusive("No loss was recorded.")
    passes = 1 if evidence.loop is None else evidence.loop.passes_per_step
    if passes * recipe.batch_size > SMALL:
        return Negative(f"A step sees {passes * recipe.batch_size:,} images.")
    times = _multiple_of_usual(evidence)
    if times < FAR or curve.learned >= (NEARLY_THERE if times >= 2 * FAR else POOR):
        return Negative(
            f"Batches of {recipe.batch_size} go with a rate of {recipe.lr:g}: the loss is {fixed(curve.end)}."
        )
    return _small_batch_finding(evidence, curve, times)


def _small_batch_finding(evidence: Evidence, curve: LossCurve, times: float) -> Finding:
    recipe, images = evidence.recipe, evidence.data.train
    batch, rule_of = suggest_batch_size(evidence, 32), "1/√n of that of a single image"
    epochs = affordable_epochs(evidence, -(-ENOUGH * batch // max(images, 1)))
    steps = counted(epochs * max(1, images // batch), "step")
    slower = recipe.lr / times
    larger = Change(
        {"batch_size": batch, "epochs": epochs},
        f"The error of {batch} images' gradient is {1 / math.sqrt(batch):.2f} of that of one; "
        f"{counted(epochs, 'epoch')} make {steps}.",
    )
    quieter = fixes.change_learning_rate(recipe, slower, "The rate that goes with so small a batch.")
    # With a few dozen images the batch cannot be much larger, and a larger one does not help where the rate
    # is still as far from the usual.
    helps = batch >= 2 * recipe.batch_size and times * recipe.batch_size / batch < FAR
    ways = (larger, quieter) if helps else (quieter,)
    return Finding(
        cause="batch-too-small",
        confidence=0.9 if evidence.step >= YOUNG and curve.learned < POOR else 0.7,
        effect=1.0,
        verdict=f"Batches of {recipe.batch_size} at a rate of {recipe.lr:g}: each step follows single "
        f"images, {short(times)} times as far as is usual for a batch of that size.",
        explanation="\n\n".join((
            f"A batch's gradient is that of all images and an error, {rule_of}. With n = "
            f"{recipe.batch_size} the error is 1/√{recipe.batch_size} = "
            f"{1 / math.sqrt(recipe.batch_size):.2f}, with n = {batch} {1 / math.sqrt(batch):.2f}. Many "
            "small steps average it out, large ones do not.",
            f"So the rate goes with the batch: {recipe.lr:g} for {recipe.batch_size} is as much as "
            f"{recipe.lr * batch / recipe.batch_size:g} for {batch}, {short(times)} times the usual.",
            f"The loss went from {short(curve.start)} to {short(curve.end)} and was {short(curve.worst)} at "
            f"its worst; chance level is {fixed(curve.chance, 3)}.",
        )),
        facts=(
            Fact("images a batch", float(recipe.batch_size), f"{recipe.batch_size}"),
            Fact("learning rate", recipe.lr, f"{recipe.lr:g}"),
            Fact("rate for the batch, by the usual", times, short(times)),
            curve.fact,
        ),
        pictures=(loss_curve(curve, evidence.classes), update_lines(evidence)),
        steps=(1, evidence.step),
        ruled_out=(
            *_long_enough(evidence),
            *exclusions.rule_out_initialization(evidence),
        ),
        changes=fixes.applicable_changes(
            ways,
            recipe,
        ),
        explains=(
            "rate-too-high", "non-finite", "dead-relu", "one-class", "under-fitting", "exploding-gradients",
        ),
    )  # fmt: skip


def _multiple_of_usual(evidence: Evidence) -> float:
    """Return the learning rate as a multiple of the usual one for the batch size."""
    recipe = evidence.recipe
    if recipe.optimiser in ADAPTIVE:
        return recipe.lr / math.sqrt(recipe.batch_size) / USUAL_ADAM
    return recipe.lr / (1 - recipe.momentum) / recipe.batch_size / USUAL_BATCH


def _long_enough(evidence: Evidence) -> tuple[str, ...]:
    """Rule out the length of the run, where it had enough steps to learn something."""
    if evidence.step < ENOUGH_STEPS:
        return ()
    return (f"The length of the run: it had {evidence.step:,} steps.",)
