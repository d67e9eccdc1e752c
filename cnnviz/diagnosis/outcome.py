"""Outcome of a diagnosis: healthy, cause found, unexplained, or not judged; its texts for page and CLI."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from cnnviz.diagnosis.comparisons import (
    FAR_BELOW,
    HEALTHY_UNCOMPARED,
    MIN_IMAGES,
    SHORT_STEPS,
    Comparison,
    can_confirm_health,
    compare_with_patch_classifier,
    comparisons,
    improving,
    is_informative,
    patch_classifier_score,
    reaches_patch_classifier,
    still_learning,
    unfinished,
)
from cnnviz.diagnosis.evidence import Evidence
from cnnviz.diagnosis.evidence.generalization import (
    chance_corrected,
    generalization_gap,
    held_out,
    learned_accuracy,
)
from cnnviz.diagnosis.evidence.learning_curves import WELL, accuracy_summary, standard_error
from cnnviz.diagnosis.finding import Finding
from cnnviz.diagnosis.numbers import counted, percent
from cnnviz.diagnosis.probes import MISSING, probes

Outcome = Literal["healthy", "cause-found", "unexplained", "not-judged"]
"""`healthy`: no fault and no sign of one; `cause-found`; `unexplained`: a fault without a known cause;
`not-judged`: too little recorded.
"""

FAR_AHEAD = 0.2
"""How much better than training images, during the epoch, held-out images may be known without a reason."""
GAP = 0.1
"""Generalization gap worth a look: training minus held-out accuracy, chance-corrected."""


@dataclass(frozen=True)
class Judgment:
    """Outcome and its reasons."""

    outcome: Outcome
    verdict: str
    """A sentence or two; empty where a finding has it."""
    comparisons: tuple[Comparison, ...] = ()
    missing: tuple[str, ...] = ()
    """What was not recorded, and how to obtain it: a sentence each."""
    next_steps: tuple[str, ...] = ()
    """What to try next, in order: a sentence each."""


def judge_outcome(evidence: Evidence, findings: Sequence[Finding]) -> Judgment:
    """Determine the outcome from the findings, or without any from the comparisons."""
    judgment = _judge(evidence, findings)
    if evidence.kind == "trained":
        return judgment
    # A run that was not trained here can be neither probed from a recipe nor resumed.
    possible = [
        tuple(s for s in part if not _OURS.search(s)) for part in (judgment.missing, judgment.next_steps)
    ]
    missing = possible[0] or (_NOTHING_TO_PROBE,) * bool(judgment.missing)
    return replace(judgment, missing=missing, next_steps=possible[1])


_OURS = re.compile(r"--probe|or resume it|start it again")
_NOTHING_TO_PROBE = (
    "A standard: a run that is not trained here cannot be probed. Compare it with a longer run, or with a "
    "network that is known to work on the same data."
)


def _judge(evidence: Evidence, findings: Sequence[Finding]) -> Judgment:
    compared = comparisons(evidence)
    if findings:
        return Judgment("cause-found", "", compared)
    if not recorded_anything(evidence):
        return Judgment("not-judged", _blank(evidence), (), _nothing_recorded(evidence))
    failed = [comparison for comparison in compared if comparison.passed is False]
    if failed:
        if _early(evidence) and all(comparison.name in _EARLY for comparison in failed):
            return Judgment("not-judged", _too_short(failed), compared, _longer(evidence))
        return Judgment("unexplained", _unexplained(failed), compared, (), _next_steps(evidence, failed))
    missing = _missing(evidence)
    if missing:
        return Judgment("not-judged", _not_judged(evidence), compared, missing)
    return Judgment("healthy", _healthy(evidence), compared)


def recorded_anything(evidence: Evidence) -> bool:
    """Return whether a run recorded a curve or layer statistics."""
    return bool(evidence.looks) or any(len(points) for points in evidence.curves.values())


_EARLY = frozenset(("chance", "patch-classifier", "training-accuracy", "loss"))
"""Comparisons that a run may fail at its beginning."""


def _early(evidence: Evidence) -> bool:
    """Return whether the run has just begun: few steps, or stopped early, and its loss falls."""
    known = "steps" not in evidence.unknown
    few = (known and evidence.step < SHORT_STEPS) or (
        unfinished(evidence) and evidence.step < evidence.total_steps / 3
    )
    return few and evidence.status != "failed" and improving(evidence)


def _blank(evidence: Evidence) -> str:
    name = evidence.title if evidence.run is None else f"Run {evidence.run}"
    ended = f" It ended with: {evidence.error}" if evidence.error else ""
    return f"{name} has recorded nothing that it could be judged by.{ended}"


def _nothing_recorded(evidence: Evidence) -> tuple[str, ...]:
    if evidence.status in ("queued", "starting", "running"):
        return ("No step has been recorded yet: wait for the first ones.",)
    return (
        "No step was recorded: start it again; if it ends early again, its error on Train says at what.",
        f"Its data and its first weights can be checked without training: {_probe(evidence)}.",
    )


def _unexplained(failed: Sequence[Comparison]) -> str:
    return f"No known cause fits. {' '.join(comparison.text for comparison in failed)}"


def _too_short(failed: Sequence[Comparison]) -> str:
    return f"It has only begun, and its loss falls. So far: {failed[0].text}"


def _longer(evidence: Evidence) -> tuple[str, ...]:
    if evidence.status in ("running", "starting"):
        return (f"Steps: it has made {evidence.step:,}; it is judged again as it goes on.",)
    return (f"Steps: {evidence.step:,} are few; train it longer, or resume it.",)


def _healthy(evidence: Evidence) -> str:
    """Return the accuracy beside its references; `comparisons` have the details."""
    held, baseline = held_out(evidence), patch_classifier_score(evidence)
    if held is None:
        return "No comparison speaks against it."
    reference = (
        f", a classifier without training {percent(baseline.accuracy, 1)}" if baseline is not None else ""
    )
    return (
        f"{percent(held.accuracy, 1)} of {held.images:,} held-out images are classified correctly; a "
        f"constant answer gives {percent(held.constant, 1)}{reference}."
    )


def _not_judged(evidence: Evidence) -> str:
    held = held_out(evidence)
    if held is None:
        accuracy = _held_out_accuracy(evidence)
        if accuracy is not None:
            return (
                f"Nothing was found, but on how many images the accuracy of {percent(accuracy, 1)} was "
                "measured is not known."
            )
        if evidence.kind != "trained":
            return "Nothing was found, but no accuracy on images not learned from is known."
        return "Nothing was found, but no epoch has ended, so no accuracy was measured."
    return (
        f"Nothing was found, but whether {percent(held.accuracy, 1)} of {held.images:,} held-out images "
        "is what such a run should reach is not known."
    )


def _held_out_accuracy(evidence: Evidence) -> float | None:
    """Return the last accuracy on validation or test images, however many there were."""
    return evidence.held_out("accuracy").last


def _missing(evidence: Evidence) -> tuple[str, ...]:
    """Return what would have to be known to call a run healthy that has no fault so far."""
    held = held_out(evidence)
    if evidence.classes < 2:
        return ("Classes: there are fewer than two, so that nothing can be learned or got wrong.",)
    if held is None and evidence.kind == "watched":
        return (
            "Accuracy on images not learned from: call run.evaluate(logits, labels) in your evaluation loop, "
            "or compute its loss with torch.nn.functional.cross_entropy.",
        )
    if held is None and _held_out_accuracy(evidence) is not None:
        return (
            "The number of images that the accuracy was measured on: give it to "
            "cnnviz runs import FILE --held-out N.",
        )
    if held is None and evidence.kind == "imported":
        return ("Accuracy on images not learned from: a column such as val_accuracy or test_accuracy.",)
    if held is None:
        return ("Accuracy on images not learned from: let the run reach the end of an epoch.",)
    if held.images < MIN_IMAGES:
        tolerance = 2 * standard_error(0.5, held.images)
        return (
            f"Held-out images: of {held.images} the accuracy is known to {percent(tolerance)} only; use more "
            "validation or test images.",
        )
    if held.above >= WELL:
        return ()
    now = accuracy_summary(evidence)
    if evidence.kind != "trained" and now is not None and held.accuracy - now.train_accuracy > FAR_AHEAD:
        return (
            f"Why training images are known so much less ({percent(now.train_accuracy)}) than others "
            f"({percent(held.accuracy)}): strong augmentation, mixup or dropout do that, and so do wrong "
            "labels among the training images. Evaluate these once, in evaluation mode and unchanged.",
        )
    if now is not None and generalization_gap(evidence, now).wide:
        return (
            f"Certainty: training images are known to {percent(now.train_accuracy, 1)} and {held.images:,} "
            f"others to {percent(held.accuracy, 1)}, a gap where over-fitting begins. Compare it with a run "
            "with augmentation or more images, or measure it on more held-out images.",
        )
    comparison = compare_with_patch_classifier(evidence)
    if comparison is not None and comparison.passed and reaches_patch_classifier(evidence):
        return ()
    if comparison is None:
        earlier = (
            evidence.baseline is None and held.above >= HEALTHY_UNCOMPARED and not still_learning(evidence)
        )
        return () if earlier else _how_to_compare(evidence)
    if is_informative(evidence):
        if comparison.passed and not can_confirm_health(evidence):
            return (
                "A standard: the classifier without training does not get far on these images, so that a run "
                "may be ahead of it and far from what can be reached. Compare it with a longer run, or with "
                "ResNet-18 on the same data.",
            )
        if comparison.passed and not still_learning(evidence):
            return (
                "Certainty: it stays behind the classifier without training, and only by so much that the "
                f"sample of {held.images:,} held-out images may explain it. Compare it with a second seed, "
                "or with LeNet-5 or ResNet-18 on the same data, before you call it good.",
            )
        return ("An end: it was still improving; train it for more epochs, then judge it again.",)
    learned = learned_accuracy(evidence)
    train_text = "" if learned is None else f", and it gets {percent(learned)} of its training images right"
    return (
        "A standard: the classifier without training hardly gets anywhere on these images, so that they are "
        f"hard, or their labels do not follow from them{train_text}. {_probe(evidence)} checks whether "
        "one batch can be memorized, and whether labels belong to images.",
    )


def _probe(evidence: Evidence) -> str:
    return f"'cnnviz diagnose {'RUN' if evidence.run is None else evidence.run} --probe'"


def _how_to_compare(evidence: Evidence) -> tuple[str, ...]:
    if evidence.kind != "trained":
        return (
            "A standard: what can be reached on these images is not known to a run that is not trained here. "
            "Compare it with a longer run, or with a network that is known to work on the same data.",
        )
    skipped = evidence.baseline.skipped if evidence.baseline else None
    reason = skipped or "It was not recorded: runs record it after their first epoch, since this version."
    return (
        f"What a classifier without training reaches on the same images. {reason} "
        f"{_probe(evidence)} measures it on the training images.",
    )


def _next_steps(evidence: Evidence, failed: Sequence[Comparison]) -> tuple[str, ...]:
    names = {comparison.name for comparison in failed}
    held, steps = held_out(evidence), []
    if "ended" in names:
        steps.append("Read how it failed (the last lines of its error output, on Train), and start it again.")
    batch = next((comparison for comparison in comparisons(evidence) if comparison.name == "one-batch"), None)
    if batch is None:
        steps.append(
            f"Check whether a fresh network memorizes one batch ({_probe(evidence)}, or "
            "'Probe' on the page): if not, the fault lies in the network, its input or the optimizer; if so, "
            "in the data, the augmentation or the schedule."
        )
    elif batch.passed is False and "either" in batch.text:
        steps.append(
            "Check the network ('cnnviz check', Architecture): not even one batch can be learned, so that "
            "something in it blocks the signal: what follows the last layer, dropout, a layer of few units."
        )
    elif batch.passed is False:
        steps.append(
            "Change the optimizer: one batch is learned with Adam at 0.001, and not with this recipe."
        )
    learned = learned_accuracy(evidence)
    if learned is not None and chance_corrected(learned, evidence.chance) < FAR_BELOW:
        steps += [
            "Look at the images as the network reads them (Data): turn augmentation, cutout and cropping "
            "off, and see whether the training images get learned.",
            "Compare learning rates, a third and three times this one, as an experiment of two seeds each.",
        ]
    elif (
        held is not None
        and learned is not None
        and chance_corrected(learned, evidence.chance) - held.above > GAP
    ):
        steps.append(
            "Compare training and test images (Data): the same classes, the same preparation, none of the "
            "test images seen before; then use more images or augmentation."
        )
    if names & {"best-epoch", "loss", "finite"}:
        steps.append("Lower the learning rate to a third, or let it fall by a schedule, and train again.")
    steps.append(
        "Train a network that is known to work on the same data (LeNet-5 for small images, ResNet-18 for "
        "others): if it learns, the fault is in this network; if not, in data or recipe."
    )
    return tuple(steps)


def describe_probes(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return title and result of each probe in `Evidence.probes`; of one that could not run, the reason."""
    available = probes()
    return [
        (
            available[name].title,
            str(result[MISSING]) if MISSING in result else available[name].describe(result),
        )
        for name, result in results.items()
        if name in available and result
    ]


# Names and symbols, the same on pages and on the command line.

SURENESS = ((0.95, "almost certain"), (0.8, "very likely"), (0.65, "likely"), (0.0, "possible"))


OUTCOMES: dict[Outcome, str] = {
    "healthy": "Healthy",
    "cause-found": "Cause found",
    "unexplained": "Not healthy, cause unknown",
    "not-judged": "Not judged: too little was recorded",
}
"""Title of each outcome."""

MARKS: dict[Outcome, str] = {"healthy": "✓", "cause-found": "!", "unexplained": "?", "not-judged": "–"}
"""Symbol of each outcome, shown beside its title."""

COMPARISONS = {
    "ended": "How it ended",
    "finite": "Loss is a number",
    "chance": "Chance level",
    "patch-classifier": "Classifier without training",
    "training-accuracy": "Training accuracy",
    "loss": "Training loss",
    "best-epoch": "Best epoch",
    "one-batch": "Overfit one batch",
    "inputs": "Answers depend on the input",
    "checkpoint": "Accuracy of the checkpoint",
}
"""Title of each comparison."""

SIGNS = {True: "✓", False: "✗", None: "–"}
"""Symbols for passed, failed and inconclusive."""


def sureness(confidence: float) -> str:
    """Return a confidence in [0, 1] in words."""
    return next(words for least, words in SURENESS if confidence >= least)


def where(finding: Finding) -> str:
    """Format the layers and steps of a finding: `conv1, fc1 · steps 1 to 40`; empty for neither."""
    parts = [_several(finding.layers)] if finding.layers else []
    if finding.steps is not None:
        first, last = finding.steps
        parts.append(f"step {first:,}" if first == last else f"steps {first:,} to {last:,}")
    return " · ".join(parts)


def status_text(evidence: Evidence) -> str:
    """Format a run's status: `finished after 200 steps`, `running, step 40 of 200`."""
    if evidence.status == "finished":
        return f"finished after {counted(evidence.step, evidence.data.counted_in.removesuffix('s'))}"
    of = f" of {evidence.total_steps:,}" if evidence.total_steps else ""
    return f"{evidence.status}, step {evidence.step:,}{of}" if evidence.step else evidence.status


def _several(layers: tuple[str, ...], most: int = 6) -> str:
    more = f" and {len(layers) - most} more" if len(layers) > most else ""
    return ", ".join(layers[:most]) + more
