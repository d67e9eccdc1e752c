"""Whether images differ from each other, as they are stored and as the network reads them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from cnnviz.datasets import Dataset, Part
from cnnviz.training import Recipe
from cnnviz.training.data import DataModule, Labelled
from cnnviz.training.data.quality import dataset_report, variation
from cnnviz.training.data.transforms import Statistics, Transform
from tests.training.stripes import striped


def measured(dataset: Dataset, **fields: Any) -> dict[str, Any]:
    recipe = Recipe(validation=0, **fields)
    data_module = DataModule.of(dataset, recipe, 1, torch.device("cpu"))
    transform = Transform(recipe, Statistics.of(data_module.train.images), (28, 28))
    result = dataset_report(data_module, transform)["variation"]
    assert result is not None
    return dict(result)


def shown_as(images: np.ndarray) -> Dataset:
    clean = striped()
    return replace(clean, train=Part(images.astype(np.uint8), clean.train.labels))


def test_images_that_differ_are_measured_as_numpy_does() -> None:
    images = striped().train.images
    result = measured(striped(), scale="unit")
    stored, plain = result["stored"], result["plain"]
    assert (stored["images"], stored["distinct"], stored["flat"]) == (160, 160, 0)
    assert stored["within"] == pytest.approx(np.sort(images.std((1, 2, 3)))[79], rel=1e-5)
    assert stored["between"] == pytest.approx(np.sqrt(images.astype(float).var(0).mean()), rel=1e-5)
    assert plain["between"] == pytest.approx(stored["between"] / 255, rel=1e-5)
    assert (result["blanked"], result["kept"]) == (0, pytest.approx(1))


def test_black_images_are_flat_and_one() -> None:
    result = measured(shown_as(np.zeros((160, 1, 28, 28))), scale="standardised")
    assert (result["stored"]["distinct"], result["stored"]["between"], result["stored"]["flat"]) == (1, 0, 1)
    assert (result["plain"]["between"], result["blanked"]) == (0, None)


def test_one_image_for_all_has_detail_but_does_not_vary() -> None:
    result = measured(shown_as(np.repeat(striped().train.images[:1], 160, axis=0)), scale="unit")
    assert (result["stored"]["distinct"], result["stored"]["flat"]) == (1, 0)
    assert result["stored"]["between"] == result["plain"]["between"] == 0


def test_images_divided_by_255_once_too_often_hardly_vary_for_the_network() -> None:
    result = measured(shown_as(striped().train.images // 200), scale="unit")
    assert 0 < result["plain"]["between"] < 0.005
    assert result["stored"]["between"] < 1


def test_a_cutout_as_large_as_two_images_blanks_every_one() -> None:
    result = measured(striped(), cutout=56)
    assert (result["blanked"], result["kept"], result["augmented"]["flat"]) == (1, 0, 1)
    assert result["augmented"]["between"] == 0
    assert result["plain"]["flat"] == 0


def test_a_cutout_of_a_quarter_leaves_most() -> None:
    result = measured(striped(), cutout=14)
    assert result["blanked"] == 0
    assert 0.5 < result["kept"] < 1.1


def test_images_are_looked_at_in_portions_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = measured(striped(), scale="unit", pad_crop=2)
    monkeypatch.setattr("cnnviz.training.data.AT_ONCE", 3_000)
    apart = measured(striped(), scale="unit", pad_crop=2)
    for view in ("stored", "plain"):
        assert apart[view] == pytest.approx(whole[view])


def test_no_images_vary_in_no_way() -> None:
    assert variation(Labelled(torch.zeros(0, 1, 8, 8, dtype=torch.uint8), torch.zeros(0).long())) is None
