"""What a classifier without training reaches on a run's own images, and where it is not measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from cnnviz.datasets import Dataset, Part
from cnnviz.diagnosis.evidence import Baseline
from cnnviz.training import Recipe
from cnnviz.training.data import DataModule, label_agreement
from cnnviz.training.data.label_agreement import PATCH, STRIDE, THRESHOLD, PatchClassifier, baseline
from tests.training.stripes import striped, stripes
from tests.training.test_trainer import SMALL, trainer

CPU = torch.device("cpu")


def measured(dataset: Dataset, validation: float = 0.0, seconds: float = 1e6) -> Baseline:
    data_module = DataModule.of(dataset, Recipe(validation=validation), dataset.shape[0], CPU)
    return Baseline.model_validate(baseline(data_module, seconds))


def test_images_that_are_easy_are_told_apart_without_training() -> None:
    result = measured(striped(), validation=0.25)
    assert result.learned_from == 120
    assert result.test is not None
    assert (result.test.images, result.test.accuracy) == (60, 1.0)
    assert result.test.constant == pytest.approx(1 / 3)
    assert result.validation is not None
    assert (result.validation.images, result.validation.accuracy) == (40, 1.0)


def test_labels_that_have_nothing_to_do_with_images_are_found_as_often_as_by_chance() -> None:
    random = np.random.default_rng(0)
    clean = striped()
    dealt = Part(clean.train.images, random.permutation(clean.train.labels))
    result = measured(replace(clean, train=dealt, test=stripes(300, 1)))
    assert result.test is not None
    assert abs(result.test.accuracy - 1 / 3) < 3 * (2 / 9 / 300) ** 0.5 + 0.1


def test_validation_images_are_scored_where_test_images_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_agreement, "SCORED", 40)
    result = measured(striped(), validation=0.25)
    assert result.test is not None
    assert result.test.images == 40
    assert result.validation is None


def test_images_of_seven_pixels_are_not_compared_and_the_record_says_so() -> None:
    clean = striped()
    small = [Part(part.images[:, :, :7, :7], part.labels) for part in (clean.train, clean.test)]
    result = measured(replace(clean, train=small[0], test=small[1]))
    assert result.test is None
    assert result.skipped == "Images below 8 pixels a side have too few patches to compare."


@pytest.mark.parametrize(("train", "test"), [(9, 60), (160, 9)])
def test_a_handful_of_images_is_not_compared(train: int, test: int) -> None:
    result = measured(replace(striped(), train=stripes(train), test=stripes(test, 1)))
    assert result.skipped is not None
    assert "fewer than 10 images" in result.skipped


def test_twenty_images_that_are_all_black_are_compared_too() -> None:
    black = Part(np.zeros((20, 3, 32, 32), np.uint8), np.arange(20) % 2)
    result = measured(replace(striped(), classes=("a", "b"), train=black, test=black))
    assert result.test is not None
    assert result.test.accuracy == result.test.constant == 0.5


def test_a_comparison_that_takes_too_long_is_given_up() -> None:
    result = measured(striped(), seconds=-1)
    assert result.test is None
    assert result.skipped is not None
    assert "given up" in result.skipped


def test_responses_are_those_of_normalized_patches() -> None:
    images, labels = stripes(30).tensors()
    model = PatchClassifier(images, labels, 3)
    x = images[:4].float() / 255
    patches = functional.unfold(x, PATCH, stride=STRIDE).transpose(1, 2)
    center = (patches - patches.mean(2, keepdim=True)) / (patches.var(2, keepdim=True) + 0.01).sqrt()
    like: Tensor = center @ model._filters.flatten(1).T - model._offset.flatten()
    side = (28 - PATCH) // STRIDE + 1
    maps = torch.cat([(sign * like - THRESHOLD).clamp(min=0) for sign in (1, -1)], 2)
    wanted = functional.adaptive_avg_pool2d(maps.transpose(1, 2).reshape(4, -1, side, side), 2).flatten(1)
    assert torch.allclose(model._responses(x), wanted, atol=1e-3)


def test_a_run_records_the_comparison_once_after_its_first_epoch() -> None:
    run, log = trainer(SMALL.changed({"epochs": 2}), striped())
    run.run()
    baselines = [(step, body) for step, kind, body in log.records if kind == "baseline"]
    assert [step for step, _ in baselines] == [run.steps_per_epoch]
    scored = Baseline.model_validate(baselines[0][1])
    assert scored.test is not None
    assert scored.test.accuracy > 0.9
