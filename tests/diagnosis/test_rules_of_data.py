"""Rules of generalization and data, on evidence made by hand: found where it is planted, clear beside it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from cnnviz.diagnosis import Evidence, Inconclusive, Negative, Points, diagnose, rules
from cnnviz.diagnosis.evidence import Data, DataQuality, Detail, LayerFact, Neighbours, Repeats
from cnnviz.diagnosis.evidence.loop import Loop
from cnnviz.models.layers import Dropout, Flatten, LayerList, Linear
from cnnviz.training import Recipe
from cnnviz.training.recipe import analysis_for
from tests.diagnosis.evidence import CLASSES, healthy

EACH = 400
"""Training images of a class in what is made here."""
SOUND = Neighbours(share=0.9, chance=0.1, images=2000, each=5)
RANDOM = Neighbours(share=0.102, chance=0.1, images=2000, each=5)
NAMES = ("ship", "cat", "frog", "deer", "horse", "dog", "bird", "plane", "car", "truck")


def data(**changes: Any) -> Data:
    base: dict[str, Any] = {
        "classes": CLASSES,
        "counts": (EACH,) * 10,
        "train": 10 * EACH,
        "validation": 444,
        "test": 1000,
        "shape": (1, 28, 28),
    }
    return Data(**(base | changes))


def run(learnt: float, val: float, test: float | None = None, **changes: Any) -> Evidence:
    """A run that ends with these accuracies, of images with sound labels."""
    ends = {
        "train/epoch_accuracy": learnt,
        "val/accuracy": val,
        "test/accuracy": val if test is None else test,
    }
    steps, curves = tuple(range(20, 201, 20)), dict(healthy().curves)
    for name, end in ends.items():
        curves[name] = Points(steps=steps, values=tuple(0.1 + (end - 0.1) * i / 10 for i in range(1, 11)))
    base: dict[str, Any] = {
        "curves": curves,
        "data": data(),
        "quality": DataQuality(neighbours=SOUND, test_counts=(100,) * 10),
        "params": 61_706,
        "side": (28, 28),
        "predicted": {},
    }
    return healthy(**(base | changes))


def confusion(recalls: list[float]) -> tuple[tuple[int, ...], ...]:
    """Of a hundred test images of each class so many right, the others called the next class."""
    rows = [[0] * 10 for _ in range(10)]
    for number, recall in enumerate(recalls):
        rows[number][number] = round(100 * recall)
        rows[number][(number + 1) % 10] += 100 - round(100 * recall)
    return tuple(map(tuple, rows))


def chain(rate: float) -> LayerList:
    return LayerList(
        name="chain",
        input=(1, 28, 28),
        layers=(Flatten(), Dropout(name="dropout1", p=rate), Linear(name="fc1", out="classes")),
    )


def layer(name: str, kind: str, params: int, out: tuple[int, ...], type_: str = "Conv2d") -> LayerFact:
    return LayerFact(name=name, type=type_, kind=kind, params=params, out=out)


TINY = (layer("conv1", "conv", 10, (1, 14, 14)), layer("fc1", "fc", 190, (10,), "Linear"))
DROPS = (*TINY, layer("drop1", "other", 0, (10,), "Dropout"))
PAIR = {"test": 3, "train": 7, "labels": [1, 1], "png": "iVBORw0KGgo="}
AGREED = {
    "neighbours": SOUND.model_dump(),
    "patches": {"share": 0.5, "chance": 0.1, "images": 1000},
    "confident": {"validation": {"accuracy": 0.6, "share": 0.98, "images": 80}},
    "doubted": [],
}
DOUBTED = AGREED | {
    "confident": {"validation": {"accuracy": 0.6, "share": 0.61, "images": 80}},
    "doubted": [{"row": 4, "label": 2, "answer": 7, "sure": 0.99, "png": "iVBORw0KGgo="}],
}
HARD = AGREED | {"confident": {"test": {"accuracy": 0.45, "share": 0.7, "images": 200}}}
OTHER = {"model": "small-alexnet", "dataset": "cifar10", "epochs": 10}
COLOURED = data(shape=(3, 32, 32), classes=NAMES)
GREY = data(notes=("Color turned to gray (BT.601).",), classes=NAMES)

PLANTED: dict[str, Callable[[], tuple[str, Evidence]]] = {
    "decay": lambda: ("weight-decay", run(0.2, 0.2, recipe=Recipe(weight_decay=0.3))),
    "decay of Adam": lambda: (
        "weight-decay",
        run(0.2, 0.2, recipe=Recipe(optimiser="adam", lr=1e-3, weight_decay=0.1)),
    ),
    "dropout": lambda: ("dropout", run(0.3, 0.5, recipe=Recipe(layers=chain(0.9)))),
    "dropout of a registered model": lambda: (
        "dropout",
        run(0.3, 0.5, recipe=Recipe(**OTHER, options={"dropout": 0.9})),
    ),
    "few images": lambda: (
        "over-fitting-data",
        run(
            1.0,
            0.6,
            recipe=Recipe(limit=100, epochs=40),
            data=data(train=100, counts=(10,) * 10),
        ),
    ),
    "no augmentation": lambda: (
        "over-fitting-augmentation",
        run(0.99, 0.7, recipe=Recipe(**OTHER), data=COLOURED, params=500_000),
    ),
    "large network": lambda: (
        "over-fitting-model",
        run(0.99, 0.7, recipe=Recipe(**OTHER), data=COLOURED, params=12_000_000),
    ),
    "large chain": lambda: (
        "over-fitting-model",
        run(0.99, 0.7, recipe=Recipe(layers=chain(0)), params=12_000_000),
    ),
    "large without convolutions": lambda: (
        "over-fitting-model",
        run(0.99, 0.7, recipe=Recipe(layers=chain(0)), params=800_000, layers=TINY[1:]),
    ),
    "tiny network": lambda: (
        "under-fitting",
        run(0.5, 0.5, recipe=Recipe(layers=chain(0)), params=200, layers=TINY),
    ),
    "shuffled, by heart": lambda: (
        "labels-shuffled",
        run(0.95, 0.1, quality=DataQuality(neighbours=RANDOM)),
    ),
    "shuffled, not learned": lambda: (
        "labels-shuffled",
        run(0.12, 0.1, quality=DataQuality(neighbours=RANDOM)),
    ),
    "wrong in training": lambda: ("labels-noisy", run(0.6, 0.5, 0.9)),
    "wrong in training, without validation": lambda: (
        "labels-noisy",
        run(0.5, 0.9, recipe=Recipe(validation=0, epochs=10), data=data(validation=0)),
    ),
    "wrong in training, so that validation looks like guessing": lambda: (
        "labels-noisy",
        run(0.2, 0.13, 0.4, step=300),
    ),
    "wrong everywhere": lambda: ("labels-noisy", run(0.6, 0.58, probes={"label-agreement": DOUBTED})),
    "unbalanced": lambda: (
        "classes-unbalanced",
        run(
            0.9, 0.9, 0.3, data=data(counts=(1800, 1800, *(50,) * 8)), confusion=confusion([1, 1, *[0.2] * 8])
        ),
    ),
    "unbalanced, and so few steps": lambda: (
        "classes-unbalanced",
        run(
            0.5,
            0.5,
            0.1,
            step=60,
            data=data(counts=(180, 180, *(4,) * 8)),
            confusion=confusion([1, *[0] * 9]),
        ),
    ),
    "missing": lambda: (
        "classes-missing",
        run(
            0.95,
            0.95,
            0.6,
            data=data(counts=(0, 0, 0, *(571,) * 7)),
            confusion=confusion([0, 0, 0, *[0.9] * 7]),
        ),
    ),
    "color lost": lambda: (
        "data-channels",
        run(0.12, 0.1, data=GREY, quality=DataQuality(neighbours=RANDOM, neighbours_in_colour=SOUND)),
    ),
    "color lost, noted by an earlier version": lambda: (
        "data-channels",
        run(
            0.12,
            0.1,
            data=data(notes=("Colour turned to grey (BT.601).",), classes=NAMES),
            quality=DataQuality(neighbours=RANDOM, neighbours_in_colour=SOUND),
        ),
    ),
    "enlarged before": lambda: (
        "data-enlarged",
        run(
            0.6,
            0.55,
            quality=DataQuality(neighbours=SOUND, detail=Detail(halved=0.004, quartered=0.035)),
        ),
    ),
    "enlarged before, all fine detail": lambda: (
        "data-enlarged",
        run(
            0.3,
            0.2,
            quality=DataQuality(neighbours=SOUND, detail=Detail(halved=0.05, quartered=0.4)),
        ),
    ),
    "enlarged by the recipe": lambda: (
        "data-enlarged",
        run(0.6, 0.55, recipe=Recipe(model="googlenet"), side=(224, 224)),
    ),
    "training mode": lambda: (
        "evaluation-mode",
        run(0.9, 0.7, layers=DROPS, in_training_mode=("conv1", "drop1", "fc1")),
    ),
    "training mode, probed": lambda: (
        "evaluation-mode",
        run(
            0.9,
            0.7,
            layers=DROPS,
            probes={
                "evaluation-mode": {"recorded": 0.7, "training": 0.69, "evaluation": 0.95, "images": 1000}
            },
        ),
    ),
    "leaked": lambda: (
        "leakage",
        run(
            0.99,
            0.85,
            0.99,
            quality=DataQuality(
                neighbours=SOUND,
                repeats=Repeats(test=900, validation=0, train=0, conflicting=0, pairs=(PAIR,)),
            ),
        ),
    ),
    "nearly leaked": lambda: (
        "leakage",
        run(
            0.99,
            0.95,
            probes={
                "duplicates": {
                    "exact": {"test": 0, "validation": 0, "train": 0, "conflicting": 0},
                    "near": {"share": 0.4, "threshold": 4.0, "images": 500, "known": 4000},
                }
            },
        ),
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_planted_is_named_first(name: str) -> None:
    cause, evidence = PLANTED[name]()
    findings = diagnose(evidence).findings
    assert findings[0].cause == cause, [one.cause for one in findings]
    assert findings[0].verdict.endswith(".")
    assert findings[0].facts
    assert findings[0].pictures
    assert findings[0].ruled_out
    assert all(picture.alt for picture in findings[0].pictures)
    json.dumps(diagnose(evidence).as_json())


@pytest.mark.parametrize("name", PLANTED)
def test_every_change_is_a_recipe_with_a_network_that_can_be_built(name: str) -> None:
    _, evidence = PLANTED[name]()
    changes = [change for one in diagnose(evidence).findings for change in one.changes]
    for change in changes:
        after = change.recipe(evidence.recipe)
        assert after.difference(evidence.recipe)
        assert analysis_for(after, 10).rows
    json.dumps([change.values for change in changes])


MENDABLE = ("decay", "dropout", "few images", "no augmentation", "large", "tiny", "color lost")


@pytest.mark.parametrize("name", [name for name in PLANTED if name.startswith(MENDABLE)])
def test_what_a_recipe_can_mend_has_a_change(name: str) -> None:
    _, evidence = PLANTED[name]()
    assert diagnose(evidence).findings[0].changes


BESIDE: dict[str, Callable[[], tuple[str, Evidence]]] = {
    "usual decay": lambda: ("weight-decay", run(0.2, 0.2, recipe=Recipe(weight_decay=5e-4))),
    "strong decay that does no harm": lambda: (
        "weight-decay",
        run(0.98, 0.97, recipe=Recipe(weight_decay=0.3)),
    ),
    "usual dropout": lambda: ("dropout", run(0.3, 0.5, recipe=Recipe(layers=chain(0.5)))),
    "strong dropout that does no harm": lambda: ("dropout", run(0.9, 0.95, recipe=Recipe(layers=chain(0.9)))),
    "a small gap": lambda: ("over-fitting-augmentation", run(1.0, 0.92, recipe=Recipe(**OTHER))),
    "a gap on the way, while both get better": lambda: (
        "over-fitting-augmentation",
        run(0.63, 0.47, recipe=Recipe(**OTHER)),
    ),
    "augmented": lambda: (
        "over-fitting-augmentation",
        run(0.99, 0.7, recipe=Recipe(**OTHER, pad_crop=4), data=COLOURED),
    ),
    "images enough": lambda: ("over-fitting-data", run(0.99, 0.7)),
    "few weights": lambda: ("over-fitting-model", run(0.99, 0.7)),
    "weights enough": lambda: ("under-fitting", run(0.5, 0.5)),
    "strong dropout, nearly known all the same": lambda: (
        "dropout",
        run(0.6, 0.85, recipe=Recipe(layers=chain(0.8))),
    ),
    "few weights, shared, and still learning": lambda: ("under-fitting", run(0.5, 0.5, params=3_000)),
    "tiny, but it does": lambda: ("under-fitting", run(0.95, 0.95, params=200, layers=TINY)),
    "guessing with sound labels": lambda: ("labels-shuffled", run(0.1, 0.1)),
    "better than guessing": lambda: (
        "labels-shuffled",
        run(0.5, 0.3, quality=DataQuality(neighbours=RANDOM)),
    ),
    "better than guessing on test images": lambda: (
        "labels-shuffled",
        run(0.6, 0.1, 0.4, quality=DataQuality(neighbours=RANDOM)),
    ),
    "labels that color explains": lambda: (
        "labels-shuffled",
        run(0.1, 0.1, quality=DataQuality(neighbours=RANDOM, neighbours_in_colour=SOUND)),
    ),
    "labels that patches explain": lambda: (
        "labels-shuffled",
        run(0.1, 0.1, quality=DataQuality(neighbours=RANDOM), probes={"label-agreement": AGREED}),
    ),
    "known alike, and better than in a training that lags": lambda: ("labels-noisy", run(0.6, 0.78, 0.8)),
    "known alike": lambda: ("labels-noisy", run(0.6, 0.55, 0.57)),
    "better on what leaked": lambda: (
        "labels-noisy",
        run(
            0.6,
            0.5,
            0.9,
            quality=DataQuality(repeats=Repeats(test=900, validation=0, train=0, conflicting=0)),
        ),
    ),
    "sure and right": lambda: ("labels-noisy", run(0.6, 0.58, probes={"label-agreement": AGREED})),
    "unequal, but all are known": lambda: (
        "classes-unbalanced",
        run(0.9, 0.9, data=data(counts=(1800, *(90,) * 9)), confusion=confusion([0.9] * 10)),
    ),
    "hard, and sure where it is right": lambda: (
        "labels-noisy",
        run(0.6, 0.45, probes={"label-agreement": HARD}),
    ),
    "a little unequal": lambda: (
        "classes-unbalanced",
        run(0.9, 0.9, data=data(counts=(800, *(100,) * 9)), confusion=confusion([1, *[0.1] * 9])),
    ),
    "all there": lambda: ("classes-missing", run(0.9, 0.9)),
    "gray is enough": lambda: (
        "data-channels",
        run(0.95, 0.94, data=GREY, quality=DataQuality(neighbours=RANDOM, neighbours_in_colour=SOUND)),
    ),
    "color tells little": lambda: (
        "data-channels",
        run(
            0.5,
            0.5,
            data=GREY,
            quality=DataQuality(
                neighbours=Neighbours(share=0.22, chance=0.1, images=2000, each=5),
                neighbours_in_colour=Neighbours(share=0.26, chance=0.1, images=2000, each=5),
            ),
        ),
    ),
    "sharp": lambda: (
        "data-enlarged",
        run(0.5, 0.5, quality=DataQuality(detail=Detail(halved=0.08, quartered=0.22))),
    ),
    "a large photograph": lambda: (
        "data-enlarged",
        run(0.5, 0.5, quality=DataQuality(detail=Detail(halved=0.015, quartered=0.04))),
    ),
    "enlarged a little and known in part": lambda: (
        "data-enlarged",
        run(0.8, 0.7, quality=DataQuality(detail=Detail(halved=0.05, quartered=0.4))),
    ),
    "enlarged, but known": lambda: (
        "data-enlarged",
        run(0.99, 0.98, quality=DataQuality(detail=Detail(halved=0.004, quartered=0.035))),
    ),
    "evaluation mode": lambda: ("evaluation-mode", run(0.9, 0.7, layers=DROPS, in_training_mode=())),
    "no layer that acts differently": lambda: ("evaluation-mode", run(0.9, 0.7, layers=TINY)),
    "nothing twice": lambda: (
        "leakage",
        run(
            0.99,
            0.9,
            quality=DataQuality(repeats=Repeats(test=3, validation=0, train=2, conflicting=0)),
        ),
    ),
}


@pytest.mark.parametrize("name", BESIDE)
def test_what_only_looks_like_it_is_clear(name: str) -> None:
    cause, evidence = BESIDE[name]()
    assert isinstance(rules()[cause].apply(evidence), Negative)


@pytest.mark.parametrize(
    ("cause", "named"), [("evaluation-mode", "probe evaluation-mode"), ("leakage", "probe duplicates")]
)
def test_what_only_a_probe_can_tell_says_which(cause: str, named: str) -> None:
    outcome = rules()[cause].apply(run(0.9, 0.7, layers=DROPS, quality=DataQuality()))
    assert isinstance(outcome, Inconclusive)
    assert named.split()[1] in outcome.why


UNEVEN = data(counts=(3420, *(580,), *(0,) * 8))
EVEN_TEST = tuple(
    tuple(row) for row in ([480, 20, *(0,) * 8], [180, 320, *(0,) * 8], *([0] * 10 for _ in range(8)))
)


def test_held_out_classes_that_are_less_unequal_have_a_chance_level_of_their_own() -> None:
    """80 % of even test images are known, where the commonest training class has 86 %."""
    evidence = run(
        0.9, 0.8, 0.8, data=UNEVEN, confusion=EVEN_TEST,
        quality=DataQuality(neighbours=RANDOM, test_counts=(500, 500, *(0,) * 8)),
    )  # fmt: skip
    assert isinstance(rules()["labels-shuffled"].apply(evidence), Negative)


def test_the_commonest_answer_alone_says_nothing_of_labels_of_other_test_images() -> None:
    evidence = run(
        0.86, 0.5, 0.5, data=UNEVEN,
        quality=DataQuality(neighbours=RANDOM, test_counts=(500, 500, *(0,) * 8)),
    )  # fmt: skip
    outcome = rules()["labels-shuffled"].apply(evidence)
    assert isinstance(outcome, Inconclusive)
    assert "50 % of the held-out ones" in outcome.why


@pytest.mark.parametrize(("recall", "given_up"), [(0.64, False), (0.1, True)])
def test_rare_classes_with_weights_are_not_called_given_up_where_most_are_known(
    recall: float, given_up: bool
) -> None:
    loop = Loop(counts={"losses": 100, "losses_weighted": 100})
    evidence = run(
        0.9, 0.8, data=data(counts=(1800, *(90,) * 9)), confusion=confusion([0.96] + [recall] * 9), loop=loop
    )
    outcome = rules()["classes-unbalanced"].apply(evidence)
    assert isinstance(outcome, Negative) is not given_up


def test_shuffled_labels_are_not_told_where_nearly_all_images_have_one() -> None:
    counts = (3910, *(10,) * 9)
    same = Neighbours(share=0.955, chance=0.955, images=2000, each=5)
    evidence = run(0.977, 0.1, data=data(counts=counts), quality=DataQuality(neighbours=same))
    outcome = rules()["labels-shuffled"].apply(evidence)
    assert isinstance(outcome, Inconclusive)
    assert "98 % of the training images have one label" in outcome.why
