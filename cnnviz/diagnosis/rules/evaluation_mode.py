"""Judged with dropout still dropping and batch normalisation still looking at its batch."""

from __future__ import annotations

from typing import Any

from cnnviz.diagnosis.evidence import Evidence
from cnnviz.diagnosis.finding import Bars, Fact, Finding, Picture
from cnnviz.diagnosis.numbers import percent
from cnnviz.diagnosis.registry import Clear, Outcome, Untold, rule
from cnnviz.diagnosis.standing import accuracies, error

ACTING = ("Dropout", "BatchNorm", "AlphaDropout", "SyncBatchNorm")
"""Beginnings of the names of modules that do something else in training than in evaluation."""


@rule(
    "evaluation-mode",
    title="Judged in training mode",
    summary="Test images went through a network that was still in training mode.",
    live=True,
)
def evaluation_mode(evidence: Evidence) -> Outcome:
    """Found where layers were seen in training mode, or accuracy is that mode's and not the other's."""
    acting = tuple(layer.name for layer in evidence.layers if layer.type.startswith(ACTING))
    if evidence.layers and not acting:
        return Clear(
            "No layer acts differently in the two modes: there is neither dropout nor batch normalisation."
        )
    if evidence.in_training_mode:
        wrong = tuple(name for name in evidence.in_training_mode if not acting or name in acting)
        if wrong:
            return _finding(evidence, 0.98, wrong)
    if evidence.in_training_mode == ():
        return Clear("While test images were judged, every layer was in evaluation mode.")
    return _by_accuracy(evidence, acting)


def _by_accuracy(evidence: Evidence, acting: tuple[str, ...]) -> Outcome:
    probed = _probed(evidence)
    if probed is None:
        return Untold(
            "The run did not record in which mode it was judged; the probe evaluation-mode compares."
        )
    doubt = 3 * error(probed["evaluation"], probed["images"]) + 0.01
    near_training = abs(probed["recorded"] - probed["training"]) < doubt
    if near_training and abs(probed["recorded"] - probed["evaluation"]) > 2 * doubt:
        return _finding(evidence, 0.85, acting)
    return Clear(
        f"In evaluation mode the network knows {percent(probed['evaluation'], 1)} of the test images, and "
        f"{percent(probed['recorded'], 1)} is what the run recorded."
    )


def _probed(evidence: Evidence) -> dict[str, Any] | None:
    probed = evidence.probes.get("evaluation-mode", {})
    return probed if probed.get("recorded") is not None else None


def _finding(evidence: Evidence, certain: float, layers: tuple[str, ...]) -> Finding:
    probed, recorded = _probed(evidence), evidence.curve("test/accuracy").last or 0.0
    right = probed["evaluation"] if probed else None
    gain = f" In evaluation mode it is {percent(right, 1)}." if right is not None else ""
    named = ", ".join(f"'{name}'" for name in layers[:4]) + (
        f" and {len(layers) - 4} more" * (len(layers) > 4)
    )
    return Finding(
        cause="evaluation-mode",
        confidence=certain,
        effect=max(0.6, (right or 0.0) - recorded),
        verdict=f"Test images were judged in training mode, so {percent(recorded, 1)} is not what the "
        f"network can do.{gain}",
        explanation=(
            f"Some layers act differently while they learn, here {named}. Dropout sets values to zero at "
            "random: in a test it takes away at random what the answer is made of. Batch normalisation "
            "uses mean and spread of the batch in training, and those that it has collected in evaluation: "
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
    curves = accuracies(evidence, "Accuracy, as it was recorded")
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
