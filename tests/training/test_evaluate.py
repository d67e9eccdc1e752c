"""What a run records of batch normalization, and that looking at it changes nothing."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import nn

from cnnviz.datasets import Dataset
from cnnviz.models.layers import LayerList
from cnnviz.training import Recipe
from cnnviz.training.data import Labelled, permutation
from cnnviz.training.data.transforms import Statistics, Transform
from cnnviz.training.metrics import batch_statistics, describe_batch_norm, evaluate
from cnnviz.training.run_logger import InMemoryLogger
from cnnviz.training.setup import build_training
from cnnviz.training.trainer import LAST, Trainer
from tests.training.stripes import striped


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return striped()


def recipe(momentum: float, **changes: Any) -> Recipe:
    layers = LayerList.model_validate({
        "format": "cnnviz-layers/1",
        "name": "normalized",
        "input": [1, 28, 28],
        "layers": [
            {"name": "conv1", "kind": "conv", "out": 8, "kernel": 5},
            {"name": "norm1", "kind": "batch_norm", "momentum": momentum},
            {"name": "relu1", "kind": "activation"},
            {"name": "pool1", "kind": "global_pool"},
            {"name": "norm2", "kind": "batch_norm", "momentum": momentum},
            {"name": "flatten1", "kind": "flatten"},
            {"name": "drop1", "kind": "dropout"},
            {"name": "linear1", "kind": "linear"},
        ],
    })  # fmt: skip
    return Recipe(layers=layers, epochs=2, batch_size=32, lr=0.05, seed=3).changed(changes)


def trained(recipe: Recipe, dataset: Dataset) -> tuple[Trainer, InMemoryLogger]:
    ready, log = build_training(recipe, dataset), InMemoryLogger()
    run = Trainer(recipe, ready.model, ready.data_module, ready.side, log, macs=ready.macs)
    run.run()
    return run, log


def records(log: InMemoryLogger, kind: str) -> list[tuple[int, Any]]:
    return [(step, body) for step, result, body in log.records if result == kind]


def test_the_momentum_of_each_batch_norm_layer_is_read_from_the_model_itself() -> None:
    foreign = torchvision.models.mnasnet0_5(weights=None), torchvision.models.mobilenet_v3_small(weights=None)
    cumulative = nn.Sequential(nn.BatchNorm2d(3, momentum=None), nn.BatchNorm2d(3, track_running_stats=False))
    moments = [{layer["momentum"] for layer in describe_batch_norm(model)} for model in foreign]
    assert moments == [{1 - 0.9997}, {0.01}]
    assert describe_batch_norm(cumulative) == [{"name": "0", "momentum": None, "updates": 0}]
    assert describe_batch_norm(nn.Sequential(nn.Linear(2, 2), nn.GroupNorm(1, 2))) == []


def test_a_run_records_momentum_and_the_accuracy_with_batch_statistics(dataset: Dataset) -> None:
    run, log = trained(recipe(0.005), dataset)
    (begun, before), (ended, after) = records(log, "batch_norm")
    assert (begun, ended) == (0, run.total_steps)
    assert before == {"layers": [{"name": f"norm{n}", "momentum": 0.005, "updates": 0} for n in (1, 2)]}
    assert [layer["updates"] for layer in after["layers"]] == [run.total_steps] * 2
    assert after["images"] == 60
    test = run.data_module.test
    assert after["running"]["accuracy"] == pytest.approx(log.last("test/accuracy"))
    # Another way to the same figure: the means and variances of the whole part, loaded as running ones.
    twin = copy.deepcopy(run.model)
    for part in twin.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.reset_running_stats()
            part.momentum = 1.0
    transform = Transform(run.recipe, Statistics.of(run.data_module.train.images), (28, 28))
    rows = permutation(60, 3, 0)
    images = transform.test(test.images[rows])
    twin.train()
    for part in twin.modules():
        if isinstance(part, nn.Dropout):
            part.eval()
    with torch.no_grad():
        accuracy = (twin(images).argmax(1) == test.labels[rows]).double().mean()
    assert after["batch"]["accuracy"] == pytest.approx(float(accuracy))
    assert after["batch"]["loss"] < after["running"]["loss"]


def test_what_is_recorded_at_the_end_leaves_weights_and_running_statistics_as_they_are(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked, _ = trained(recipe(0.1), dataset)
    state = torch.random.get_rng_state()
    monkeypatch.setattr(Trainer, "_compare_statistics", lambda self: None)
    monkeypatch.setattr(Trainer, "_evaluate_train", lambda self: None)
    unseen, _ = trained(recipe(0.1), dataset)
    assert torch.equal(torch.random.get_rng_state(), state)
    weights = unseen.model.state_dict()
    assert all(torch.equal(weights[name], tensor) for name, tensor in looked.model.state_dict().items())
    assert {name for name in weights if "running" in name}


def test_batch_statistics_leave_a_model_as_it_was_even_where_it_fails() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 2)).eval()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match="more than 1 value"), batch_statistics(model):
        model(torch.rand(1, 1, 3, 3))
    with batch_statistics(model):
        model(torch.rand(4, 1, 3, 3))
    assert not any(part.training for part in model.modules())
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert model[1].track_running_stats


def test_a_model_without_batch_norm_records_nothing_of_it(dataset: Dataset) -> None:
    _, log = trained(Recipe(model="lenet5", epochs=1, batch_size=64), dataset)
    assert records(log, "batch_norm") == []


def test_training_images_are_evaluated_without_dropout_and_augmentation_at_the_end(dataset: Dataset) -> None:
    run, log = trained(recipe(0.1, pad_crop=14), dataset)
    ((step, body),) = records(log, "train/evaluated")
    assert step == run.total_steps
    train = run.data_module.train
    transform = Transform(run.recipe, Statistics.of(train.images), (28, 28))
    score = evaluate(run.model, Labelled(train.images[:], train.labels), transform)
    assert body == {"images": 144, "loss": pytest.approx(score.loss), "accuracy": score.accuracy}


def test_images_left_alone_in_the_last_batch_are_left_out(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One value a channel has no variance: PyTorch refuses it in training mode."""
    monkeypatch.setattr("cnnviz.training.trainer.evaluation_batch", lambda transform: 59)
    _, log = trained(recipe(0.1, epochs=1), dataset)
    assert records(log, "batch_norm")[-1][1]["images"] == 59


@pytest.mark.parametrize("stop", [3, 5, 9])
def test_a_run_with_batch_norm_that_was_stopped_and_gone_on_is_the_same_run(
    dataset: Dataset, tmp_path: Path, stop: int
) -> None:
    whole, log = trained(recipe(0.01, pad_crop=2), dataset)
    ready, first = build_training(whole.recipe, dataset), InMemoryLogger()
    part = Trainer(whole.recipe, ready.model, ready.data_module, ready.side, first, tmp_path, ready.macs)
    part.run(lambda: part.step < stop)
    ready, then = build_training(whole.recipe, dataset), InMemoryLogger()
    rest = Trainer(whole.recipe, ready.model, ready.data_module, ready.side, then, tmp_path, ready.macs)
    rest.restore(tmp_path / LAST)
    rest.run()
    for kind in ("batch_norm", "train/evaluated"):
        assert records(first, kind) + records(then, kind) == records(log, kind)
    resumed = rest.model.state_dict()
    assert all(torch.equal(resumed[name], tensor) for name, tensor in whole.model.state_dict().items())
