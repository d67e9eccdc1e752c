"""A run that fails of numbers that are none says where they came from, with the weights it failed with."""

from collections import OrderedDict
from typing import Any, get_args

import pytest
import torch
from torch import nn

from cnnviz.datasets import Dataset
from cnnviz.training import Recipe
from cnnviz.training.layer_stats import NonFiniteOrigin, locate_nonfinite
from cnnviz.training.optimizer import build_optimizer, skip_after_nonfinite
from cnnviz.training.recipe import Optimiser
from cnnviz.training.run_logger import InMemoryLogger
from cnnviz.training.setup import build_training
from cnnviz.training.trainer import NonFiniteLossError, Trainer
from tests.training.stripes import striped

HOPELESS = Recipe(model="lenet5", epochs=9, batch_size=32, optimiser="sgd", lr=1000, momentum=0.9)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return striped()


def trainer(recipe: Recipe, dataset: Dataset) -> tuple[Trainer, InMemoryLogger]:
    ready, log = build_training(recipe, dataset), InMemoryLogger()
    return Trainer(recipe, ready.model, ready.data_module, ready.side, log), log


def records(log: InMemoryLogger, kind: str) -> list[Any]:
    return [body for _, result, body in log.records if result == kind]


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_the_place_is_told_and_the_weights_are_those_before_the_step(
    dataset: Dataset, momentum: float
) -> None:
    """The loss is read some steps late; what was learned from a loss that is none would hide the place."""
    recipe = HOPELESS.changed({"momentum": momentum})
    failed, log = trainer(recipe, dataset)
    with pytest.raises(NonFiniteLossError) as caught:
        failed.run()
    (text,) = records(log, "nonfinite")
    assert text["step"] == caught.value.step
    assert f"the {text['what']} of '{text['layer']}'" in str(caught.value)
    before, _ = trainer(recipe, dataset)
    before.run(lambda: before.step < caught.value.step - 1)
    weights = before.model.state_dict()
    assert all(torch.equal(weights[name], held) for name, held in failed.model.state_dict().items())


def test_a_run_whose_first_loss_is_no_number_has_its_dataset_report_all_the_same(dataset: Dataset) -> None:
    """It is taken after the first point, which never comes."""
    failed, log = trainer(HOPELESS, dataset)
    with torch.no_grad():
        next(failed.model.parameters()).fill_(torch.nan)
    with pytest.raises(NonFiniteLossError) as caught:
        failed.run()
    assert caught.value.step == 1
    (result,) = records(log, "census")
    assert result["neighbours"]["share"] > 0.9


@pytest.mark.parametrize("name", ["sgd", "nesterov", "adam", "adamw"])
def test_no_optimiser_learns_from_a_loss_that_is_no_number_or_after_it(name: str) -> None:
    weight = nn.Parameter(torch.ones(3))
    chosen = build_optimizer(Recipe(optimiser=name, lr=0.1), [weight])
    weight.grad = torch.ones(3)
    skip_after_nonfinite(chosen, torch.tensor(1.0))
    chosen.step()
    moved = weight.detach().clone()
    assert not torch.equal(moved, torch.ones(3))
    for loss in (torch.nan, 1.0):
        skip_after_nonfinite(chosen, torch.tensor(loss))
        chosen.step()
        assert torch.equal(weight.detach(), moved)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("name", get_args(Optimiser))
def test_a_step_whose_loss_is_not_finite_leaves_weights_and_state_untouched(
    name: str, decay: float, momentum: float
) -> None:
    """`found_inf` is what torch's gradient scaler uses and nowhere documents: what it does is held here."""
    torch.manual_seed(0)
    weights = [nn.Parameter(torch.randn(3, 2)), nn.Parameter(torch.randn(5))]
    chosen = build_optimizer(Recipe(optimiser=name, lr=0.1, momentum=momentum, weight_decay=decay), weights)

    def step(loss: float, gradient: float) -> None:
        for weight in weights:
            weight.grad = torch.full_like(weight, gradient)
        skip_after_nonfinite(chosen, torch.tensor(loss))
        chosen.step()

    def everything() -> list[torch.Tensor]:
        kept = [value for state in chosen.state.values() for value in state.values()]
        return [weight.detach().clone() for weight in weights] + [
            value.clone() for value in kept if isinstance(value, torch.Tensor)
        ]

    step(1.0, 0.3)
    before = everything()
    step(1.0, 0.3)
    moved = everything()
    # Adam keeps a count of steps and two means, RMSprop a count and one, and a velocity if it has momentum.
    kept = {"adam": 3, "adamw": 3, "rmsprop": 2 + (momentum > 0)}.get(name, int(momentum > 0))
    assert len(moved) == 2 * (1 + kept)
    assert all(not torch.equal(old, new) for old, new in zip(before[:2], moved[:2], strict=True))
    for loss, gradient in (
        (float("inf"), float("nan")),
        (float("nan"), 0.3),
        (1.0, 0.3),
        (-float("inf"), 1.0),
    ):
        step(loss, gradient)
        assert all(torch.equal(old, new) for old, new in zip(moved, everything(), strict=True))


def test_the_first_step_may_be_the_one_that_is_not_finite() -> None:
    for name in get_args(Optimiser):
        weight = nn.Parameter(torch.ones(3))
        chosen = build_optimizer(Recipe(optimiser=name, lr=0.1, weight_decay=0.1), [weight])
        weight.grad = torch.full((3,), torch.nan)
        skip_after_nonfinite(chosen, torch.tensor(torch.nan))
        chosen.step()
        assert torch.equal(weight.detach(), torch.ones(3))
        # A momentum buffer may hold anything after a first step that was skipped, so that none may follow it.
        weight.grad = torch.full((3,), 0.3)
        skip_after_nonfinite(chosen, torch.tensor(1.0))
        chosen.step()
        assert torch.equal(weight.detach(), torch.ones(3))


def two_layers() -> nn.Sequential:
    return nn.Sequential(OrderedDict(first=nn.Linear(4, 4), second=nn.Linear(4, 2)))


def test_the_first_output_that_overflows_is_named() -> None:
    model, images = two_layers(), torch.ones(3, 4)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.fill_(1e38 if name.endswith("weight") else 0)
    assert locate_nonfinite(model, lambda: model(images)) == NonFiniteOrigin("first", "output")
    assert locate_nonfinite(model, lambda: model(images / 100)) == NonFiniteOrigin("second", "output")
    assert not any(part._forward_hooks for part in model.modules())


def test_of_broken_weights_the_layer_nearest_the_output_began() -> None:
    model = two_layers()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter[0] = torch.nan
    assert locate_nonfinite(model, lambda: model(torch.ones(1, 4))) == NonFiniteOrigin("second", "weights")
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
        parameter.grad[0] = torch.inf if parameter is next(model.parameters()) else 0
    assert locate_nonfinite(model, lambda: model(torch.ones(1, 4))) == NonFiniteOrigin("first", "gradient")


def test_where_every_layer_is_sound_it_is_the_loss() -> None:
    model = two_layers()
    place = locate_nonfinite(model, lambda: model(torch.ones(1, 4)))
    assert place == NonFiniteOrigin(None, "loss")
    assert place.sentence == ""


@pytest.mark.parametrize("scale", ["unit", "standardised", "raw"])
def test_the_first_batch_is_described_as_the_model_reads_it(dataset: Dataset, scale: str) -> None:
    recipe = Recipe(model="lenet5", epochs=1, batch_size=32, scale=scale, pad_crop=2, limit=64)
    run, log = trainer(recipe, dataset)
    images, _ = run._batch()
    run.run()
    (text,) = records(log, "input")
    values = images.double()
    expected = {"mean": values.mean(), "spread": values.var(correction=0).sqrt()}
    expected |= {"low": values.min(), "high": values.max()}
    assert text == {name: pytest.approx(float(value), rel=1e-4, abs=1e-6) for name, value in expected.items()}
