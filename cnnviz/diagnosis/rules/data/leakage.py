"""Rule on data leakage: test images among the training images, exact or saved again."""

from __future__ import annotations

import math

from cnnviz.diagnosis.evidence import Evidence, NearDuplicates, Repeats
from cnnviz.diagnosis.evidence.loop import MIN_AGAIN
from cnnviz.diagnosis.finding import Bars, CodeFix, Fact, Finding, Images, Picture
from cnnviz.diagnosis.numbers import percent
from cnnviz.diagnosis.rules import Inconclusive, Negative, Outcome, rule
from cnnviz.diagnosis.rules.data.images import constant, is_blurred

# Data leakage.

SOME = 0.01
"""Fraction of the test images among the training images, pixel by pixel. CIFAR-10 has none, and 3.3 % near
duplicates (Barz and Denzler, "Do we train on test data?", 2020), which changed no ranking there.
"""


NEARLY = 0.1
"""Fraction of near duplicates in the probe: three times CIFAR-10's."""


COPIED = 0.05
"""Fraction of re-encoded test images (as JPEG, darker), found by a perceptual hash: more than the known sets
have by nature (none of 1,000 in the digits, MNIST and CIFAR-10).
"""


SOME_OF_FEW = 0.05
"""Fraction of a watched loop's judged images, which are often few."""
FEW_COPIES = 5
"""Copies that are no accident, however few the test images."""


@rule(
    "leakage",
    title="Data leakage (train/test overlap)",
    summary="Images that judge the network were learned from, so the figure flatters.",
    live=True,
)
def leakage(evidence: Evidence) -> Outcome:
    """Detect a hundredth of the test images among the training images, or a twentieth re-encoded."""
    if evidence.loop is not None:
        return _in_a_loop(evidence)
    repeats = evidence.quality.repeats or _probed(evidence)
    if repeats is None or not evidence.data.test:
        return Inconclusive(
            "Nobody compared the test images with the training images; the probe duplicates does."
        )
    if constant(evidence) == "data":
        return Inconclusive(
            "All images are nearly the same, so each part holds those of the other in any case."
        )
    share = repeats.test / evidence.data.test
    probed, copied = (
        evidence.probes.get("duplicates", {}).get("near", {}),
        evidence.quality.near_duplicates,
    )
    if share >= SOME:
        return _finding(evidence, repeats, share)
    if copied and copied.copies >= max(FEW_COPIES, COPIED * copied.images):
        if _blurred(evidence):
            return Inconclusive(
                f"{copied.copies:,} of {copied.images:,} test images look like a training image saved again, "
                "but images with so little detail look like each other in any case; hardly one is the same "
                "pixel by pixel."
            )
        return _copied(evidence, copied)
    if probed and probed["share"] >= NEARLY:
        if _blurred(evidence):
            return Inconclusive(
                f"{percent(probed['share'])} of the test images look nearly like a training image, but "
                "images with so little detail do so in any case; hardly one is the same pixel by pixel."
            )
        return _nearly(evidence, probed["share"], probed)
    also = f", and {percent(probed['share'], 1)} nearly so" if probed else ""
    if copied and copied.images:
        also += f"; saved again, {copied.copies:,} of {copied.images:,} that were compared"
    return Negative(
        f"{repeats.test:,} of {evidence.data.test:,} test images lie among the training images{also}."
    )


def _in_a_loop(evidence: Evidence) -> Outcome:
    """Compare the judged images of a watched loop with those that it had learned from by then."""
    assert evidence.loop is not None
    images = evidence.loop.images
    if images.judged < MIN_AGAIN or not images.seen:
        return Inconclusive("Too few judged images were compared with training images.")
    share, natural = images.leaked, images.repeated_by_nature
    if share < SOME_OF_FEW:
        return Negative(
            f"{images.known:,} of {images.judged:,} judged images equal a training image"
            + (": they are evaluated apart from the others." if images.known and images.fresh_passes else ".")
        )
    return Finding(
        cause="leakage",
        confidence=0.75 if images.known == images.judged else 0.95,
        effect=min(1.0, 0.6 + share),
        verdict=f"{percent(images.known / images.judged)} of the judged images were learned from, so the "
        "accuracy flatters.",
        explanation=(
            f"{images.known:,} of {images.judged:,} judged images equal, value by value, an image that the "
            f"network had been trained on before. Of the training images of an epoch {percent(natural)} "
            f"equal "
            "another one, so that it is no accident. What was memorized is known there too, and how much is "
            "known "
            "of new images nobody can say.\n\nSplit before images are augmented, repeated or joined, and "
            "keep all "
            "copies of an image in one part."
        ),
        facts=(
            Fact("judged images learned from", float(images.known), f"{images.known:,} of {images.judged:,}"),
        ),
        pictures=_accuracies(evidence),
        fix=CodeFix(
            "Judge by images that are not among the training images.",
            "order = torch.randperm(len(images))\ntrain, test = order[:-1000], order[-1000:]  # before "
            "anything else",
        ),
    )


def _blurred(evidence: Evidence) -> bool:
    return evidence.quality.detail is not None and is_blurred(evidence.quality.detail)


def _probed(evidence: Evidence) -> Repeats | None:
    exact = evidence.probes.get("duplicates", {}).get("exact")
    return Repeats.model_validate(exact) if exact else None


def _finding(evidence: Evidence, repeats: Repeats, share: float) -> Finding:
    test, val = evidence.curve("test/accuracy").last, evidence.curve("val/accuracy").last
    images, count = evidence.data.test, repeats.test
    return Finding(
        cause="leakage",
        confidence=0.99,
        effect=min(1.0, 0.6 + share),
        verdict=f"{percent(share)} of the test images were learned from, so the test accuracy flatters.",
        explanation=(
            f"{count:,} of {images:,} test images are, pixel by pixel, among the {evidence.data.train:,} "
            "training images. What was memorized is known there too. "
            f"{_honest(evidence, share)}\n\nNo setting of the recipe fixes that. Take the repeated images "
            "out of one part (out of training, where others are to be compared with), split before images "
            "are augmented or cut, and keep all images of one thing in one part."
            + (f" {repeats.conflicting:,} have another label there." if repeats.conflicting else "")
        ),
        facts=(
            Fact("test images learned from", count, f"{count:,} of {images:,}"),
            *((Fact("test accuracy", test, f"{percent(test, 1)}"),) if test is not None else ()),
            *((Fact("validation accuracy", val, f"{percent(val, 1)}"),) if val is not None else ()),
        ),
        pictures=(*_pairs(evidence, repeats), *_accuracies(evidence)),
        ruled_out=(
            f"Accident: the {math.prod(evidence.data.shape):,} values of an image do not agree by chance.",
        ),
    )


def _honest(evidence: Evidence, share: float) -> str:
    """State the accuracy on images not trained on, where validation images show it."""
    test, val = evidence.curve("test/accuracy").last, evidence.curve("val/accuracy").last
    learnt = evidence.curve("train/epoch_accuracy").last
    if test is None or val is None or learnt is None:
        return "How much that makes of the test accuracy nobody can say without images that are new."
    mixed = share * learnt + (1 - share) * val
    return (
        f"Validation images, which were set aside, are known to {percent(val, 1)}, test images to "
        f"{percent(test, 1)}. That is about what follows: {share:.2f} · {learnt:.3f} + {1 - share:.2f} · "
        f"{val:.3f} = {mixed:.3f}. The honest figure is the validation images'."
    )


def _copied(evidence: Evidence, copied: NearDuplicates) -> Finding:
    """Report test images that are re-encoded training images."""
    compared_images, train = copied.known, max(evidence.data.train, 1)
    # A copy is detected only if its original is among the compared images.
    share = min(1.0, copied.copies / copied.images * max(1.0, train / compared_images))
    classes = evidence.data.classes
    compared = f"{compared_images:,} of {train:,}" if compared_images < train else f"all {train:,}"
    images = tuple(
        picture
        for pair in copied.pairs
        for picture in (
            (pair["png"][0], f"test image {pair['test']:,} ('{classes[pair['labels'][0]]}')"),
            (pair["png"][1], f"training image {pair['train']:,} ('{classes[pair['labels'][1]]}')"),
        )
    )
    return Finding(
        cause="leakage",
        confidence=0.95,
        effect=min(1.0, 0.6 + share),
        verdict=(f"{_about(copied, share)} training images saved again, so the test accuracy flatters."),
        explanation=(
            f"Of {copied.images:,} test images, compared with {compared} training images, "
            f"{copied.copies:,} show the same image as one of them. Their pixels differ a little, as "
            "after saving as JPEG or at another brightness, so that comparing files or pixels does not "
            "show it. Each was reduced to gray at 16×16 pixels, without its mean and contrast: a copy is "
            "less than a tenth away from its original (0 the same, 1.4 unrelated), and less than half as "
            f"far as from the next training images.\n\n{_honest(evidence, share)}\n\nNo setting of the "
            "recipe fixes that. Take the copies out of one part, and split before images are saved again."
        ),
        facts=(Fact("copies of training images", copied.copies, f"{copied.copies:,} of {copied.images:,}"),),
        pictures=(
            *(
                (Images("Test images and the training images they are", images, _alt(images)),)
                if images
                else ()
            ),
            *_accuracies(evidence),
        ),
        ruled_out=("The same file in both parts: hardly an image is repeated pixel by pixel.",),
    )


def _about(copied: NearDuplicates, share: float) -> str:
    """Return subject and verb: `All 300 test images are`, `About 91 % of the test images are`."""
    if copied.copies == copied.images:
        return f"All {copied.images:,} test images are"
    return f"About {percent(share)} of the test images are"


def _alt(shown: tuple[tuple[str, str], ...]) -> str:
    return "; ".join(label for _, label in shown) + "."


def _nearly(evidence: Evidence, share: float, near: dict[str, float]) -> Finding:
    count = math.ceil(share * near["images"])
    return Finding(
        cause="leakage",
        confidence=0.7,
        effect=min(0.8, 0.3 + share),
        verdict=f"{percent(share)} of the test images look nearly like a training image, so the test "
        "accuracy may flatter.",
        explanation=(
            f"Of {near['images']:,} test images that were compared, {count:,} differ from a training image "
            f"by less than {near['threshold']:.1f} of 255 shades (root mean square, reduced to 16×16 "
            "pixels). So alike are usually images of one scene, moments apart, or one image cut twice. "
            "A network that memorized one knows the other.\n\nTake such pairs out of one part, and "
            "split by scene or source rather than by image."
        ),
        facts=(Fact("nearly alike", share, f"{percent(share, 1)} of {near['images']:,}"),),
        pictures=_accuracies(evidence),
        ruled_out=("The same file in both parts: hardly an image is repeated pixel by pixel.",),
    )


def _pairs(evidence: Evidence, repeats: Repeats) -> tuple[Picture, ...]:
    classes = evidence.data.classes
    images = tuple(
        (
            pair["png"],
            f"test image {pair['test']:,} ('{classes[pair['labels'][0]]}') is training image "
            f"{pair['train']:,} ('{classes[pair['labels'][1]]}')",
        )
        for pair in repeats.pairs
    )
    return (
        (Images("In both parts", images, f"{len(images)} images that are in both parts."),) if images else ()
    )


def _accuracies(evidence: Evidence) -> tuple[Picture, ...]:
    curves = {
        "training": evidence.curve("train/epoch_accuracy").last,
        "test": evidence.curve("test/accuracy").last,
        "validation": evidence.curve("val/accuracy").last,
    }
    return (
        Bars(
            title="Accuracy where images were learned from, and where not",
            names=tuple(curves),
            values={"accuracy": tuple(curves.values())},
            y_label="accuracy",
            marked=("test",),
            alt="; ".join(f"{name} {percent(value)}" for name, value in curves.items() if value is not None)
            + ".",
            percent=True,
        ),
    )
