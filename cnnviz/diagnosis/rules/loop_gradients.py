"""Rules on the gradients of a training loop: not cleared, cleared too early, detached, unused, frozen."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from cnnviz.diagnosis.evidence.evidence import Evidence
from cnnviz.diagnosis.evidence.learning_curves import POOR, summarize_loss
from cnnviz.diagnosis.evidence.loop import Loop, LoopLook
from cnnviz.diagnosis.finding import CodeFix, Fact, Finding, Note
from cnnviz.diagnosis.numbers import counted, percent, short
from cnnviz.diagnosis.registry import Inconclusive, Negative, Outcome, note, rule

EFFECTS = (
    "batch-norm-unsettled", "batch-too-large", "batch-too-small", "classes-unbalanced", "dead-relu",
    "dropout", "exploding-gradients", "initialisation", "input-scale", "labels-noisy",
    "labels-shuffled", "non-finite", "one-class", "over-fitting-augmentation", "over-fitting-data",
    "over-fitting-model", "rate-too-high", "rate-too-low", "schedule-ended", "too-few-steps",
    "under-fitting", "unstable-training", "vanishing-gradients", "weight-decay",
)  # fmt: skip
"""Causes whose signs a fault of the loop produces too, so that they cannot be checked beside one."""
FEW = 5
"""Least passes: with fewer a loop has hardly begun."""
UNTRAINED = 0.2
"""Fraction of the parameters that are frozen at initialization: fewer, as of a first layer, hardly matter."""
FAIRLY = 0.7
"""Progress from chance to perfect that shows that random features suffice."""
KEPT = 1e-3
"""Norm of a stale gradient, relative to the new one, that is negligible."""
MOST = 0.6
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
    samples = [sample for sample in _loop(evidence).looks if sample.kept is not None and sample.step > 1]
    if not samples:
        return Inconclusive("No step after the first was looked at, in which gradients came.")
    stale = [sample for sample in samples if sample.kept and sample.kept > KEPT * (sample.fresh or 0.0)]
    if len(stale) < max(1, MOST * len(samples)):
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
    samples = [sample for sample in _loop(evidence).looks if sample.fresh]
    if not samples:
        return Inconclusive("No looked-at step has had a gradient.")
    cleared = [sample for sample in samples if sample.cleared]
    if len(cleared) < max(1, MOST * len(samples)):
        return Negative("The gradients of looked-at steps were there when the optimizer stepped.")
    return Finding(
        cause="zero-grad-misplaced",
        confidence=0.97,
        effect=1.0,
        verdict="Gradients are cleared between loss.backward() and optimizer.step(): every step is empty.",
        explanation=(
            f"In {len(cleared)} of {len(samples)} looked-at steps gradients were computed, and all were "
            "gone when "
            "the optimizer stepped. It then has nothing to follow, and the weights stay as they are."
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
    loop = _loop(evidence)
    losses, detached = loop.count("losses"), loop.count("losses_detached")
    steps, empty = loop.steps, loop.count("steps_without_backward")
    is_detached = detached >= FEW and detached > MOST * losses
    graphless = loop.count("forwards_without_graph")
    never = steps >= FEW and empty > 0.9 * steps and loop.count("backwards") == 0
    if not is_detached and not never:
        if loop.count("backwards"):
            return Negative(
                f"Gradients came back through the network's output in {loop.count('backwards'):,} passes."
            )
        return Inconclusive("No backward pass was seen yet.")
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


@rule(
    "optimizer-never-steps",
    title="The optimizer never steps",
    summary="Gradients are computed, and optimizer.step() is not called.",
    live=True,
    loop=True,
)
def optimizer_never_steps(evidence: Evidence) -> Outcome:
    """Detect backward passes without any optimizer step or change of weights."""
    loop = _loop(evidence)
    if loop.count("optimizer_steps"):
        return Negative(f"The optimizer has made {loop.count('optimizer_steps'):,} steps.")
    backwards = loop.count("backwards")
    if backwards < FEW:
        return Inconclusive("Too few backward passes were seen.")
    if loop.count("changes_outside") or loop.count("changes_without_step"):
        return Inconclusive(
            "The weights change without a step of the watched optimizer: give cnnviz.watch the optimizer "
            "that your loop steps."
        )
    return Finding(
        cause="optimizer-never-steps",
        confidence=0.97,
        effect=1.0,
        verdict=f"{backwards:,} backward passes were made and the optimizer never stepped: no weight "
        "changes.",
        explanation=(
            "loss.backward() only computes gradients; optimizer.step() changes the weights by them. Without "
            "it the loss stays where it began, whatever the learning rate."
        ),
        facts=(Fact("backward passes", float(backwards), f"{backwards:,}"), Fact("steps", 0.0, "0")),
        fix=CodeFix("Call optimizer.step() after loss.backward().", ORDER),
        hides=(*EFFECTS, "output-activation"),
    )


@rule(
    "optimizer-parameters",
    title="The optimizer holds other parameters",
    summary="The optimizer was made of another network's parameters, or misses layers of this one.",
    live=True,
    loop=True,
)
def optimizer_parameters(evidence: Evidence) -> Outcome:
    """Detect an optimizer that holds none of the network's parameters, or misses the last layers."""
    loop = _loop(evidence)
    parameters = loop.parameters
    if not parameters.trainable and not parameters.unregistered:
        return Negative("No parameter of the network is trainable, which is a cause of its own.")
    if not parameters.held_trainable and parameters.foreign_in_optimizer:
        return _parameters(
            loop, 0.98, 1.0,
            "The optimizer holds none of this network's parameters: its steps change another network.",
            "The network was probably made anew, copied or wrapped after the optimizer was made of the old "
            "one's parameters. Gradients are computed for this one, and steps are made for the other.",
            "model = Net()\noptimizer = torch.optim.SGD(model.parameters(), lr=0.01)  # after the "
            "model, of it",
        )  # fmt: skip
    if parameters.unregistered:
        listed = ", ".join(f"'{name}'" for name in parameters.unregistered[:4])
        return _parameters(
            loop, 0.95, 0.7,
            f"Layers in a plain list are no part of the network: {listed}. No optimizer learns their "
            "weights.",
            "model.parameters() finds layers that are attributes of a module, or in nn.ModuleList and "
            "nn.ModuleDict. In a plain list or dictionary they take part in the forward pass with "
            "the weights they began with, stay on their device, and are missing in state_dict().",
            "self.blocks = nn.ModuleList(blocks)  # not a list",
            parameters.unregistered,
        )  # fmt: skip
    if parameters.last and parameters.last in parameters.missing:
        part = parameters.missing_numbers / max(parameters.trainable, 1)
        return _parameters(
            loop, 0.93, 0.6,
            f"The optimizer misses {_named(parameters.missing)}, the last layer among them: it stays as it "
            "began.",
            f"{parameters.missing_numbers:,} of {parameters.trainable:,} trainable parameters "
            f"({percent(part)}) get "
            "gradients and no step. Layers before may be left out on purpose (a pretrained trunk); the last "
            "one, which makes the answer, hardly ever is.",
            "optimizer = torch.optim.SGD(model.parameters(), lr=0.01)",
            parameters.missing,
        )  # fmt: skip
    if parameters.missing:
        return Negative(
            f"The optimizer leaves out {_named(parameters.missing)}, and has all layers after it."
        )
    return Negative(f"The optimizer has all {parameters.trainable:,} trainable parameters of the network.")


def _parameters(
    loop: Loop,
    confidence: float,
    effect: float,
    verdict: str,
    explanation: str,
    code: str,
    layers: Sequence[str] = (),
) -> Finding:
    parameters = loop.parameters
    return Finding(
        cause="optimizer-parameters",
        confidence=confidence,
        effect=effect,
        verdict=verdict,
        explanation=explanation,
        facts=(
            Fact("trainable parameters", float(parameters.trainable), f"{parameters.trainable:,}"),
            Fact(
                "of these in the optimizer",
                float(parameters.held_trainable),
                f"{parameters.held_trainable:,}",
            ),
        ),
        layers=tuple(layers),
        fix=CodeFix("Give the optimizer the parameters of the network that the loop calls.", code),
        hides=EFFECTS,
    )


@rule(
    "frozen-parameters",
    title="Parameters are frozen",
    summary="requires_grad is off for layers that would have to learn.",
    live=True,
    loop=True,
)
def frozen_parameters(evidence: Evidence) -> Outcome:
    """Detect frozen parameters: all, untrained ones, or in a run that does not learn."""
    parameters, curve = _loop(evidence).parameters, summarize_loss(evidence)
    if not parameters.frozen:
        return Negative("Every parameter is trainable.")
    if not parameters.trainable:
        return _frozen(evidence, 0.97, 1.0, "All parameters are frozen: nothing can be learned.")
    if curve is None or evidence.step <= 20:
        return Inconclusive(
            f"{_named(parameters.frozen)} are frozen; whether it learns all the same is to be seen."
        )
    last = bool(evidence.layers) and _last_weighted(evidence) in parameters.frozen
    untrained = parameters.untrained_numbers / max(parameters.all, 1)
    if curve.learned < FAIRLY and untrained >= UNTRAINED and not last:
        return _frozen(
            evidence, 0.8 if curve.learned < POOR else 0.65, 1 - curve.learned,
            f"{_named(parameters.untrained)} are frozen at weights as torch draws them for a new layer "
            f"({percent(untrained)} of all parameters), and the loss fell by "
            f"{percent(max(curve.learned, 0))} of the way only.",
        )  # fmt: skip
    if curve.learned >= POOR or not (last or curve.stuck):
        return Negative(f"{_named(parameters.frozen)} are frozen, and the network learns all the same.")
    share = 1 - parameters.trainable / max(parameters.all, 1)
    return _frozen(
        evidence, 0.75 if last else 0.55, 1 - curve.learned,
        f"{_named(parameters.frozen)} are frozen ({percent(share)} of all parameters), and it does not "
        "learn.",
    )  # fmt: skip


def _frozen(evidence: Evidence, confidence: float, effect: float, verdict: str) -> Finding:
    parameters = _loop(evidence).parameters
    return Finding(
        cause="frozen-parameters",
        confidence=confidence,
        effect=effect,
        verdict=verdict,
        explanation=(
            "A frozen layer (requires_grad=False) keeps its weights. That is right for a pretrained trunk "
            "below a new head; layers with fresh weights have to learn."
        ),
        facts=(
            Fact("frozen layers", float(len(parameters.frozen)), f"{len(parameters.frozen)}"),
            Fact(
                "trainable parameters",
                float(parameters.trainable),
                f"{parameters.trainable:,} of {parameters.all:,}",
            ),
        ),
        layers=parameters.frozen,
        fix=CodeFix(
            "Unfreeze what has to learn, before the optimizer is made.",
            "for parameter in model.parameters():\n    parameter.requires_grad_(True)",
        ),
        hides=EFFECTS,
    )


@note("frozen-layers")
def frozen_layers(evidence: Evidence) -> Note | None:
    """Note which layers are not trained, where that may be on purpose."""
    if evidence.loop is None:
        return None
    parameters = evidence.loop.parameters
    if parameters.frozen and parameters.trainable:
        return Note("frozen-layers", f"{_named(parameters.frozen)} are frozen and keep their weights.")
    if parameters.missing and parameters.held_trainable and parameters.last not in parameters.missing:
        return Note(
            "frozen-layers",
            f"The optimizer leaves out {_named(parameters.missing)}: they keep their weights.",
        )
    return None


@rule(
    "gradient-accumulation-scale",
    title="Accumulated gradients are not divided",
    summary="Several batches make one step, and their losses are added up instead of averaged.",
    loop=True,
)
def accumulation_scale(evidence: Evidence) -> Outcome:
    """Detect gradient accumulation over several passes without dividing the losses."""
    loop = _loop(evidence)
    passes, steps = _usual_passes(loop)
    if passes < 2:
        return Negative("Every step is made of one batch.")
    if loop.closure:
        return Negative("The optimizer evaluates the loss several times for each step, as LBFGS does.")
    scales = [sample.scale for sample in loop.looks if sample.scale is not None and sample.passes == passes]
    if not scales or loop.amp:
        return Inconclusive("How the loss of each batch was scaled was not seen.")
    scale = median(scales)
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
        explains=("rate-too-high", "unstable-training", "exploding-gradients", "non-finite"),
    )


def _usual_passes(loop: Loop) -> tuple[int, int]:
    if not loop.forwards_per_step:
        return 1, 0
    passes = max(loop.forwards_per_step, key=lambda k: loop.forwards_per_step[k])
    steps = loop.forwards_per_step[passes]
    return (passes, steps) if steps >= 0.7 * sum(loop.forwards_per_step.values()) else (1, steps)


@rule(
    "reinitialized",
    title="Weights are made anew during training",
    summary="Layers are initialized again, or the first weights loaded again, between steps.",
    live=True,
    loop=True,
)
def reinitialized(evidence: Evidence) -> Outcome:
    """Detect weights that were replaced by unrelated values outside of a step."""
    loop = _loop(evidence)
    resets = loop.count("resets")
    if loop.steps < FEW:
        return Inconclusive("Too few steps were seen.")
    if not resets:
        changes = loop.count("changes_outside")
        return Negative(
            f"Weights changed outside of steps {changes:,} times, and stayed much as they were."
            if changes
            else "Weights change in steps only."
        )
    layers = tuple(dict.fromkeys(name.rpartition(".")[0] or name for name in loop.reset))
    return Finding(
        cause="reinitialized",
        confidence=0.96 if resets > 1 else 0.8,
        effect=0.9,
        verdict=f"{_named(layers)} got fresh weights {counted(resets, 'time')} between steps: what "
        "was learned is lost.",
        explanation=(
            "Between two steps the weights were replaced by values that have nothing to do with those before "
            "(or are exactly the first ones again). That happens where a layer or the network is "
            "initialized, made or loaded inside of the loop over epochs."
        ),
        facts=(
            Fact("times", float(resets), f"{resets}"),
            Fact("layers", float(len(layers)), f"{len(layers)}"),
        ),
        layers=layers,
        fix=CodeFix("Initialize once, before the loop over epochs."),
        hides=EFFECTS,
    )


def _loop(evidence: Evidence) -> Loop:
    return evidence.loop or Loop()


def _elsewhere(loop: Loop) -> bool:
    return not loop.parameters.held_trainable and loop.parameters.foreign_in_optimizer > 0


def _last_weighted(evidence: Evidence) -> str:
    weighted = evidence.weighted()
    return weighted[-1].name if weighted else ""


def _named(layers: Sequence[str]) -> str:
    names = ", ".join(f"'{name}'" for name in layers[:3])
    return names + (f" and {len(layers) - 3} more layers" if len(layers) > 3 else "")


__all__ = ["EFFECTS", "LoopLook"]
