"""Learning rates at the steps that define each schedule."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from cnnviz.training import Recipe
from cnnviz.training.optimizer import Plateau, build_optimizer, learning_rate


def rates(recipe: Recipe, steps: int = 10) -> list[float]:
    return [learning_rate(recipe, step, steps) for step in range(recipe.epochs * steps)]


def test_step() -> None:
    seen = rates(Recipe(schedule="step", lr=1, step_epochs=2, step_factor=0.5, epochs=6))
    assert [seen[0], seen[19], seen[20], seen[39], seen[40]] == [1, 1, 0.5, 0.5, 0.25]


def test_cosine_and_one_cycle() -> None:
    cosine = rates(Recipe(schedule="cosine", lr=1, epochs=4))
    cycle = rates(Recipe(schedule="one-cycle", lr=1, epochs=4))
    assert cosine[0] == 1
    assert cosine[20] == pytest.approx(0.5)
    assert cosine[-1] < 0.01
    assert cycle[0] == pytest.approx(0.04)
    assert cycle[10] == pytest.approx(1)
    assert cycle[-1] == pytest.approx(1 / 30)
    assert max(cycle) == cycle[10]


def test_warm_up_grows_to_the_rate() -> None:
    seen = rates(Recipe(lr=1, warmup_epochs=0.5, epochs=2))
    assert seen[:6] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1])


@given(
    st.sampled_from(["constant", "step", "cosine", "one-cycle", "plateau"]),
    st.integers(1, 20),
    st.integers(1, 50),
    st.floats(0, 1),
)
def test_rates_stay_between_nothing_and_the_largest(kind: str, epochs: int, steps: int, warm: float) -> None:
    recipe = Recipe().changed({"schedule": kind, "epochs": epochs, "lr": 0.3, "warmup_epochs": warm})
    seen = [learning_rate(recipe, step, steps) for step in range(epochs * steps)]
    assert all(0 < value <= 0.3 + 1e-12 for value in seen)


def test_plateau_waits_and_then_drops() -> None:
    plateau = Plateau(patience=2, factor=0.1)
    scales = []
    for loss in (1.0, 0.9, 0.95, 0.9, 0.8, 0.8, 0.8, 0.8, 0.8):
        plateau.update(loss)
        scales.append(plateau.scale)
    assert scales == pytest.approx([1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.001])


@pytest.mark.parametrize("optimiser", ["sgd", "adam", "rmsprop"])
def test_complex_weights_are_refused_in_a_sentence(optimiser: str) -> None:
    weights = [nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2, dtype=torch.cfloat))]
    recipe = Recipe().changed({"optimiser": optimiser})
    with pytest.raises(ValueError, match="complex weights, which no optimizer here takes"):
        build_optimizer(recipe, weights)
    assert build_optimizer(recipe, weights[:1]).param_groups
