"""Rules on the gradients of a watched loop: not cleared, cleared too early, detached, accumulated."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from cnnviz.diagnosis.evidence import Evidence
from cnnviz.diagnosis.evidence.generalization import chance_corrected, learned_accuracy
from cnnviz.diagnosis.evidence.learning_curves import WELL, summarize_loss
from cnnviz.diagnosis.evidence.loop import Loop, LoopLook
from cnnviz.diagnosis.finding import CodeFix, Fact, Finding
from cnnviz.diagnosis.numbers import counted, percent, short
from cnnviz.diagnosis.rules import Inconclusive, Negative, Outcome, rule

EFFECTS = (
    "batch-norm-unsettled", "batch-too-large", "batch-too-small", "classes-unbalanced", "dead-relu",
    "dropout", "exploding-gradients", "initialisation", "input-scale", "labels-noisy",
    "labels-shuffled", "non-finite", "one-class", "over-fitting-augmentation", "over-fitting-data",
    "over-fitting-model", "rate-too-high", "rate-too-low", "schedule-ended", "split-mismatch",
    "too-few-steps", "under-fitting", "unstable-training", "vanishing-gradients", "weight-decay",
)  # fmt: skip
"""Causes whose signs a fault of the loop produces too, so that they cannot be checked beside one."""
FEW = 5
"""Least passes: with fewer a loop has hardly begun."""
EARLY_STEPS = 20
"""Steps in which it does not show whether a run learns."""
KEPT = 1e-3
"""Norm of a stale gradient, relative to the new one, that is negligible."""
STALE = 0.5
"""Factor of stale gradients in a step, relative to that of new ones, from which they are part of it."""
UNTRAINED = 0.2
"""Fraction of the parameters that stay at initialization: fewer, as of a first layer, hardly matter."""
FEWEST_TWICE = 3
"""Fewest batches a step from which 1/k² for each loss is no accident, as of two losses that count a half."""
MIN_STEPS_SHARE = 0.6
"""Fraction of the sampled steps that must show it."""
ORDER = "optimizer.zero_grad()\nloss = criterion(model(images), labels)\nloss.backward()\noptimizer.step()"


@rule(
    "zero-grad-missing",
    title="optimizer.zero_grad() is missing",
    summary="Gradients of earlier steps are still in the buffers when a new step begins, and are added up.",
    live=True,
    loop=True,
)
def zero_grad_missing(evidence: Evidence) -> Outcome:
    """Detect buffers that hold a gradient before a step's first backward pass, step after step."""
    samples = [sample for sample in loop_of(evidence).looks if sample.kept is not None and sample.step > 1]
    if not samples:
        return Inconclusive("No step after the first was looked at, in which gradients came.")
    stale = [
        sample
        for sample in samples
        if sample.kept
        and sample.kept > KEPT * (sample.fresh or 0.0)
        and not sample.cleared_between
        and (sample.stale_in_step is None or sample.stale_in_step > STALE * (sample.fresh_in_step or 1.0))
    ]
    if len(stale) < max(1, MIN_STEPS_SHARE * len(samples)):
        return Negative(
            f"Before the first gradient of {counted(len(samples), 'looked-at step')} the buffers were empty."
        )
    ratio = median((sample.kept or 0.0) / (sample.fresh or 1e-12) for sample in stale)
    cosines = [sample.cosine for sample in stale if sample.cosine is not None]
    return Finding(
        cause="zero-grad-missing",
        confidence=0.98 if len(stale) > 1 else 0.9,
        effect=0.95,
        verdict=f"Gradients are not cleared between steps: in {len(stale)} of {len(samples)} looked-at "
        f"steps the buffers still held earlier ones, {short(ratio)} times as large as the new gradient.",
        explanation=(
            "loss.backward() adds to the gradients that are in the buffers. Unless they are cleared, a step "
            "follows the sum of all gradients so far, of which the newest is a small part: the loop becomes "
            "momentum that never fades, and steps grow until weights fly off. It looks like a learning rate "
            "that is far too high, and a lower one only delays it."
        ),
        facts=(
            Fact("kept gradient to new gradient", ratio, f"{short(ratio)} to 1"),
            Fact("steps with kept gradients", float(len(stale)), f"{len(stale)} of {len(samples)}"),
            *(
                (Fact("cosine between buffer and new gradient", median(cosines), f"{median(cosines):.2f}"),)
                if cosines
                else ()
            ),
        ),
        fix=CodeFix("Call optimizer.zero_grad() once in every step, before loss.backward().", ORDER),
        ruled_out=(
            "Accumulation on purpose: it clears the buffers after each of its steps, and these were not.",
        ),
        hides=EFFECTS,
    )


@rule(
    "zero-grad-misplaced",
    title="Gradients are cleared before the step",
    summary="zero_grad() stands between backward() and step(), so that the optimizer finds nothing.",
    live=True,
    loop=True,
)
def zero_grad_misplaced(evidence: Evidence) -> Outcome:
    """Detect gradients that are cleared between backward pass and optimizer step."""
    samples = [sample for sample in loop_of(evidence).looks if sample.fresh]
    if not samples:
        return Inconclusive("No looked-at step has had a gradient.")
    cleared = [sample for sample in samples if sample.cleared]
    if len(cleared) < max(1, MIN_STEPS_SHARE * len(samples)):
        return Negative("The gradients of looked-at steps were there when the optimizer stepped.")
    return Finding(
        cause="zero-grad-misplaced",
        confidence=0.97,
        effect=1.0,
        verdict="Gradients are cleared between loss.backward() and optimizer.step(): every step is empty.",
        explanation=(
            f"In {len(cleared)} of {len(samples)} looked-at steps gradients were computed, and all were "
            "gone when the optimizer stepped. It then has nothing to follow, and the weights stay as they "
            "are."
        ),
        facts=(
            Fact("steps without what was computed", float(len(cleared)), f"{len(cleared)} of {len(samples)}"),
        ),
        fix=CodeFix("Clear before the backward pass, or after the step.", ORDER),
        hides=(*EFFECTS, "output-activation"),
    )


@rule(
    "loss-detached",
    title="The loss does not reach the weights",
    summary="Between the network and the loss the graph is cut, so that no gradient comes back.",
    live=True,
    loop=True,
)
def loss_detached(evidence: Evidence) -> Outcome:
    """Detect losses of outputs without a graph, or steps without any gradient."""
    loop = loop_of(evidence)
    losses, detached = loop.count("losses"), loop.count("losses_detached")
    steps, empty = loop.steps, loop.count("steps_without_backward")
    is_detached = detached >= FEW and detached > MIN_STEPS_SHARE * losses
    graphless = loop.count("forwards_without_graph")
    never = steps >= FEW and empty > 0.9 * steps and loop.count("backwards") == 0
    if not is_detached and not never:
        cut_off = loop.parameters.cut_off_numbers / max(loop.parameters.all, 1)
        learned = progress(evidence)
        if cut_off >= UNTRAINED and learned is not None and learned < WELL:
            return _cut_off(loop, cut_off)
        if loop.count("backwards"):
            return Negative(
                f"Gradients came back through the network's output in {loop.count('backwards'):,} passes."
            )
        return Inconclusive("No backward pass was seen yet.")
    if never and loop.count("steps_without_gradient") < MIN_STEPS_SHARE * steps:
        return Inconclusive(
            "The weights get gradients, though not through the network's own forward pass: its layers are "
            "called one by one. run.step(loss, logits, labels) says what came out."
        )
    if never and _elsewhere(loop):
        return Inconclusive("The optimizer holds other parameters, so that nothing is known of the loss.")
    description = (
        f"{detached:,} of {losses:,} losses were computed of an output that was cut off from its graph"
        if is_detached
        else f"{steps:,} steps were made, and no gradient ever came back through the network's output"
    )
    addition = f"; {graphless:,} outputs had no graph at all" if graphless else ""
    return Finding(
        cause="loss-detached",
        confidence=0.97 if is_detached else 0.85,
        effect=1.0,
        verdict=f"The loss is cut off from the network: {description}{addition}.",
        explanation=(
            "loss.backward() follows the graph from the loss back to the weights. .detach(), .data, .item(), "
            ".numpy(), argmax and a new tensor made of values cut it, and so does torch.no_grad(). PyTorch "
            "then raises an error, unless requires_grad was set on the loss by hand, which only silences it: "
            "the weights get no gradient."
        ),
        facts=(
            Fact("losses of a cut-off output", float(detached), f"{detached:,} of {losses:,}"),
            Fact("steps without a gradient", float(empty), f"{empty:,} of {steps:,}"),
        ),
        fix=CodeFix(
            "Compute the loss of the network's own output, without detach, .data, .item(), numpy or "
            "torch.no_grad() in between, and do not set requires_grad on it.",
            "logits = model(images)\nloss = nn.functional.cross_entropy(logits, labels)\nloss.backward()",
        ),
        hides=(*EFFECTS, "evaluation-mode", "output-activation"),
    )


def _cut_off(loop: Loop, share: float) -> Finding:
    """Report layers with fresh weights that are optimized and never got a gradient."""
    layers = loop.parameters.cut_off
    return Finding(
        cause="loss-detached",
        confidence=0.85,
        effect=0.8,
        verdict=f"No gradient ever reaches {name_layers(layers)}: they run and are in the optimizer, and "
        "their weights are still those that torch drew.",
        explanation=(
            f"{percent(share)} of all parameters are in layers whose .grad stayed empty in every looked-at "
            "step, while others learn: the graph is cut between them and the loss, by .detach(), .data, "
            "torch.no_grad() around a part of the network, or a new tensor made of values. That is right "
            "below a pretrained trunk; layers with fresh weights have to learn."
        ),
        facts=(Fact("parameters without a gradient", share, percent(share)),),
        layers=layers,
        fix=CodeFix(
            "Run all layers that have to learn with gradients, and pass their output on as it is.",
            "features = self.trunk(images)  # without .detach() and torch.no_grad()\nreturn "
            "self.head(features)",
        ),
        hides=EFFECTS,
    )


@rule(
    "gradient-accumulation-scale",
    title="Accumulated gradients are not divided",
    summary="Several batches make one step, and their losses are added up instead of averaged.",
    loop=True,
)
def accumulation_scale(evidence: Evidence) -> Outcome:
    """Detect gradient accumulation over several passes without dividing the losses."""
    loop = loop_of(evidence)
    passes = loop.passes_per_step
    if passes < 2:
        return Negative("Every step is made of one batch.")
    steps = loop.forwards_per_step[passes]
    if loop.closure:
        return Negative("The optimizer evaluates the loss several times for each step, as LBFGS does.")
    if any(sample.cleared_between for sample in loop.looks):
        return Negative(f"Gradients are cleared between the {passes} passes of a step.")
    scales = [sample.scale for sample in loop.looks if sample.scale is not None and sample.passes == passes]
    if not scales or loop.amp:
        return Inconclusive("How the loss of each batch was scaled was not seen.")
    looked = [sample for sample in loop.looks if sample.passes == passes]
    if any(sample.together for sample in looked):
        return Negative(f"The {passes} passes of a step have one loss, which says what it is the sum of.")
    parts = [sample.fresh_in_step for sample in looked if sample.fresh_in_step is not None]
    if parts and abs(median(parts) * passes - 1) < 0.1:
        return Negative(
            f"Gradients of {passes} batches are added up, and divided by {passes} before the step."
        )
    scale = median(scales)
    if passes >= FEWEST_TWICE and abs(scale * passes * passes - 1) < 0.02:
        return _divided_twice(passes, steps, scale)
    if abs(scale * passes - 1) < 0.02 or scale < 0.9 or scale > 1.1:
        return Negative(f"{passes} batches make a step, and each loss counts {short(scale)}.")
    return Finding(
        cause="gradient-accumulation-scale",
        confidence=0.8,
        effect=0.4,
        verdict=f"{passes} batches make one step and their losses are not divided by {passes}: the "
        f"gradient is {passes} times that of their mean.",
        explanation=(
            f"In {steps:,} steps the gradients of {passes} batches were added up, each loss counting "
            f"1. Their mean is what one batch of all their images would give; the sum is {passes} times as "
            f"long, which with SGD is a learning rate {passes} times as high as it seems."
        ),
        facts=(
            Fact("batches a step", float(passes), f"{passes}"),
            Fact("scale of each loss", scale, short(scale)),
        ),
        fix=CodeFix(f"Divide each loss by {passes}, or the learning rate.", f"(loss / {passes}).backward()"),
        explains=(
            "rate-too-high", "unstable-training", "exploding-gradients", "non-finite", "dead-relu",
            "one-class", "under-fitting", "too-few-steps",
        ),
    )  # fmt: skip


def _divided_twice(passes: int, steps: int, scale: float) -> Finding:
    return Finding(
        cause="gradient-accumulation-scale",
        confidence=0.75,
        effect=0.4,
        verdict=f"{passes} batches make one step and each loss counts {short(scale)} = 1/{passes}²: it is "
        f"divided by {passes} twice.",
        explanation=(
            f"In {steps:,} steps the gradients of {passes} batches were added up. Each loss divided by "
            f"{passes} gives the gradient of their mean; divided once more it is {passes} times too short, "
            f"which with SGD is a learning rate {passes} times as low as it seems."
        ),
        facts=(
            Fact("batches a step", float(passes), f"{passes}"),
            Fact("scale of each loss", scale, short(scale)),
        ),
        fix=CodeFix(f"Divide each loss by {passes} once.", f"(loss / {passes}).backward()"),
        explains=("rate-too-low", "too-few-steps", "under-fitting"),
    )


def progress(evidence: Evidence) -> float | None:
    """Return the progress from chance (0) to perfect (1); None where nothing shows it yet."""
    if evidence.step <= EARLY_STEPS:
        return None
    curve, held_out = summarize_loss(evidence), evidence.held_out("accuracy").last
    if curve is not None:
        # Random features of many units fit what they are trained on, and less of other images.
        judged = curve.learned if held_out is None else chance_corrected(held_out, evidence.chance)
        return min(curve.learned, judged)
    accuracies = [learned_accuracy(evidence), held_out]
    known = [accuracy for accuracy in accuracies if accuracy is not None]
    return chance_corrected(max(known), evidence.chance) if known else None


def loop_of(evidence: Evidence) -> Loop:
    return evidence.loop or Loop()


def _elsewhere(loop: Loop) -> bool:
    return not loop.parameters.held_trainable and loop.parameters.foreign_in_optimizer > 0


def last_weighted_layer(evidence: Evidence) -> str:
    weighted = evidence.weighted()
    return weighted[-1].name if weighted else ""


def name_layers(layers: Sequence[str]) -> str:
    names = ", ".join(f"'{name}'" for name in layers[:3])
    return names + (f" and {len(layers) - 3} more layers" if len(layers) > 3 else "")


__all__ = ["EFFECTS", "LoopLook"]
