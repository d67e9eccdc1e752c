"""Labels that are wrong by a pattern, beside another fault: both are found."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from cnnviz.datasets import Part
from cnnviz.diagnosis import Evidence, Finding, diagnose, rules
from cnnviz.diagnosis.evidence import Data, DataQuality, NeighboursOfTest
from cnnviz.diagnosis.rules.data.label_noise import swapped_classes
from cnnviz.training.data import Labelled
from cnnviz.training.data.label_agreement import Outlined, neighbours_of_test
from tests.diagnosis.evidence import CLASSES, healthy
from tests.training.stripes import stripes


def confused(share: float, back: float, counts: tuple[int, ...] = (100,) * 10, **changes: Any) -> Evidence:
    """Each class's neighbors bear the next class's name in this part, and the one before's in part `back`."""
    rows = []
    for one in range(10):
        row = [0] * 10
        row[(one + 1) % 10], row[(one - 1) % 10] = round(1000 * share), round(1000 * back)
        row[one] = 1000 - sum(row)
        rows.append(tuple(row))
    near = NeighboursOfTest(share=0.5, chance=0.1, images=2000, each=5, nearer=0.5, confusion=tuple(rows))
    data = Data(classes=CLASSES, counts=counts, train=1000, validation=100, test=200, shape=(1, 28, 28))
    return healthy(quality=DataQuality(neighbours_of_test=near), data=data, **changes)


def test_a_part_of_each_class_under_another_name_is_found_though_labels_agree() -> None:
    judged = rules()["labels-noisy"].apply(confused(0.48, 0.0))
    assert isinstance(judged, Finding)
    assert "by a pattern" in judged.verdict
    assert len(swapped_classes(confused(0.48, 0.0))) == 10


def test_classes_that_look_alike_are_confused_both_ways_and_are_no_wrong_labels() -> None:
    assert swapped_classes(confused(0.3, 0.25)) == []


def test_a_commoner_class_is_met_oftener_and_that_is_no_wrong_label() -> None:
    rising = tuple(50 * 2**number for number in range(10))
    assert [one for one, _, _ in swapped_classes(confused(0.48, 0.0, rising))] == [9]


def test_wrong_labels_and_strong_weight_decay_are_both_found() -> None:
    """Row D10: half of the labels wrong, and weight decay 0.2."""
    plain = confused(0.48, 0.0)
    recipe = plain.recipe.changed({"weight_decay": 0.2, "optimiser": "sgd", "lr": 0.05})
    chance = {
        name: points.model_copy(update={"values": (2.303 if name.endswith("loss") else 0.1,) * len(points)})
        for name, points in plain.curves.items()
    }
    result = diagnose(plain.model_copy(update={"recipe": recipe, "curves": chance}))
    assert {"labels-noisy", "weight-decay"} <= {one.cause for one in result.findings}


def test_the_dataset_report_counts_which_labels_lie_near_the_test_images_of_each_class() -> None:
    def part(count: int, seed: int) -> Labelled:
        made: Part = stripes(count, seed)
        return Labelled(*made.tensors())

    train, test = part(160, 0), part(60, 1)
    swapped = torch.where((train.labels == 0) & torch.from_numpy(np.arange(160) % 2 == 0), 1, train.labels)
    outlined = Outlined.of(Labelled(train.images, swapped))
    assert outlined is not None
    result = neighbours_of_test(test, outlined, 3)
    assert result is not None
    rows = np.array(result["confusion"])
    assert rows.sum(1).tolist() == [100, 100, 100]
    assert rows[0, 1] > 30
    assert rows[1, 0] < 5
