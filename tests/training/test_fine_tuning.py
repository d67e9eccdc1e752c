"""Fine-tuning: weights to begin with, frozen layers, a rate for the trunk, the same bits when resumed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from cnnviz import models, tracking
from cnnviz.cli import main
from cnnviz.datasets.spec import silent
from cnnviz.training import Recipe
from cnnviz.training.fine_tuning import freeze, freeze_points, load_start, start_title, store_start_weights
from cnnviz.training.optimizer import build_optimizer, head_parameters, layer_rates, set_lr
from cnnviz.training.queue import enqueue
from cnnviz.training.recipe import value_text
from cnnviz.training.run_logger import InMemoryLogger, Pace, PeakFlops, RunLogger
from cnnviz.training.workers.worker import work

SMALL = ("--dataset", "digits", "--set", "limit=200", "--epochs", "2", "--device", "cpu", "--seed", "3")


def lenet(classes: int = 10, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return models.build("lenet5", classes)


def beginning(model: nn.Module, **fields: Any) -> Recipe:
    return Recipe(start_from=f"file:own.pth@{store_start_weights(model.state_dict())}", **fields)


def test_a_head_for_other_classes_is_made_anew() -> None:
    before, after = lenet(10), lenet(4, seed=1)
    fresh = {name: value.clone() for name, value in after.state_dict().items()}
    load_start(beginning(before), after)
    for name, value in after.state_dict().items():
        old = before.state_dict()[name]
        assert torch.equal(value, old if value.shape == old.shape else fresh[name]), name
    assert (
        sum(value.shape != before.state_dict()[name].shape for name, value in after.state_dict().items()) == 2
    )


def test_weights_of_another_network_are_refused() -> None:
    other = nn.Sequential(nn.Conv2d(1, 6, 5))
    with pytest.raises(ValueError, match=r"The weights 'file:own.pth' fit 0 of 10 tensors of this network"):
        load_start(beginning(other), lenet())


@pytest.mark.parametrize("until", ["conv1", "conv2"])
def test_what_is_frozen_is_all_up_to_a_layer(until: str) -> None:
    model = lenet()
    freeze(model, until)
    names = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    expected = ["conv1.weight", "conv1.bias"] + (["conv2.weight", "conv2.bias"] if until == "conv2" else [])
    assert names == expected


def test_running_statistics_of_frozen_layers_stay() -> None:
    model = models.build("torchvision/resnet18", 10)
    freeze(model, "layer2")
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model(torch.randn(4, 3, 64, 64))
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all(name.startswith(("layer3.", "layer4.")) for name in changed)


@pytest.mark.parametrize(
    ("until", "sentence"),
    [
        ("nope", r"no layer 'nope' to freeze up to; layers with weights are conv1"),
        ("fc3", "nothing is left to train"),
    ],
)
def test_what_cannot_be_frozen_is_a_sentence(until: str, sentence: str) -> None:
    model = lenet()
    last = [name for name, part in model.named_modules() if isinstance(part, nn.Linear)][-1]
    with pytest.raises(ValueError, match=sentence):
        freeze(model, last if until == "fc3" else until)


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_the_trunk_learns_at_a_part_of_the_rate(kind: str) -> None:
    model = lenet()
    chosen = build_optimizer(
        Recipe(lr=0.1, trunk_lr=0.25, optimiser=kind), model.parameters(), head_parameters(model)
    )  # fmt: skip
    set_lr(chosen, 0.04)
    rates = {id(p): group["lr"] for group in chosen.param_groups for p in group["params"]}
    *trunk, weight, bias = model.parameters()
    assert {rates[id(p)] for p in trunk} == {0.01}
    assert rates[id(weight)] == rates[id(bias)] == 0.04


def test_it_is_recorded_which_layers_learn_and_at_which_part_of_the_rate() -> None:
    model = lenet()
    freeze(model, "conv1")
    plain = build_optimizer(Recipe(lr=0.1), model.parameters())
    layers = {one["name"]: one for one in layer_rates(model, [plain])}
    assert layers["conv1"] == {
        "name": "conv1", "type": "Conv2d", "params": 156, "trainable": 0, "rate": None
    }  # fmt: skip
    assert {one["rate"] for name, one in layers.items() if name != "conv1"} == {1.0}
    slower = build_optimizer(Recipe(lr=0.1, trunk_lr=0.25), model.parameters(), head_parameters(model))
    rates = [one["rate"] for one in layer_rates(model, [slower])]
    assert rates == [None, *[0.25] * (len(rates) - 2), 1.0]
    slower.param_groups[0]["lr"] = math.inf
    assert {one["rate"] for one in layer_rates(model, [slower])} == {None, 1.0}, "no NaN, which JSON has not"
    log = InMemoryLogger()
    reporter = RunLogger(log, 1, Pace(torch.device("cpu"), 0, PeakFlops(1.0, "unknown")))
    everything = lenet()
    reporter.trained_layers(layer_rates(everything, [build_optimizer(Recipe(), everything.parameters())]))
    assert not log.records
    reporter.trained_layers(layer_rates(model, [plain]))
    assert [kind for _, kind, _ in log.records] == ["trained_layers"]


def weights_of(run_id: int) -> dict[str, Tensor]:
    with tracking.connect() as database:
        run = tracking.get_run(database, run_id)
    return load_file(tracking.run_folder(run.id, run.key) / "last.safetensors")


def test_a_fine_tuned_run_that_is_resumed_ends_with_the_same_bits() -> None:
    assert main(["train", "--model", "lenet5", *SMALL]) == 0
    tuned = ("--start-from", "run:1", "--set", "freeze_until=conv1", "--set", "trunk_lr=0.1")
    assert main(["train", "--model", "lenet5", *SMALL, *tuned]) == 0
    with tracking.connect() as database:
        recipe = Recipe.model_validate(tracking.get_run(database, 2).recipe)
        assert recipe.start_from.startswith("run:1@")
        run = enqueue(database, recipe)
        lease = tracking.claim(database, "cpu", only=run.id)
        assert lease is not None
        steps = iter(range(1000))
        work(database, lease, silent, lambda: next(steps) >= 3)
        assert tracking.get_run(database, 3).status == "stopped"
    assert main(["train", "--resume", "3"]) == 0
    first, whole, resumed = weights_of(1), weights_of(2), weights_of(3)
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    frozen = [name for name in whole if name.startswith("model.conv1")]
    assert frozen
    assert all(torch.equal(whole[name], first[name]) for name in frozen)
    assert not torch.equal(whole["model.conv2.weight"], first["model.conv2.weight"])


def test_a_file_is_named_on_the_command_line_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "own.pth"
    torch.save({"state_dict": {f"net.{name}": value for name, value in lenet().state_dict().items()}}, path)
    assert main(["train", "--model", "lenet5", *SMALL, "--start-from", str(path)]) == 0
    assert "The prefix 'net.' was taken off" in capsys.readouterr().err
    with tracking.connect() as database:
        recipe = Recipe.model_validate(tracking.get_run(database, 1).recipe)
        assert recipe.start_from.startswith("file:own.pth@")
        for start, sentence in (
            (f"file:{path}", "a file is named on the command line alone"),
            (f"file:x@{'0' * 64}", "are not on this machine"),
            ("torchvision", "torchvision has no weights for lenet5"),
            ("run:9", "no run"),
        ):
            with pytest.raises(ValueError, match=f"(?i){sentence}"):
                enqueue(database, recipe.changed({"start_from": start}))
    with pytest.raises(ValueError, match="start_from"):
        recipe.changed({"start_from": "/etc/passwd"})
    assert main(["train", "--model", "lenet5", *SMALL, "--start-from", "gone.pth"]) == 2
    assert "There is no file 'gone.pth'" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["lenet5", "torchvision/resnet18", "torchvision/googlenet", "googlenet-aux"])
def test_each_layer_to_freeze_up_to_is_listed_with_what_it_freezes(name: str) -> None:
    points = freeze_points(Recipe(model=name), 7)
    assert points
    for point in points:
        model = models.build(name, 7)
        freeze(model, point.name)
        frozen = sum(one.numel() for one in model.parameters() if not one.requires_grad)
        assert (point.frozen, point.total) == (frozen, sum(one.numel() for one in model.parameters())), point
    assert [point.frozen for point in points] == sorted(point.frozen for point in points)
    last = [part for part, module in models.build(name, 7).named_modules() if isinstance(module, nn.Linear)]
    assert last[-1] not in {point.name for point in points}, "nothing would be left to train"


def test_blocks_come_after_their_last_layer() -> None:
    names = [point.name for point in freeze_points(Recipe(model="torchvision/resnet18"), 10)]
    assert names[:2] == ["conv1", "bn1"]
    block = names.index("layer1")
    assert all(names.index(name) < block for name in names if name.startswith("layer1."))
    assert names[-1] == "layer4"
    assert "fc" not in names


def test_a_deleted_run_and_another_network_are_refused_before_anything_is_queued() -> None:
    assert main(["train", "--model", "lenet5", *SMALL]) == 0
    with tracking.connect() as database:
        other = Recipe(model="alexnet", dataset="shapes", start_from="run:1")
        with pytest.raises(ValueError, match=r"'run:1' fit 1 of 16 tensors .* choose the model of run 1\."):
            enqueue(database, other)
        begun = enqueue(database, Recipe(dataset="digits", start_from="run:1"))
        tracking.delete_run(database, 1)
        with pytest.raises(ValueError, match=r"Run 1 was deleted: restore it on Runs"):
            enqueue(database, Recipe(dataset="digits", start_from="run:1"))
        again = enqueue(database, Recipe.model_validate(begun.recipe))  # its copy is kept
        assert again.recipe["start_from"] == begun.recipe["start_from"]
        assert [run.id for run in tracking.list_runs(database)] == [again.id, begun.id]


@pytest.mark.parametrize(
    ("start", "title"),
    [
        ("", "random initialization"),
        ("torchvision", "torchvision's weights"),
        (f"run:12@{'a' * 64}", "run 12"),
        ("run:12/best", "run 12, best epoch"),
        (f"file:net.pth@{'b' * 64}", "net.pth"),
    ],
)
def test_initial_weights_have_a_title(start: str, title: str) -> None:
    assert start_title(start) == title
    assert "a" * 64 not in value_text(start)


def test_a_range_test_begins_with_the_weights_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--model", "lenet5", *SMALL]) == 0
    tuned = ("--set", "start_from=run:1", "--set", "freeze_until=conv2", "--set", "limit=120")
    assert main(["find-rate", "plain", "--dataset", "digits", *tuned, "--seconds", "1"]) == 0
    assert "steps" in capsys.readouterr().out
    assert main(["find-rate", "plain", "--dataset", "digits", "--set", "start_from=run:7"]) == 2
    assert "no run" in capsys.readouterr().err.lower()
