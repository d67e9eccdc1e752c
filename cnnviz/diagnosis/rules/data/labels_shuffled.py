"""Rule on shuffled labels: labels that are unrelated to the images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnnviz.diagnosis.comparisons import is_informative, patch_classifier_score
from cnnviz.diagnosis.evidence import Evidence, Neighbours
from cnnviz.diagnosis.evidence.generalization import first_pass_accuracy, held_out, held_out_loss
from cnnviz.diagnosis.evidence.label_noise import agreement
from cnnviz.diagnosis.evidence.learning_curves import (
    ERRORS,
    AccuracySummary,
    above_chance_on_test,
    accuracy_figure,
    accuracy_summary,
    has_risen,
    neighbors_agree,
    standard_error,
    summarize_loss,
)
from cnnviz.diagnosis.evidence.loop import MIN_AGAIN
from cnnviz.diagnosis.finding import Bars, CodeFix, Fact, Finding, Picture
from cnnviz.diagnosis.numbers import fixed, percent
from cnnviz.diagnosis.rules import Inconclusive, Negative, Outcome, rule
from cnnviz.diagnosis.rules.data.images import is_blurred
from cnnviz.diagnosis.rules.training.over_fitting import FEW as FEW_IMAGES
from cnnviz.diagnosis.rules.training.steps import FEW

LITTLE = 0.02
"""Label agreement of neighbors beyond chance, chance-corrected, where pixels are least informative, as for
drawn shapes anywhere in the image (0.02 to 0.03; CIFAR-10 has 0.17, MNIST 0.85).
"""
OVER_FITTING = ("over-fitting-data", "over-fitting-augmentation", "over-fitting-model")
LUCKY = 2.0
"""Standard errors, of one guess for each class, that random labels explain: images of a class get
much the same answer, whatever it is, so that a network's accuracy on others' labels varies as that of so many
guesses as there are classes, not images.
"""
APART = 0.3
"""Cramér's V between true class and answer (0: independent, 1: one follows from the other) from which a
network tells classes apart.
"""
MEMORISED = 0.2
"""Chance-corrected training accuracy from which labels that no image explains are memorized."""
RELABELLED = 0.5
"""Part of the images with another label in later epochs, relative to labels dealt out at random. Labels
that are guessed anew for unlabeled images (Lee, "Pseudo-label", 2013) change far less often.
"""
MIN_EXPECTED = 0.1
"""Least part that labels dealt out at random would change: less is seen where nearly all have one label."""
EVEN = 0.02
"""Excess of the commonest class's share of a batch over 1/classes that random batches have."""
BEGUN, MANY_ERRORS = 0.1, 8.0
"""The same, and standard errors beyond chance, of a run that has begun to."""
LABEL_SHIFT = 0.2
"""Difference between the commonest training class's shares of training and of held-out images from which a
network that gives this answer alone says nothing of labels.
"""
WORSE = 1.02
"""Multiple of the chance level, and of its own minimum, that the held-out loss has then reached."""


@rule(
    "labels-shuffled",
    title="Labels shuffled",
    summary="Labels have nothing to do with the images, as where images and labels were sorted apart.",
)
def shuffled(evidence: Evidence) -> Outcome:
    """Detect shuffled labels: held-out accuracy at chance level, and neighbors that disagree."""
    relabelled = _relabelled(evidence)
    if relabelled is not None:
        return relabelled
    now, neighbors = accuracy_summary(evidence), evidence.quality.neighbours
    ruled_out_by = _ruled_out_by_images(evidence)
    if sum(count > 0 for count in evidence.data.counts) < 2:
        return Inconclusive(
            "Fewer than two classes have training images, so that there is nothing to shuffle."
        )
    if now is None:
        return Inconclusive("No epoch has ended yet.") if not ruled_out_by else Negative(ruled_out_by)
    lucky, held = _lucky(evidence, now), held_out(evidence)
    if not now.at_chance and not lucky:
        return Negative(
            f"{percent(now.held_out_accuracy)} of the {now.part} images are known, {percent(now.chance)} by "
            "a constant answer."
        )
    if held is not None and not held.by_chance and held.constant < now.chance and not lucky:
        return Negative(  # held-out classes that are less unequal than those of the training images
            f"{percent(held.accuracy)} of the held-out images are known, {percent(held.constant)} by the "
            "answer that is commonest in training."
        )
    if ruled_out_by:
        return Negative(ruled_out_by)
    if evidence.loop is not None and evidence.loop.preprocessing_mismatch is not None:
        return Inconclusive("Images that are judged were prepared otherwise, so their answers say nothing.")
    first = first_pass_accuracy(evidence)
    if first is not None:
        return Negative(
            f"In its first epoch, in which each image was new, {percent(first)} of the training images were "
            f"known, {percent(now.chance)} by a constant answer: the labels belong to the images."
        )
    if above_chance_on_test(evidence) and not lucky:
        test = evidence.curve("test/accuracy").last
        return Negative(
            f"{percent(test or 0.0)} of the test images are known, which no shuffled labels teach."
        )
    learnt = _memorized(evidence, now) and not _few_images(evidence)
    if not learnt and held is not None and held.constant < now.chance - LABEL_SHIFT:
        return Inconclusive(
            f"{percent(now.chance)} of the training images have one label, {percent(held.constant)} of the "
            "held-out ones: who learns that label alone knows no more of them."
        )
    if not learnt and _gini_impurity(evidence.data.counts) < MIN_EXPECTED:
        common = percent(max(evidence.data.counts) / sum(evidence.data.counts))
        return Inconclusive(
            f"{common} of the training images have one label, so that sound labels look like shuffled ones."
        )
    conclusive = neighbors is not None and _conclusive(neighbors) and not _blurred(evidence)
    probed = "label-agreement" in evidence.probes and "missing" not in evidence.probes["label-agreement"]
    apart = _told_apart(evidence, now) and not _blown(evidence)
    if neighbors is None and not learnt and not apart and not evidence.probes.get("label-agreement"):
        return Inconclusive(
            "Nothing was learned, and nobody looked at the images; run the probe label-agreement."
        )
    if _few_images(evidence) and not conclusive and not probed:
        return Inconclusive(
            f"Of {evidence.data.train:,} images nobody learns enough to know others, however sound their "
            "labels are, and they are too few for neighbors to tell."
        )
    unread = _unread(evidence) and not _blurred(evidence)
    confidence = 0.5 + (0.25 if conclusive or apart or unread else 0.0) + (0.22 if learnt else 0.0)
    if probed and not _blurred(evidence):
        confidence = max(confidence, 0.9)
    return _shuffled(evidence, now, neighbors, confidence)


def _relabelled(evidence: Evidence) -> Finding | None:
    """Detect images of a watched loop that come with other labels in later epochs.

    Where each batch holds every class equally often, numbers may be dealt out for each batch on purpose, as
    in contrastive learning and in episodes of few-shot learning.
    """
    loop, now = evidence.loop, accuracy_summary(evidence)
    if loop is None or loop.images.again < MIN_AGAIN or (now is not None and now.well):
        return None
    if loop.commonest is None or loop.commonest <= 1 / max(evidence.classes, 1) + EVEN:
        return None
    share = loop.images.relabelled / loop.images.again
    expected = _gini_impurity(loop.labels)
    if expected < MIN_EXPECTED or share < RELABELLED * expected:
        return None
    return Finding(
        cause="labels-shuffled",
        confidence=0.96,
        effect=1.0,
        verdict=f"The same image comes with another label in later epochs: {percent(share)} of "
        f"{loop.images.again:,} images that came again, where labels dealt out at random would give "
        f"{percent(expected)}.",
        explanation=(
            "An image has one label. Here images and labels are put together anew in each epoch, so that "
            "labels have nothing to do with images: one of the two is shuffled or sorted without the other "
            "(two loaders, an index that is applied to one of them, a collate function that mixes a batch)."
        ),
        facts=(Fact("images with another label than at first", share, percent(share)),),
        ruled_out=("The network and its settings: images and labels were compared before either was used.",),
        fix=CodeFix(
            "Index images and labels by the same order.",
            "order = torch.randperm(len(images))\nimages, labels = images[order], labels[order]",
        ),
        explains=(
            "one-class", "under-fitting", "labels-noisy", "rate-too-high", "rate-too-low", "too-few-steps",
            *OVER_FITTING,
        ),
    )  # fmt: skip


def _gini_impurity(counts: Sequence[int]) -> float:
    """Return the Gini impurity of classes, 1 - Σ p²: the part of labels that dealing out changes."""
    total = max(sum(counts), 1)
    return 1 - sum((count / total) ** 2 for count in counts)


def _memorized(evidence: Evidence, now: AccuracySummary) -> bool:
    """Return whether training images are known that held-out ones of the same kind are not.

    Of a run that has only begun to memorize: far beyond sampling error, while answers to held-out images get
    worse than knowing the class frequencies.
    """
    above = now.above(now.train_accuracy)
    if above > MEMORISED:
        return True
    error = standard_error(now.chance, evidence.data.train)
    curve, held = summarize_loss(evidence), held_out_loss(evidence, now)
    begun = above > BEGUN and now.train_accuracy - now.chance > MANY_ERRORS * error
    worse = curve is not None and held.last is not None and held.last > WORSE * curve.chance
    return begun and worse and has_risen(held, WORSE)


def _lucky(evidence: Evidence, now: AccuracySummary) -> bool:
    """Return whether accuracy somewhat above chance is no more than random labels explain.

    Only where nothing that reads the images without the network finds their labels: neither neighbors among
    the training images, nor those of test images, nor the untrained patch classifier.
    """
    neighbors, across = evidence.quality.neighbours, evidence.quality.neighbours_of_test
    if neighbors is None or across is None or neighbors_agree(neighbors) or neighbors_agree(across):
        return False
    margin = LUCKY * standard_error(now.chance, evidence.classes)
    tested = evidence.curve("test/accuracy").last
    best = max(now.held_out_accuracy, tested if tested is not None else 0.0)
    return _unread(evidence) and not _few_images(evidence) and best < now.chance + margin


def _unread(evidence: Evidence) -> bool:
    """Return whether the untrained patch classifier is known to find hardly any of the labels."""
    return patch_classifier_score(evidence) is not None and not is_informative(evidence)


def _ruled_out_by_images(evidence: Evidence) -> str:
    """Return a sentence that rules out shuffled labels from the images alone; empty if inconclusive."""
    coloured, neighbors = evidence.quality.neighbours_in_colour, evidence.quality.neighbours
    for agreeing, words in ((coloured, " in color"), (neighbors, "")):
        if agreeing is not None and neighbors_agree(agreeing):
            return (
                f"Neighbors{words} share their label {percent(agreeing.share)} of the time, "
                f"{percent(agreeing.chance)} by chance: the labels belong to the images."
            )
    tested = agreement(evidence)
    if tested is not None and tested.labels_informative:
        return (
            f"The training images most like a test image have its label {percent(tested.across.share)} of "
            f"the time, {percent(tested.across.chance)} by chance: the labels belong to the images, at least "
            "in part."
        )
    learned = evidence.probes.get("label-agreement", {}).get("patches")
    if learned and learned["share"] > learned["chance"] + ERRORS * standard_error(
        learned["chance"], learned["images"]
    ):
        return (
            f"A linear classifier of patches finds {percent(learned['share'])} of the labels of images it "
            f"has not seen, {percent(learned['chance'])} by chance: the labels belong to the images."
        )
    return ""


def _shuffled(
    evidence: Evidence, now: AccuracySummary, neighbors: Neighbours | None, confidence: float
) -> Finding:
    by_heart = now.above(now.train_accuracy) > MEMORISED
    text = (
        f"In training it knows {percent(now.train_accuracy)} of the images, but only by memorizing them: "
        "with random labels a large network can do that too (Zhang et al., “Understanding deep learning "
        "requires rethinking generalization”, 2017)."
        if by_heart
        else f"In training, too, it knows no more than {percent(now.train_accuracy)}."
    )
    if not by_heart and _told_apart(evidence, now):
        text += (
            " Yet its answers to held-out images differ from class to class, far more than chance allows: it "
            "tells them apart, which helps with labels that belong to them."
        )
    neighbors_text = (
        f"\n\nThe images say so themselves. Of the {neighbors.each} images most like an image, among "
        f"{neighbors.images:,}, {percent(neighbors.share, 1)} have its label; if labels were dealt out at "
        f"random it would be Σ p² = {percent(neighbors.chance, 1)}."
        if neighbors
        else ""
    )
    return Finding(
        cause="labels-shuffled",
        confidence=confidence,
        # A run that does not even memorize its labels may have another cause, which its own rule reports.
        effect=1.0 if by_heart else 0.8,
        verdict=(
            f"Labels have nothing to do with the images: {percent(now.held_out_accuracy)} of the {now.part} "
            f"images are known, a constant answer gets {percent(now.chance)}."
        ),
        explanation=(
            f"Of {now.images:,} {now.part} images the network knows {percent(now.held_out_accuracy, 1)}. "
            f"Always giving the commonest class is right {percent(now.chance, 1)} of the time, give or take "
            f"√({now.chance:.2f} · {1 - now.chance:.2f} / {now.images:,}) = "
            f"{100 * standard_error(now.chance, now.images):.1f} points"
            f"{': it guesses. ' if now.at_chance else _by_luck(evidence, now)}"
            f"{text}{neighbors_text}\n\n"
            "No recipe mends that. Look at the file that pairs images with labels: usually one of the two "
            "was sorted or shuffled without the other, or a row was left out in one."
        ),
        facts=(*now.facts, *_facts(neighbors)),
        pictures=(
            *_agreements(evidence, neighbors),
            accuracy_figure(evidence, "Memorized, and at chance level"),
        ),
        ruled_out=_not_the_network(evidence, by_heart, now),
        explains=(
            "one-class",
            *(() if _few_images(evidence) else OVER_FITTING),
            "under-fitting",
            "labels-noisy",
            *(("data-enlarged",) if by_heart or not _blurred(evidence) else ()),
            *(() if _blown(evidence) else ("rate-too-high",)),
            *(("too-few-steps",) if evidence.step > FEW else ()),
        ),
    )


def _by_luck(evidence: Evidence, now: AccuracySummary) -> str:
    """Return why somewhat more than chance is guessing, too."""
    return (
        " if each image were guessed for itself. Images of a class get much the same answer, so that random "
        f"labels are met by {evidence.classes} guesses rather, give or take "
        f"{100 * standard_error(now.chance, evidence.classes):.1f} points: it guesses. "
    )


def _few_images(evidence: Evidence) -> bool:
    """Return whether images are so few that any labels would be memorized."""
    return evidence.data.train <= FEW_IMAGES * evidence.classes


def _blurred(evidence: Evidence) -> bool:
    """Return whether images have lost the detail that may tell their classes apart."""
    return evidence.quality.detail is not None and is_blurred(evidence.quality.detail)


def _told_apart(evidence: Evidence, now: AccuracySummary) -> bool:
    """Return whether answers depend on the true class while neither part's labels are predicted.

    Cramér's V of the confusion matrix, with a χ² test. A network that tells held-out classes apart would know
    more of its training images than chance, if their labels belonged to them.
    """
    matrix = np.array(evidence.confusion, dtype=float)
    if matrix.ndim != 2 or evidence.step <= FEW or not _at_chance_in_training(evidence, now):
        return False
    matrix = matrix[:, matrix.sum(0) > 0][matrix.sum(1) > 0]
    if min(matrix.shape) < 2:
        return False
    # Late, and not scipy.stats, whose import takes a second and stays with 50 MB.
    from scipy.special import chdtrc

    expected = np.outer(matrix.sum(1), matrix.sum(0)) / matrix.sum()
    statistic = ((matrix - expected) ** 2 / expected).sum()
    freedom = (matrix.shape[0] - 1) * (matrix.shape[1] - 1)
    strength = (statistic / matrix.sum() / (min(matrix.shape) - 1)) ** 0.5
    return bool(strength > APART and chdtrc(freedom, statistic) < 1e-6)


def _at_chance_in_training(evidence: Evidence, now: AccuracySummary) -> bool:
    error = standard_error(now.chance, evidence.data.train or now.images)
    return abs(now.train_accuracy - now.chance) < ERRORS * error


def _conclusive(neighbors: Neighbours) -> bool:
    """Return whether enough pairs were compared to notice a small agreement."""
    most = neighbors.chance + ERRORS * standard_error(neighbors.chance, neighbors.pairs)
    return (most - neighbors.chance) / max(1 - neighbors.chance, 1e-9) < LITTLE


def _blown(evidence: Evidence) -> bool:
    """Return whether the loss rose far above chance level, which labels do not explain."""
    curve = summarize_loss(evidence)
    return curve is not None and curve.diverged


def _not_the_network(evidence: Evidence, by_heart: bool, now: AccuracySummary) -> tuple[str, ...]:
    neighbors, parts = evidence.quality.neighbours, []
    start, last = evidence.curve("train/epoch_loss").first, evidence.curve("train/epoch_loss").last
    if by_heart and start is not None and last is not None:
        parts.append(
            f"A network that cannot learn: its training loss fell from {fixed(start)} to {fixed(last)}, and "
            f"it knows {percent(now.train_accuracy)} of the training images."
        )
    if neighbors is not None and not neighbors_agree(neighbors):
        parts.append("The network and its settings: neighbors are found without either, and share no labels.")
    return tuple(parts)


def _facts(neighbors: Neighbours | None) -> tuple[Fact, ...]:
    if neighbors is None:
        return ()
    return (
        Fact(
            "neighbors that share a label",
            neighbors.share,
            f"{percent(neighbors.share, 1)} of {neighbors.images * neighbors.each:,}",
        ),
        Fact("by chance", neighbors.chance, f"{percent(neighbors.chance, 1)}"),
    )


def _agreements(evidence: Evidence, neighbors: Neighbours | None) -> tuple[Picture, ...]:
    """Plot label agreement of neighbors and patch classifier against chance."""
    learned = evidence.probes.get("label-agreement", {}).get("patches")
    shares = [("nearest neighbors", neighbors.share, neighbors.chance)] if neighbors else []
    if learned:
        shares.append(("a linear classifier of patches", learned["share"], learned["chance"]))
    if not shares:
        return ()
    return (
        Bars(
            title="How often images tell their label",
            names=tuple(name for name, _, _ in shares),
            values={
                "found": tuple(share for _, share, _ in shares),
                "by chance": tuple(chance for _, _, chance in shares),
            },
            y_label="part of the labels",
            alt="; ".join(
                f"{name}: {percent(share)}, by chance {percent(chance)}" for name, share, chance in shares
            )
            + ".",
            percent=True,
        ),
    )
