"""Rules on train and evaluation mode: `model.eval()` missing, and validation above training accuracy."""

from __future__ import annotations

from typing import Any

from cnnviz.diagnosis.alternative_networks import dropout_rates, uses_augmentation
from cnnviz.diagnosis.evidence import Evidence
from cnnviz.diagnosis.evidence.learning_curves import (
    ERRORS,
    AccuracySummary,
    accuracy_figure,
    accuracy_summary,
    standard_error,
)
from cnnviz.diagnosis.exclusions import OVER_FITTING
from cnnviz.diagnosis.finding import Bars, Fact, Finding, Note, Picture
from cnnviz.diagnosis.numbers import percent
from cnnviz.diagnosis.rules import Inconclusive, Negative, Outcome, note, rule
from cnnviz.diagnosis.rules.data.augmentation import augmentation_too_strong
from cnnviz.diagnosis.rules.data.leakage import leakage
from cnnviz.diagnosis.rules.training.regularization import dropout

# Evaluation with active dropout and batch statistics.

ACTING = ("Dropout", "BatchNorm", "AlphaDropout", "SyncBatchNorm")
"""Prefixes of the types of mode-dependent modules."""


@rule(
    "evaluation-mode",
    title="Evaluated in training mode",
    summary="Test images went through a network that was still in training mode.",
    live=True,
)
def evaluation_mode(evidence: Evidence) -> Outcome:
    """Detect evaluation in training mode: by the recorded modes, or by the accuracy in each mode."""
    acting = tuple(layer.name for layer in evidence.layers if layer.type.startswith(ACTING))
    if evidence.layers and not acting:
        return Negative(
            "No layer acts differently in the two modes: there is neither dropout nor batch normalization."
        )
    if evidence.in_training_mode:
        wrong = tuple(name for name in evidence.in_training_mode if not acting or name in acting)
        if wrong:
            return _finding(evidence, 0.98, wrong)
    if evidence.in_training_mode == ():
        return Negative("While test images were judged, every layer was in evaluation mode.")
    if _is_judged_with_gradients(evidence):
        return _judged_with_gradients(evidence)
    return _by_accuracy(evidence, acting)


NOW_AND_THEN = 0.2
"""Part of the steps before which images are judged; other passes that nothing is learned from are in each."""


def _is_judged_with_gradients(evidence: Evidence) -> bool:
    """Return whether now and then other images pass in training mode, and nothing is learned from them.

    Not beside passes in evaluation mode, which judge, nor where several optimizers share the passes.
    """
    loop = evidence.loop
    if (
        loop is None
        or not loop.modes
        or loop.closure
        or loop.count("evaluations")
        or len(loop.optimizers) > 1
    ):
        return False
    passes, breaks = loop.count("passes_without_backward"), loop.count("steps_after_such_passes")
    return passes > 0 and breaks <= max(1, NOW_AND_THEN * loop.steps)


def _judged_with_gradients(evidence: Evidence) -> Finding:
    loop = evidence.loop
    assert loop is not None
    passes, breaks = loop.count("passes_without_backward"), loop.count("steps_after_such_passes")
    return Finding(
        cause="evaluation-mode",
        confidence=0.75,
        effect=0.6,
        verdict=f"Images that nothing was learned from went through the network in training mode: "
        f"{passes:,} passes without a backward pass, before {breaks:,} of {loop.steps:,} steps.",
        explanation=(
            "So images seem to be judged without model.eval() (and without torch.no_grad(), which costs "
            f"memory). Some layers act differently while they learn, here "
            f"{', '.join(repr(name) for name in loop.modes[:3])}: dropout sets values to zero at random, and "
            "batch normalization takes the statistics of the batch, and changes its running ones by the "
            "images that are judged."
        ),
        facts=(Fact("passes without a backward pass", float(passes), f"{passes:,}"),),
        layers=loop.modes,
        explains=("one-class", "dropout", "batch-too-small", "under-fitting", *OVER_FITTING),
    )


def _by_accuracy(evidence: Evidence, acting: tuple[str, ...]) -> Outcome:
    probed = _probed(evidence)
    if probed is None:
        return Inconclusive(
            "The run did not record in which mode it was judged; the probe evaluation-mode compares."
        )
    tolerance = 3 * standard_error(probed["evaluation"], probed["images"]) + 0.01
    near_training = abs(probed["recorded"] - probed["training"]) < tolerance
    if near_training and abs(probed["recorded"] - probed["evaluation"]) > 2 * tolerance:
        return _finding(evidence, 0.85, acting)
    return Negative(
        f"In evaluation mode the network knows {percent(probed['evaluation'], 1)} of the test images, and "
        f"{percent(probed['recorded'], 1)} is what the run recorded."
    )


def _probed(evidence: Evidence) -> dict[str, Any] | None:
    probed = evidence.probes.get("evaluation-mode", {})
    return probed if probed.get("recorded") is not None else None


def _finding(evidence: Evidence, confidence: float, layers: tuple[str, ...]) -> Finding:
    probed, accuracy = _probed(evidence), evidence.curve("test/accuracy").last
    recorded = accuracy or 0.0
    right = probed["evaluation"] if probed else None
    gain = f" In evaluation mode it is {percent(right, 1)}." if right is not None else ""
    named = ", ".join(f"'{name}'" for name in layers[:4]) + (
        f" and {len(layers) - 4} more" * (len(layers) > 4)
    )
    return Finding(
        cause="evaluation-mode",
        confidence=confidence,
        effect=max(0.6, (right or 0.0) - recorded),
        verdict="Test images were judged in training mode, so "
        + (f"{percent(recorded, 1)}" if accuracy is not None else "what came of it")
        + f" is not what the network can do.{gain}",
        explanation=(
            f"Some layers act differently while they learn, here {named}. Dropout sets values to zero at "
            "random: in a test it takes away at random what the answer is made of. Batch normalization "
            "uses mean and standard deviation of the batch in training, and those that it has collected in "
            "evaluation: "
            "in training mode an image's answer depends on which others happen to be in its batch, and "
            "every test changes what was collected.\n\nThe accuracy that was recorded, "
            f"{percent(recorded, 1)}, is that of a disturbed network.{gain} No setting of the recipe is at "
            "fault: call model.eval() before test images are judged and model.train() after it, and see that "
            "a model of your own does not override them."
        ),
        facts=(
            Fact("recorded accuracy", recorded, f"{percent(recorded, 1)}"),
            *(
                (Fact("accuracy in evaluation mode", right, f"{percent(right, 1)}"),)
                if right is not None
                else ()
            ),
            Fact("layers in training mode", len(layers), f"{len(layers)}: {named}"),
        ),
        pictures=_pictures(evidence, probed),
        layers=layers,
        ruled_out=(
            "Chance: the mode was read off the layers while test images went through them."
            if evidence.in_training_mode
            else "Over-fitting: in evaluation mode the same weights do better on the same images.",
        ),
        explains=(
            "one-class",
            "dropout",
            "batch-too-small",
            "under-fitting",
            "over-fitting-data",
            "over-fitting-augmentation",
        ),
    )


def _pictures(evidence: Evidence, probed: dict[str, Any] | None) -> tuple[Picture, ...]:
    curves = accuracy_figure(evidence, "Accuracy, as it was recorded")
    if probed is None:
        return (curves,)
    values = (probed["recorded"], probed["training"], probed["evaluation"])
    bars = Bars(
        title="Test accuracy in the two modes",
        names=("recorded", "training mode", "evaluation mode"),
        values={"accuracy": values},
        y_label="accuracy",
        marked=("recorded",),
        alt="Recorded {}, in training mode {}, in evaluation mode {}.".format(*map(percent, values)),
        percent=True,
    )
    return (bars, curves)


# Held-out accuracy above training accuracy, which is usual with dropout or augmentation.

MIN_GAP = 0.005
"""Difference in accuracy that needs no explanation: rounding."""
SURE = 2.0
"""Standard errors of a significant difference."""
FAULTS = (augmentation_too_strong, dropout, leakage)
"""Rules whose finding is another explanation."""


@note("validation-above-training")
def validation_above_training(evidence: Evidence) -> Note | None:
    """Explain held-out accuracy above training accuracy, where it is no sign of a fault."""
    now = accuracy_summary(evidence)
    if now is None or -now.gap <= max(MIN_GAP, SURE * now.error):
        return None
    if any(isinstance(rule(evidence), Finding) for rule in FAULTS):
        return None
    plain, reasons = evidence.train_evaluated, _reasons(evidence)
    if plain is not None and plain.accuracy < now.held_out_accuracy - ERRORS * (
        now.error + standard_error(plain.accuracy, plain.images)
    ):
        return None  # Evaluated in the same way training accuracy is lower too: there is another reason.
    text = (
        f"The {now.part} images are known better than the training images "
        f"({percent(now.held_out_accuracy, 1)} against "
        f"{percent(now.train_accuracy, 1)}). That is usual here and no sign of an error: training accuracy "
        f"is measured {'; '.join(reasons)}. Held-out images are evaluated after the epoch, without any of it."
    )
    return Note("validation-above-training", text + _plain(evidence, now))


def _reasons(evidence: Evidence) -> list[str]:
    reasons, rates = [], dropout_rates(evidence)
    if rates:
        most = max(rates.values())
        reasons.append(f"with dropout on, which leaves out up to {percent(most)} of a layer's values")
    if uses_augmentation(evidence.recipe):
        reasons.append("on augmented images, which are harder")
    return [*reasons, "over the whole epoch, in which the weights were still improving"]


def _plain(evidence: Evidence, now: AccuracySummary) -> str:
    plain = evidence.train_evaluated
    if plain is None:
        return ""
    return (
        f" Evaluated as the {now.part} images are, {percent(plain.accuracy, 1)} of {plain.images:,} training "
        "images are known."
    )
