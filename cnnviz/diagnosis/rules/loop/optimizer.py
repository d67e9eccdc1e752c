"""Rules on the optimizer of a watched loop: it never steps, or steps other parameters than the network's."""

from __future__ import annotations

from collections.abc import Sequence

from cnnviz.diagnosis.evidence import Evidence
from cnnviz.diagnosis.evidence.learning_curves import POOR, STUCK, accuracy_summary
from cnnviz.diagnosis.evidence.loop import Loop
from cnnviz.diagnosis.finding import CodeFix, Fact, Finding, Note
from cnnviz.diagnosis.numbers import counted, percent
from cnnviz.diagnosis.rules import Inconclusive, Negative, Outcome, note, rule
from cnnviz.diagnosis.rules.loop.gradients import (
    EARLY_STEPS,
    EFFECTS,
    FEW,
    ORDER,
    UNTRAINED,
    last_weighted_layer,
    loop_of,
    name_layers,
    progress,
)

FAIRLY = 0.85
"""Progress from chance to perfect that shows that random features suffice."""
HALFWAY = 0.7
"""The same, from which they nearly do."""


@rule(
    "optimizer-never-steps",
    title="The optimizer never steps",
    summary="Gradients are computed, and optimizer.step() is not called.",
    live=True,
    loop=True,
)
def optimizer_never_steps(evidence: Evidence) -> Outcome:
    """Detect backward passes without any optimizer step or change of weights."""
    loop = loop_of(evidence)
    waiting = loop.parameters.without_step_numbers / max(loop.parameters.all, 1)
    if loop.count("optimizer_steps") > EARLY_STEPS and waiting >= UNTRAINED:
        return _one_of_several(loop, waiting)
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
        hides=(*EFFECTS, "output-activation", "zero-grad-missing"),
    )


def _one_of_several(loop: Loop, share: float) -> Finding:
    """Report an optimizer that never steps beside others that do."""
    layers = loop.parameters.without_step
    return Finding(
        cause="optimizer-never-steps",
        confidence=0.9,
        effect=0.8,
        verdict=f"One of several optimizers never steps: {name_layers(layers)} get gradients and keep "
        "the weights that torch drew.",
        explanation=(
            f"In {loop.count('optimizer_steps'):,} steps none was of the optimizer that holds these layers, "
            f"{percent(share)} of all parameters. Others learn on top of random features."
        ),
        facts=(Fact("parameters without a step", share, percent(share)),),
        layers=layers,
        fix=CodeFix(
            "Step every optimizer.", "loss.backward()\nfor optimizer in optimizers:\n    optimizer.step()"
        ),
        hides=EFFECTS,
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
    loop = loop_of(evidence)
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
            f"The optimizer misses {name_layers(parameters.missing)}, the last layer among them: it stays as "
            "it began.",
            f"{parameters.missing_numbers:,} of {parameters.trainable:,} trainable parameters "
            f"({percent(part)}) get gradients and no step. Layers before may be left out on purpose (a "
            "pretrained trunk); the last one, which makes the answer, hardly ever is.",
            "optimizer = torch.optim.SGD(model.parameters(), lr=0.01)",
            parameters.missing,
        )  # fmt: skip
    part = parameters.missing_numbers / max(parameters.all, 1)
    if parameters.missing_are_replaced:
        return _parameters(
            loop, 0.95, 0.6,
            f"The optimizer holds other parameters in the place of {name_layers(parameters.missing)}: these "
            "stay as they are.",
            f"{parameters.missing_numbers:,} trainable parameters ({percent(part)} of all) are in no "
            "optimizer, which holds as many that are not the network's. These layers were "
            "probably replaced, copied or loaded as new modules after the optimizer was made.",
            "model.features = make_features()  # first\noptimizer = torch.optim.SGD(model.parameters(), "
            "lr=0.01)  # then",
            parameters.missing,
        )  # fmt: skip
    learned, untrained = progress(evidence), parameters.missing_untrained_numbers / max(parameters.all, 1)
    if parameters.missing and untrained >= UNTRAINED and learned is not None and learned < FAIRLY:
        return _parameters(
            loop, 0.8 if learned < POOR else 0.65 if learned < HALFWAY else 0.55, 1 - max(learned, 0.0),
            f"The optimizer leaves out {name_layers(parameters.missing)}, whose weights are as torch draws "
            f"them for a new layer ({percent(part)} of all parameters), and {percent(max(learned, 0.0))} of "
            "the way from chance to perfect is learned.",
            "Leaving out layers is right for a pretrained trunk below a new head; layers with fresh weights "
            "have to learn.",
            "optimizer = torch.optim.SGD(model.parameters(), lr=0.01)",
            parameters.missing,
        )  # fmt: skip
    behind = parameters.missing_behind_numbers / max(parameters.all, 1)
    if parameters.missing and behind >= UNTRAINED and parameters.held_trainable:
        return _parameters(
            loop, 0.75, 0.5,
            f"The optimizer leaves out layers among {name_layers(parameters.missing)} that lie behind "
            f"others which it holds, with weights as torch draws them ({percent(behind)} of all parameters).",
            "Leaving out layers is right for a pretrained trunk below a new head. Here layers before them "
            "learn, and these, with fresh weights, do not.",
            "optimizer = torch.optim.SGD(model.parameters(), lr=0.01)",
            parameters.missing,
        )  # fmt: skip
    if parameters.missing:
        return Negative(
            f"The optimizer leaves out {name_layers(parameters.missing)}, and has all layers after it."
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
    parameters, learned = loop_of(evidence).parameters, progress(evidence)
    if not parameters.frozen:
        return Negative("Every parameter is trainable.")
    if not parameters.trainable:
        return _frozen(evidence, 0.97, 1.0, "All parameters are frozen: nothing can be learned.")
    if learned is None:
        return Inconclusive(
            f"{name_layers(parameters.frozen)} are frozen; whether it learns all the same is to be seen."
        )
    last = bool(evidence.layers) and last_weighted_layer(evidence) in parameters.frozen
    untrained = parameters.untrained_numbers / max(parameters.all, 1)
    if learned < FAIRLY and untrained >= UNTRAINED:
        return _frozen(
            evidence, 0.8 if learned < POOR else 0.65 if learned < HALFWAY else 0.55, 1 - learned,
            f"{name_layers(parameters.untrained)} are frozen at weights as torch draws them for a new layer "
            f"({percent(untrained)} of all parameters), and {percent(max(learned, 0.0))} of the way from "
            "chance to perfect is learned.",
        )  # fmt: skip
    if learned >= POOR or not (last or learned < STUCK):
        return Negative(f"{name_layers(parameters.frozen)} are frozen, and the network learns all the same.")
    share = 1 - parameters.trainable / max(parameters.all, 1)
    return _frozen(
        evidence, 0.75 if last else 0.55, 1 - learned,
        f"{name_layers(parameters.frozen)} are frozen ({percent(share)} of all parameters), and it does not "
        "learn.",
    )  # fmt: skip


def _frozen(evidence: Evidence, confidence: float, effect: float, verdict: str) -> Finding:
    parameters = loop_of(evidence).parameters
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
        return Note("frozen-layers", f"{name_layers(parameters.frozen)} are frozen and keep their weights.")
    if parameters.missing and parameters.held_trainable and parameters.last not in parameters.missing:
        return Note(
            "frozen-layers",
            f"The optimizer leaves out {name_layers(parameters.missing)}: they keep their weights.",
        )
    return None


@rule(
    "reinitialized",
    title="Weights are made anew during training",
    summary="Layers are initialized again, or the first weights loaded again, between steps.",
    live=True,
    loop=True,
)
def reinitialized(evidence: Evidence) -> Outcome:
    """Detect weights that were replaced by unrelated values outside of a step."""
    loop = loop_of(evidence)
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
    now = accuracy_summary(evidence)
    if resets == 1 and now is not None and now.well:
        return Negative(
            "Fresh weights were loaded once, as after a rate finder, and it has learned well since."
        )
    layers = tuple(dict.fromkeys(name.rpartition(".")[0] or name for name in loop.reset))
    return Finding(
        cause="reinitialized",
        confidence=0.96 if resets > 1 else 0.8,
        effect=0.9,
        verdict=f"{name_layers(layers)} got fresh weights {counted(resets, 'time')} between steps: what "
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
