"""Wrong labels by neighbors: the formula, what it is not asked, and what it says of real images."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from cnnviz.datasets import Dataset, Part, load
from cnnviz.diagnosis import Evidence, Finding, Inconclusive, Negative, diagnose, rules
from cnnviz.diagnosis.evidence import Data, DataQuality, Neighbours, NeighboursOfTest, Points, Repeats
from cnnviz.diagnosis.evidence.label_noise import Agreement, agreement
from cnnviz.diagnosis.evidence.loop import Loop, LoopImages
from cnnviz.training import Recipe
from cnnviz.training.data import DataModule
from cnnviz.training.data.quality import dataset_report
from tests.diagnosis.evidence import CLASSES
from tests.diagnosis.test_rules_of_data import DOUBTED, data, run
from tests.diagnosis.well_formed import assert_well_formed

Matrix = NDArray[np.float64]
REPEATED = Repeats(test=3, validation=0, train=0, conflicting=0)


def wrongly(part: float, classes: int) -> Matrix:
    """Row the class, column the label: of every class that part called another, all others alike."""
    return (1 - part) * np.eye(classes) + part / (classes - 1) * (1 - np.eye(classes))


def counted(pairs: Matrix, images: Matrix, others: Matrix) -> dict[str, float]:
    """Of pairs by their classes (row the image, column its neighbor), how many labels agree; and chance."""
    shares = pairs.sum(1)
    return {
        "share": float((images.T @ pairs @ others).trace()),
        "chance": float((shares @ images) @ (shares @ others)),
    }


def expected(pairs: Matrix, train: Matrix, test: Matrix) -> Agreement:
    """Of so many images that nothing is left to accident."""
    size = {"images": 10**9, "each": 5}
    return Agreement(
        Neighbours(**counted(pairs, train, train), **size),
        NeighboursOfTest(**counted(pairs, test, train), **size, nearer=0.5),
        len(pairs),
    )


@st.composite
def classes_of_pairs(draw: st.DrawFn) -> Matrix:
    """How often an image of one class has a neighbor of another: any, but its own class oftenest."""
    classes = draw(st.integers(2, 12))
    mixed = draw(arrays(float, (classes, classes), elements=st.floats(0.01, 1)))
    own = draw(arrays(float, classes, elements=st.floats(0.5, 20)))
    pairs = mixed / classes + np.diag(own)
    return np.asarray(pairs / pairs.sum())


@given(pairs=classes_of_pairs(), dealt=st.floats(0, 0.95))
def test_the_part_of_wrong_labels_comes_out_whatever_the_classes_are(pairs: Matrix, dealt: float) -> None:
    classes = len(pairs)
    part = dealt * (classes - 1) / classes
    near = expected(pairs, wrongly(part, classes), np.eye(classes))
    assume(near.excess[1] > 1e-3)
    assert near.wrong == pytest.approx(part, abs=1e-6)


@given(pairs=classes_of_pairs(), train=st.floats(0, 0.4), test=st.floats(0, 0.4))
def test_of_wrong_test_labels_so_many_fewer_training_labels_seem_wrong(
    pairs: Matrix, train: float, test: float
) -> None:
    """With r and r' for how many labels of either part are the right ones, the ratio is r/r'."""
    classes = len(pairs)
    near = expected(pairs, wrongly(train, classes), wrongly(test, classes))
    assume(near.excess[1] > 1e-3)
    one, other = (1 - part * classes / (classes - 1) for part in (train, test))
    assert near.ratio == pytest.approx(one / other, abs=1e-6)
    assert near.wrong < train + 1e-6


def report_of(within: float, across: float, images: int = 2_000, **changes: Any) -> DataQuality:
    """So often two training images agree that are neighbors, so often a test image and training images."""
    base: dict[str, Any] = {
        "neighbours": Neighbours(share=within, chance=0.1, images=images, each=5),
        "neighbours_of_test": NeighboursOfTest(share=across, chance=0.1, images=images, each=5, nearer=0.5),
        "test_counts": (100,) * 10,
    }
    return DataQuality(**(base | changes))


NOISY = report_of(0.2, 0.35)


def apply_rule(evidence: Evidence, cause: str = "labels-noisy") -> object:
    return rules()[cause].apply(evidence)


def test_neighbours_tell_of_wrong_labels_that_answers_do_not_show() -> None:
    """It is 0.6 · 9 / 10 with r = 0.1 / 0.25 = 0.4.

    The errors are √(0.20 · 0.80 / 5000) = 0.0057 and √(0.35 · 0.65 / 5000) = 0.0067, so that q is known to
    0.9 · √(0.0057² + (0.4 · 0.0067)²) / 0.25 = 0.023.
    """
    evidence = run(0.2, 0.15, test=0.17, quality=NOISY)
    result = apply_rule(evidence)
    assert isinstance(result, Finding)
    assert_well_formed(result, evidence)
    assert result.verdict.startswith("About 54 % of the training labels are wrong")
    assert "0.100 / 0.250 = 0.40, and q = (1 − 0.40) · 9 / 10 = 0.54" in result.explanation
    assert [fact.text for fact in result.facts][:3] == ["35.0 %", "20.0 %", "54 % ± 2 %"]
    assert result.pictures[0].alt == (
        "Neighbors with the same label: of a test image 35 %, by chance 10 %; "
        "of a training image 20 %, by chance 10 %."
    )


def test_neighbours_tell_of_it_where_the_network_only_guesses() -> None:
    assert isinstance(apply_rule(run(0.1, 0.1, quality=NOISY)), Finding)


def test_what_answers_show_is_told_with_what_neighbours_say_beside_it() -> None:
    evidence = run(0.6, 0.5, 0.9, quality=NOISY)
    result = apply_rule(evidence)
    assert isinstance(result, Finding)
    assert_well_formed(result, evidence)
    assert "validation images" in result.verdict
    assert any(fact.text == "54 % ± 2 %" for fact in result.facts)


def test_a_record_without_them_is_judged_as_before() -> None:
    old = DataQuality.model_validate(NOISY.model_dump(exclude={"neighbours_of_test"}))
    assert agreement(run(0.2, 0.15, quality=old)) is None
    assert '"neighbours_of_test"' not in run(0.2, 0.15, quality=old).model_dump_json(exclude_defaults=True)
    assert isinstance(apply_rule(run(0.1, 0.1, quality=old)), Inconclusive)


def compared(**changes: Any) -> Evidence:
    """A run that only guesses, with labels half of which are wrong."""
    tested = NeighboursOfTest(share=0.35, chance=0.1, images=2_000, each=5, nearer=changes.pop("nearer", 0.5))
    return run(0.1, 0.1, quality=report_of(0.2, 0.35, **({"neighbours_of_test": tested} | changes)))


UNTRUSTED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "test images that were learned from": (
        {"repeats": REPEATED},
        {"repeats": REPEATED.model_copy(update={"test": 0})},
    ),
    "other shares of classes": ({"test_counts": (260, *(82,) * 9)}, {"test_counts": (240, *(84,) * 9)}),
    "no test images of any class": ({"test_counts": (0,) * 10}, {"test_counts": (1,) * 10}),
    "another source": ({"nearer": 0.448}, {"nearer": 0.452}),
    "images nearly in both parts": ({"nearer": 0.552}, {"nearer": 0.548}),
    "few images": (
        {"neighbours": Neighbours(share=0.2, chance=0.1, images=199, each=5)},
        {"neighbours": Neighbours(share=0.2, chance=0.1, images=200, each=5)},
    ),
}


@pytest.mark.parametrize("what", UNTRUSTED)
def test_parts_that_do_not_compare_say_nothing(what: str) -> None:
    beyond, before = UNTRUSTED[what]
    assert isinstance(apply_rule(compared(**beyond)), Inconclusive)
    assert isinstance(apply_rule(compared(**before)), Finding)


def test_of_few_test_images_half_are_only_nearly_half() -> None:
    """Of 200 images √(1/4 · (1/200 + 1/2000)) = 3.7 points are one standard error."""
    few = NeighboursOfTest(share=0.5, chance=0.1, images=200, each=5, nearer=0.6)
    assert isinstance(apply_rule(compared(neighbours_of_test=few)), Finding)


def test_nothing_is_said_of_labels_of_one_class() -> None:
    one = Data(classes=("only",), counts=(4000,), train=4000, test=1000, shape=(1, 8, 8))
    assert agreement(run(0.2, 0.15, data=one, quality=report_of(0.9, 1.0, test_counts=(1000,)))) is None


def test_a_little_more_agreement_with_test_images_clears_the_labels() -> None:
    text = apply_rule(run(0.1, 0.1, quality=report_of(0.5, 0.52)))
    assert isinstance(text, Negative)
    assert "fewer than 20 % of the training labels are wrong" in text.by


@pytest.mark.parametrize(("within", "cleared"), [(0.41, True), (0.39, False)])
def test_labels_are_cleared_where_accident_cannot_hide_a_fifth(within: float, cleared: bool) -> None:
    """Of 0.29 / 0.35 q is 0.154, known to 0.024; of 0.31 / 0.35 it is 0.103."""
    assert isinstance(apply_rule(run(0.1, 0.1, quality=report_of(within, 0.45))), Negative) is cleared


def test_labels_that_agree_with_no_test_image_are_not_cleared() -> None:
    none = report_of(0.5, 0.0)
    assert none.neighbours is not None
    assert none.neighbours_of_test is not None
    assert not Agreement(none.neighbours, none.neighbours_of_test, 10).sound


def test_sure_answers_of_a_network_that_guesses_say_nothing_beside_neighbours() -> None:
    evidence = run(0.1, 0.1, probes={"label-agreement": DOUBTED}, quality=report_of(0.39, 0.45))
    assert isinstance(apply_rule(evidence), Inconclusive)


def test_where_test_labels_are_worse_figures_on_test_images_clear_nothing() -> None:
    text = apply_rule(run(0.6, 0.55, quality=report_of(0.5, 0.3)))
    assert isinstance(text, Inconclusive)
    assert "more of the test labels are wrong" in text.why


def test_labels_that_agree_with_no_image_are_shuffled_and_not_noisy() -> None:
    shuffled = run(0.95, 0.1, quality=report_of(0.1, 0.1))
    assert [finding.cause for finding in diagnose(shuffled).findings] == ["labels-shuffled"]


def test_labels_that_agree_with_test_images_are_not_shuffled() -> None:
    """Two training labels of which 65 % are wrong agree an eighth as often as right ones would."""
    quality = report_of(0.107, 0.15)
    assert isinstance(apply_rule(run(0.3, 0.1, quality=quality), "labels-shuffled"), Negative)
    alone = quality.model_copy(update={"neighbours_of_test": None})
    assert isinstance(apply_rule(run(0.3, 0.1, quality=alone), "labels-shuffled"), Finding)


@given(
    within=st.floats(0, 1),
    across=st.floats(0, 1),
    chance=st.floats(0, 1),
    images=st.integers(150, 2_000),
    classes=st.integers(1, 10),
    nearer=st.floats(0.4, 0.6),
)
def test_whatever_neighbours_say_is_told_in_whole_sentences(
    within: float, across: float, chance: float, images: int, classes: int, nearer: float
) -> None:
    size = {"chance": chance, "images": images, "each": 5}
    evidence = run(
        0.3,
        0.25,
        data=data(classes=CLASSES[:classes], counts=(400,) * classes),
        quality=DataQuality(
            neighbours=Neighbours(share=within, **size),
            neighbours_of_test=NeighboursOfTest(share=across, nearer=nearer, **size),
            test_counts=(100,) * classes,
        ),
    )
    result = apply_rule(evidence)
    near = agreement(evidence)
    assert isinstance(result, Finding) == (near is not None and near.found)
    if isinstance(result, Finding):
        assert near is not None
        assert 0.2 < near.wrong < 1
        assert not near.sound
        assert_well_formed(result, evidence)


@cache
def digits() -> Dataset:
    return load("digits")


def mislabelled(part: Part, wrong: float) -> Part:
    """With so many labels changed to any other class."""
    random, labels = np.random.default_rng(5), part.labels.copy()
    rows = random.permutation(len(labels))[: round(wrong * len(labels))]
    labels[rows] = (labels[rows] + random.integers(1, 10, len(rows))) % 10
    return Part(part.images, labels)


def seen(train: Part, test: Part) -> Agreement | None:
    """What the data-quality report makes of these parts of the digits."""
    changed = replace(digits(), train=train, test=test)
    result = dataset_report(DataModule.of(changed, Recipe(validation=0), 1, torch.device("cpu")))
    counts = tuple(np.bincount(train.labels, minlength=10).tolist())
    text = Data(classes=CLASSES, counts=counts, train=len(train), test=len(test), shape=(1, 28, 28))
    return agreement(run(0.1, 0.1, data=text, quality=DataQuality.model_validate(result)))


@pytest.mark.parametrize("wrong", [0.0, 0.3, 0.5, 0.65])
def test_of_real_images_the_wrong_labels_are_counted_within_the_error(wrong: float) -> None:
    near = seen(mislabelled(digits().train, wrong), digits().test)
    assert near is not None
    assert abs(near.wrong - wrong) < 3 * near.error < 0.15
    assert near.found == (wrong > 0.25)


def test_of_labels_wrong_alike_in_both_parts_nothing_is_seen() -> None:
    near = seen(mislabelled(digits().train, 0.5), mislabelled(digits().test, 0.5))
    assert near is not None
    assert not near.found
    assert not near.worse_in_test


def test_training_images_under_a_haze_of_noise_are_another_source() -> None:
    """They agree less often with each other than sharp test images with them: labels have no part in it."""
    train = digits().train
    noise = np.random.default_rng(0).integers(-200, 200, train.images.shape)
    hazy = Part(np.clip(train.images.astype(int) + noise, 0, 255).astype(np.uint8), train.labels)
    assert seen(hazy, digits().test) is None


def test_images_of_little_detail_seem_no_worse_labelled() -> None:
    parts = [
        Part(
            part.images.reshape(len(part), 1, 4, 7, 4, 7)
            .mean((3, 5))
            .repeat(7, 2)
            .repeat(7, 3)
            .astype(np.uint8),
            part.labels,
        )
        for part in (digits().train, digits().test)
    ]
    near = seen(parts[0], parts[1])
    assert near is not None
    assert near.sound


@pytest.mark.parametrize(("dropout", "told"), [({}, True), ({"drop1": 0.1, "drop2": 0.2}, False)])
def test_of_a_watched_loop_with_dropout_training_accuracy_says_nothing_of_labels(
    dropout: dict[str, float], told: bool
) -> None:
    loop = Loop(images=LoopImages(after=3_600, again=3_600))
    curves = {name: curve for name, curve in run(0.8, 0.8).curves.items() if not name.startswith("val/")}
    for name, end in (("train/epoch_accuracy", 0.8), ("test/accuracy", 0.95)):
        curves[name] = Points(steps=tuple(range(20, 201, 20)), values=(0.5, 0.7, *[end] * 8))
    evidence = run(
        0.8, 0.8, kind="watched", loop=loop, dropout=dropout, curves=curves, data=data(validation=0),
        quality=DataQuality(),
    )  # fmt: skip
    assert isinstance(apply_rule(evidence), Finding) is told
