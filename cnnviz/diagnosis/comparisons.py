"""Comparisons of a run with cheap references, and the margins that it may stay below them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cnnviz.diagnosis.evidence import BaselineScore, Evidence
from cnnviz.diagnosis.evidence.generalization import (
    chance_corrected,
    constant_accuracy,
    held_out,
    learned_accuracy,
)
from cnnviz.diagnosis.evidence.learning_curves import (
    ERRORS,
    WELL,
    first_nonfinite,
    pooled_accuracy,
    standard_error,
    summarize_loss,
)
from cnnviz.diagnosis.numbers import percent

HARD, EASY = 0.5, 0.8
"""Chance-corrected accuracy of the untrained patch classifier up to which images count as hard (CIFAR-10,
2,000 images: 0.47), and from which as easy (MNIST: 0.93).
"""
EXPECTED_OF_HARD, EXPECTED_OF_EASY = 0.75, 0.9
"""Least fraction of the patch classifier's accuracy that a healthy run reaches, on hard and on easy images.
The classifier needs no epochs, so short healthy runs stay below it on hard images (five epochs of 3,600
CIFAR-10 images: 0.82 of it) and hardly on easy ones, where both are good; nine tenths are expected there.
"""
FAR_BELOW = 0.5
"""Fraction of the expected accuracy below which even a run that still improves has a fault."""
ALLOWED_ERRORS = 2.0
"""Standard errors, of both accuracies together, that the comparison allows for."""
INFORMATIVE = 0.2
"""Chance-corrected accuracy below which the patch classifier is no reference."""
CONFIRMING = 0.45
"""Chance-corrected accuracy from which the patch classifier can confirm that a run is healthy: networks
exceed a weaker one (CIFAR-10: 0.47) by so much that a run above it may still be far from what it could
reach.
"""
HEALTHY_UNCOMPARED = 0.5
"""Chance-corrected accuracy from which a run of an earlier version, which recorded no comparison, counts as
healthy.
"""
MIN_IMAGES = 16
"""Least held-out images: the accuracy of fewer has two standard errors of 25 points or more."""
SHORT_STEPS = 200
"""Steps below which an improving run is not expected to have come far."""
IMPROVING = 0.05
"""Relative fall of the training loss over the last third of the epochs from which a run is still improving.
"""
STILL_LEARNING = 0.15
"""The same, for a run that has not fitted its training images yet: as much again may follow. Runs that were
called healthy but reached less than 90 % of what their network reaches had 0.16 to 0.46.
"""
STILL_GAINING = 0.1
"""Fraction of the held-out accuracy above chance that was gained in the last third of the epochs: a run of
two thirds the length would have stayed below nine tenths of this one, and so may this one below a longer
one.
"""
WIDE_GAP = 0.3
"""Generalization gap: training minus held-out accuracy, chance-corrected."""
MIN_OF_BEST = 0.9
"""Fraction of the best epoch's chance-corrected accuracy below which the last epoch counts as a loss."""
LEARNS_BATCH = 0.5
"""Chance-corrected accuracy on one batch below which it was not overfitted."""
BATCH_STEPS = 60
"""Steps in which any useful network overfits one batch; costly networks are probed with fewer."""
MIN_INFLUENCE = 0.02
"""Total-variation distance between predictions for different images below which the input has no influence.
"""


@dataclass(frozen=True)
class Comparison:
    """Comparison of the run with one reference."""

    name: str
    """A stable identifier, words joined by hyphens."""
    passed: bool | None
    """None where it could not be made, or is inconclusive."""
    text: str
    """A sentence with the numbers."""


def patch_classifier_score(evidence: Evidence) -> BaselineScore | None:
    """Return the accuracy of the untrained patch classifier: as recorded, else as probed."""
    baseline = evidence.baseline
    parts = [part for part in (baseline.validation, baseline.test) if part is not None] if baseline else []
    if parts:
        total = sum(part.images for part in parts)
        return BaselineScore(
            images=total,
            accuracy=sum(part.accuracy * part.images for part in parts) / total,
            constant=sum(part.constant * part.images for part in parts) / total,
        )
    probed = evidence.probes.get("label-agreement", {}).get("patches")
    if not probed:
        return None
    return BaselineScore(
        images=int(probed["images"]), accuracy=float(probed["share"]), constant=float(probed["chance"])
    )


def expected_fraction(reference: float) -> float:
    """Return the fraction of `reference` that is expected of a run.

    `reference` is the patch classifier's chance-corrected accuracy.
    """
    easy = min(1.0, max(0.0, (reference - HARD) / (EASY - HARD)))
    return EXPECTED_OF_HARD + (EXPECTED_OF_EASY - EXPECTED_OF_HARD) * easy


def comparisons(evidence: Evidence) -> tuple[Comparison, ...]:
    """Make all comparisons that the evidence allows, in a fixed order."""
    results = (
        _ended(evidence),
        _finite(evidence),
        _chance(evidence),
        compare_with_patch_classifier(evidence) or _no_patch_classifier(evidence),
        _training(evidence),
        _loss(evidence),
        _best_epoch(evidence),
        _one_batch(evidence),
        _inputs(evidence),
        _modes(evidence),
    )
    return tuple(comparison for comparison in results if comparison is not None)


def _ended(evidence: Evidence) -> Comparison | None:
    if evidence.status != "failed":
        return None
    reason = f": {evidence.error.rstrip('.')}." if evidence.error else "."
    return Comparison("ended", False, f"The run failed after {evidence.step:,} steps{reason}")


def _finite(evidence: Evidence) -> Comparison | None:
    loss = evidence.curves.get("train/loss") or evidence.curves.get("train/epoch_loss")
    if loss is None or not len(loss):
        return None
    broken = first_nonfinite(loss) if evidence.nonfinite is None else evidence.nonfinite.step
    if broken is None:
        return Comparison("finite", True, "Every loss that was recorded is a number.")
    return Comparison("finite", False, f"The loss stopped being a number at step {broken:,}.")


def _chance(evidence: Evidence) -> Comparison | None:
    held = held_out(evidence)
    if held is None or evidence.classes < 2 or held.images < MIN_IMAGES:
        return None
    summary = f"{percent(held.accuracy, 1)} of {held.images:,} held-out images are classified correctly"
    reference = f"always answering the commonest training class gives {percent(held.constant, 1)}"
    tolerance = max(standard_error(held.accuracy, held.images), standard_error(held.constant, held.images))
    if held.by_chance:
        return Comparison(
            "chance",
            False,
            f"Only {summary}; {reference}, and three standard errors are {percent(ERRORS * tolerance, 1)}.",
        )
    return Comparison("chance", True, f"{_first_upper(summary)}; {reference}.")


def compare_with_patch_classifier(evidence: Evidence) -> Comparison | None:
    """Compare the run with the untrained patch classifier, both chance-corrected."""
    held, baseline = held_out(evidence), patch_classifier_score(evidence)
    if held is None or baseline is None or held.images < MIN_IMAGES or evidence.classes < 2:
        return None
    reference = chance_corrected(baseline.accuracy, baseline.constant)
    name = "A classifier without training (random patches, one closed-form layer)"
    summary = f"{name} gets {percent(baseline.accuracy, 1)} of {baseline.images:,} such images right"
    if reference < INFORMATIVE:
        return Comparison("patch-classifier", None, f"{summary}: too little to expect anything by.")
    expected = expected_fraction(reference)
    tolerance = ALLOWED_ERRORS * math.hypot(
        held.error, standard_error(baseline.accuracy, baseline.images) / (1 - baseline.constant)
    )
    arithmetic = (
        f"chance taken off, the run reaches {held.above:.2f} / {reference:.2f} = "
        f"{percent(held.above / reference)} of it, and {percent(expected)} are expected (two standard "
        f"errors: {percent(tolerance / reference)})"
    )
    if held.above + tolerance >= expected * reference:
        return Comparison("patch-classifier", True, f"{summary}; {arithmetic}.")
    if (
        held.above >= FAR_BELOW * expected * reference
        and improving(evidence)
        and not _fits_training_images(evidence)
    ):
        return Comparison(
            "patch-classifier",
            None,
            f"{summary}; {arithmetic}. But the run was still improving when it ended.",
        )
    return Comparison(
        "patch-classifier", False, f"{summary}, the run {percent(held.accuracy, 1)}; {arithmetic}."
    )


def reaches_patch_classifier(evidence: Evidence) -> bool:
    """Return whether a run clearly reaches what is expected of it, not only within sampling error.

    It has to reach the margin without the allowance for sampling error, with its training at an end, or
    exceed the patch classifier by more than sampling error. The classifier has to be good enough to be a
    reference.
    """
    held, baseline = held_out(evidence), patch_classifier_score(evidence)
    if held is None or baseline is None:
        return False
    reference = chance_corrected(baseline.accuracy, baseline.constant)
    if reference < CONFIRMING:
        return False
    tolerance = ALLOWED_ERRORS * math.hypot(
        held.error, standard_error(baseline.accuracy, baseline.images) / (1 - baseline.constant)
    )
    if not still_learning(evidence):
        return held.above >= expected_fraction(reference) * reference
    return held.above - tolerance > reference and not _gaining(evidence)


def below_patch_classifier(evidence: Evidence) -> bool | None:
    """Return whether a run is below the patch classifier beyond sampling error, finished or not.

    None where they cannot be compared.
    """
    held, baseline = held_out(evidence), patch_classifier_score(evidence)
    if held is None or baseline is None or held.images < MIN_IMAGES or not is_informative(evidence):
        return None
    reference = chance_corrected(baseline.accuracy, baseline.constant)
    tolerance = ALLOWED_ERRORS * math.hypot(
        held.error, standard_error(baseline.accuracy, baseline.images) / (1 - baseline.constant)
    )
    return held.above + tolerance < expected_fraction(reference) * reference


def still_learning(evidence: Evidence) -> bool:
    """Return whether training was unfinished: images not fitted, and the loss still falling steeply.

    Or, less certain with one epoch only, much of the held-out accuracy was gained late.
    """
    if unfinished(evidence):
        return True
    loss = evidence.curve("train/epoch_loss").values
    if _fits_training_images(evidence) or len(loss) < 2:
        return False
    before = loss[-1 - max(1, len(loss) // 3)]
    return before - loss[-1] > STILL_LEARNING * max(before, 1e-9) or _gaining(evidence)


def _gaining(evidence: Evidence) -> bool:
    """Return whether much held-out accuracy was gained in the last third, beyond sampling error."""
    points, images = pooled_accuracy(evidence)
    accuracies = points.values
    if len(accuracies) < 2:
        return True
    latest, before = (
        chance_corrected(share, evidence.chance)
        for share in (accuracies[-1], accuracies[-1 - max(1, len(accuracies) // 3)])
    )
    return latest - before > max(
        STILL_GAINING * latest, ALLOWED_ERRORS * standard_error(accuracies[-1], images)
    )


def _no_patch_classifier(evidence: Evidence) -> Comparison | None:
    if held_out(evidence) is None:
        return None
    reason = evidence.baseline.skipped if evidence.baseline else None
    text = "How good a classifier without training is on these images was not measured."
    return Comparison("patch-classifier", None, f"{text} {reason}" if reason else text)


def can_confirm_health(evidence: Evidence) -> bool:
    """Return whether the patch classifier is good enough to confirm that a run is healthy."""
    baseline = patch_classifier_score(evidence)
    return baseline is not None and chance_corrected(baseline.accuracy, baseline.constant) >= CONFIRMING


def is_informative(evidence: Evidence) -> bool:
    """Return whether the patch classifier is good enough to be a reference."""
    baseline = patch_classifier_score(evidence)
    return baseline is not None and chance_corrected(baseline.accuracy, baseline.constant) >= INFORMATIVE


def _training(evidence: Evidence) -> Comparison | None:
    """Check the training accuracy: not at chance level, and no wide generalization gap."""
    held, learned = held_out(evidence), learned_accuracy(evidence)
    if held is None or learned is None or evidence.classes < 2 or held.images < MIN_IMAGES:
        return None
    chance = evidence.chance
    # A history does not say how many training images there were; they are seldom fewer than held-out ones.
    images = evidence.data.train or held.images
    summary = f"{percent(learned, 1)} of the training images are classified correctly"
    if learned < chance + ERRORS * max(standard_error(learned, images), standard_error(chance, images)):
        return Comparison(
            "training-accuracy",
            False,
            f"Only {summary}; a constant answer gives {percent(chance, 1)} there too.",
        )
    gap = chance_corrected(learned, chance) - held.above
    if gap > max(WIDE_GAP, ERRORS * held.error):
        return Comparison(
            "training-accuracy",
            False,
            f"{_first_upper(summary)}, but only {percent(held.accuracy, 1)} of held-out images.",
        )
    return Comparison(
        "training-accuracy",
        True,
        f"{_first_upper(summary)}, {percent(held.accuracy, 1)} of held-out images.",
    )


def _loss(evidence: Evidence) -> Comparison | None:
    curve = summarize_loss(evidence)
    if curve is None or len(curve.loss) < 4:
        return None
    values = curve.loss.values
    quarter = max(1, len(values) // 4)
    least = min(
        sum(values[at : at + quarter]) / quarter for at in range(0, len(values) - quarter + 1, quarter)
    )
    rose = curve.end - least
    if curve.end > 1.02 * curve.chance and not (evidence.recipe.label_smoothing or evidence.recipe.mixup):
        return Comparison(
            "loss",
            False,
            f"The training loss ends at {curve.end:.3f}, above chance level, {curve.chance:.3f}.",
        )
    if rose > max(0.15 * curve.chance, 0.5 * least):
        return Comparison("loss", False, f"The training loss rose from {least:.3f} to {curve.end:.3f}.")
    return Comparison(
        "loss", True, f"The training loss ends at {curve.end:.3f}; chance level is {curve.chance:.3f}."
    )


def _best_epoch(evidence: Evidence) -> Comparison | None:
    """Compare the last epoch with the best."""
    for part, images in (("test", evidence.data.test), ("val", evidence.data.validation)):
        curve = evidence.curve(f"{part}/accuracy")
        if len(curve) < 3 or not images:
            continue
        best, last, chance = max(curve.values), curve.values[-1], constant_accuracy(evidence)
        fell = best - last
        # The best of many epochs is partly luck: it has to be more than three standard errors better.
        if (
            chance_corrected(last, chance) < MIN_OF_BEST * chance_corrected(best, chance)
            and fell > (ERRORS + 1) * standard_error(best, images) + 0.02
        ):
            return Comparison(
                "best-epoch",
                False,
                f"It ends with {percent(last, 1)}, but reached {percent(best, 1)} after an earlier epoch.",
            )
        return Comparison(
            "best-epoch", True, f"Its last epoch ({percent(last, 1)}) is about as good as its best."
        )
    return None


def _one_batch(evidence: Evidence) -> Comparison | None:
    probe_result = evidence.probes.get("overfit-batch", {})
    conditions, steps = probe_result.get("arms", {}), int(probe_result.get("steps", 0))
    if "own" not in conditions:
        return None
    own, reference = (
        _overfits(conditions[name], evidence.classes) if name in conditions else True
        for name in ("own", "reference")
    )
    if own:
        return Comparison("one-batch", True, "A fresh network memorizes one batch with this recipe.")
    conclusive = steps >= BATCH_STEPS and not _passes_patch_classifier(evidence)
    summary = f"In {steps} steps a fresh network does not memorize one batch with this recipe"
    contrast = "; with Adam at 0.001 it does" if reference else ", and not with Adam at 0.001 either"
    return Comparison("one-batch", False if conclusive else None, f"{summary}{contrast}.")


def _overfits(condition: dict[str, object], classes: int) -> bool:
    accuracy = condition.get("accuracy")
    return (
        isinstance(accuracy, int | float)
        and chance_corrected(float(accuracy), 1 / max(classes, 1)) >= LEARNS_BATCH
    )


def _inputs(evidence: Evidence) -> Comparison | None:
    change = evidence.probes.get("shuffled-inputs", {}).get("moved_by_exchange")
    if change is None:
        return None
    if change < MIN_INFLUENCE:
        return Comparison(
            "inputs",
            False,
            "Answers hardly depend on the image: with another in its place they move by "
            f"{percent(change, 1)}.",
        )
    return Comparison("inputs", True, f"With another image in its place answers move by {percent(change)}.")


def _modes(evidence: Evidence) -> Comparison | None:
    probe_result = evidence.probes.get("evaluation-mode", {})
    accuracy, recorded, images = (
        probe_result.get("evaluation"),
        probe_result.get("recorded"),
        int(probe_result.get("images", 0)),
    )
    if accuracy is None or recorded is None or not images:
        return None
    tolerance = (
        ERRORS * math.hypot(standard_error(accuracy, images), standard_error(recorded, evidence.data.test))
        + 0.02
    )
    summary = (
        f"Its checkpoint gets {percent(accuracy, 1)} of {images:,} test images right; the run recorded "
        f"{percent(recorded, 1)}"
    )
    return Comparison("checkpoint", abs(accuracy - recorded) <= tolerance, f"{summary}.")


def _passes_patch_classifier(evidence: Evidence) -> bool:
    comparison = compare_with_patch_classifier(evidence)
    return comparison is not None and comparison.passed is True


def _fits_training_images(evidence: Evidence) -> bool:
    learned = learned_accuracy(evidence)
    return learned is not None and chance_corrected(learned, evidence.chance) >= WELL


def improving(evidence: Evidence) -> bool:
    """Return whether the loss was still falling, or the run did not complete its steps."""
    if unfinished(evidence):
        return True
    loss = evidence.curve("train/epoch_loss")
    if len(loss) < 2:
        curve = summarize_loss(evidence)
        return curve is not None and (curve.falling or curve.end < curve.start)
    before, last = loss.values[-1 - max(1, len(loss) // 3)], loss.values[-1]
    return before - last > IMPROVING * max(before, 1e-9)


def unfinished(evidence: Evidence) -> bool:
    """Return whether the run goes on, or ended before its last step other than by early stopping."""
    if evidence.stopped_early and evidence.status == "finished":
        return False
    return evidence.status not in ("finished", "failed") or 0 < evidence.step < evidence.total_steps


def _first_upper(text: str) -> str:
    return text[:1].upper() + text[1:]
