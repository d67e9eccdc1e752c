"""What a network cannot be trained on is refused before a run starts, with what would fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from cnnviz import models, tracking
from cnnviz.cli import main
from cnnviz.models.layers import LayerList
from cnnviz.models.meta_device import on_meta
from cnnviz.training import Recipe
from cnnviz.training.queue import check_trainable, enqueue, smallest_batch

INCEPTION = "torchvision/inception_v3"
NORMED: list[dict[str, Any]] = [{"kind": "flatten"}, {"kind": "linear", "out": 8}, {"kind": "batch_norm"}]
ENDING: list[dict[str, Any]] = [{"kind": "activation"}, {"kind": "linear"}]


def trains(name: str, side: int, images: int) -> bool:
    """Whether a pass in training mode goes through, on the meta device."""
    spec = models.get(name)
    shape = (spec.input_shape[0], side, side)
    module = on_meta(lambda: spec.builder(10, shape, spec.options())).train()
    try:
        module(torch.empty((images, *shape), device="meta"))
    except (RuntimeError, ValueError):
        return False
    return True


def test_inception_v3_at_75_pixels_is_refused_before_the_start_with_the_least_size_for_training() -> None:
    recipe = Recipe(model=INCEPTION, dataset="shapes", size=75)
    with tracking.connect() as database:
        with pytest.raises(ValueError, match="can be trained on images of 299×299 or larger, not 75×75"):
            enqueue(database, recipe)
        assert tracking.list_runs(database) == []
    assert trains(INCEPTION, 299, 2)
    assert not trains(INCEPTION, 298, 2)


def test_the_command_says_it_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    given = ("--model", INCEPTION, "--dataset", "shapes", "--set", "size=75")
    assert main(["train", *given]) == 2
    errors = capsys.readouterr().err
    assert "299×299" in errors
    assert "auxiliary classifier" in errors
    assert errors.count("\n") == 1


def test_a_layer_to_freeze_up_to_that_there_is_not_is_refused_before_the_start(
    capsys: pytest.CaptureFixture[str],
) -> None:
    document = LayerList.model_validate({"input": [1, 8, 8], "layers": [*NORMED, *ENDING]})
    with tracking.connect() as database:
        for recipe in (Recipe(freeze_until="nope"), Recipe(layers=document, freeze_until="nope")):
            with pytest.raises(ValueError, match=r"There is no layer 'nope' to freeze up to"):
                enqueue(database, recipe)
        with pytest.raises(ValueError, match="nothing is left to train"):
            enqueue(database, Recipe(freeze_until="fc3"))
        assert main(["train", "--set", "freeze_until=nope"]) == 2
        assert capsys.readouterr().err.count("\n") == 1
        assert tracking.list_runs(database) == []
        assert enqueue(database, Recipe(freeze_until="conv1")).status == "queued"


@pytest.mark.parametrize("name", ["torchvision/resnet18", "torchvision/mobilenet_v2", "resnet18-32"])
def test_a_last_batch_of_one_image_is_refused_where_batch_norm_would_see_a_single_value(name: str) -> None:
    small = 32 if name.startswith("torchvision/") else 8
    recipe = Recipe(model=name, dataset="shapes", size=small, batch_size=32)
    assert not trains(name, small, 1)
    with pytest.raises(ValueError, match="leave one image over") as error:
        check_trainable(recipe, 10, 65)
    size = int(str(error.value).rpartition("such as ")[2].rstrip("."))
    check_trainable(recipe.changed({"batch_size": size}), 10, 65)
    check_trainable(recipe, 10, 66)


def test_batches_of_one_image_are_refused_where_batch_norm_reads_a_vector() -> None:
    document = LayerList.model_validate({"input": [1, 8, 8], "layers": [*NORMED, *ENDING]})
    with pytest.raises(ValueError, match="use a batch size of 2 or more"):
        check_trainable(Recipe(layers=document, batch_size=1), 10, 100)
    check_trainable(Recipe(layers=document, batch_size=2), 10, 100)


def test_parts_of_one_image_are_refused_where_batch_norm_reads_a_vector() -> None:
    document = LayerList.model_validate({"input": [1, 8, 8], "layers": [*NORMED, *ENDING]})
    recipe = Recipe(layers=document, batch_size=8)
    check_trainable(recipe, 10, 104)
    check_trainable(recipe, 10, 104, ranks=4)
    with pytest.raises(ValueError, match=r"8 processes share each batch.* 16 images or more"):
        check_trainable(recipe, 10, 104, ranks=8)


def test_batches_of_one_image_are_taken_where_nothing_needs_two() -> None:
    check_trainable(Recipe(model="lenet5", batch_size=1), 10, 100)
    check_trainable(Recipe(model="lenet5", batch_size=33), 10, 100)


@pytest.mark.parametrize(
    ("batch_size", "images", "least"),
    [(32, None, 32), (32, 64, 32), (32, 65, 1), (32, 20, 20), (1, 5, 1), (128, 129, 1), (64, 1, 1)],
)
def test_the_smallest_batch_is_the_last_one_where_images_are_left_over(
    batch_size: int, images: int | None, least: int
) -> None:
    assert smallest_batch(batch_size, images) == least


def test_a_run_whose_data_are_known_only_later_fails_with_the_sentence_and_no_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = {"input": [1, 8, 8], "layers": [*NORMED, *ENDING]}
    recipe = {"format": "cnnviz-recipe/1", "layers": document, "dataset": "digits", "limit": 65}
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps({**recipe, "batch_size": 64, "epochs": 1}))
    assert main(["train", str(path)]) != 0
    printed = capsys.readouterr()
    assert "leave one image over" in printed.out + printed.err
    assert "Traceback" not in printed.out + printed.err


@pytest.mark.parametrize("name", [n for n, spec in models.specs().items() if spec.source == "cnnviz"])
def test_every_model_of_ours_trains_at_its_own_size(name: str) -> None:
    spec = models.get(name)
    assert trains(name, max(spec.input_shape[1:]), 2)


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n, spec in models.specs().items() if spec.source == "torchvision"])
def test_every_model_of_torchvision_trains_at_its_own_size(name: str) -> None:
    assert trains(name, models.get(name).input_shape[1], 2)
