"""A change is checked against the run before it is proposed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cnnviz.diagnosis import Evidence, diagnose, rules
from cnnviz.diagnosis.alternative_networks import widen_bottlenecks
from cnnviz.diagnosis.evidence import Data, LayerAt, LayerFact, Look, Points
from cnnviz.diagnosis.finding import Change
from cnnviz.diagnosis.fixes import rejection_reason, step_count
from cnnviz.models.layers import Activation, Conv, Flatten, LayerList, Linear, Pool
from cnnviz.training import Recipe
from tests.diagnosis import test_rules_of_data, test_rules_of_signal
from tests.diagnosis.evidence import CLASSES, healthy
from tests.diagnosis.networks import FLAT, run

RECORDED = sorted((Path(__file__).parent / "recorded").glob("*.json.gz"))
MADE = {
    **{name: made()[1] for name, made in test_rules_of_data.PLANTED.items()},
    **test_rules_of_signal.SPOILT,
}


def images(train: int, available: int | None = None) -> Data:
    return Data(
        classes=CLASSES,
        counts=(train // 10,) * 10,
        train=train,
        available=available or train,
        test=200,
        shape=(1, 28, 28),
    )


def small(train: int, **changes: Any) -> Evidence:
    """A run on so few images, in one batch or a few."""
    recipe = changes.pop("recipe", Recipe(epochs=10, batch_size=32))
    each = max(1, -(-train // recipe.batch_size))
    base: dict[str, Any] = {
        "recipe": recipe,
        "data": Data(
            classes=CLASSES,
            counts=(train // 10,) * 10,
            train=train,
            available=train,
            test=200,
            shape=(1, 28, 28),
        ),
        "step": each * recipe.epochs,
        "total_steps": each * recipe.epochs,
    }
    return healthy(**(base | changes))


def moved(share: float, **changes: Any) -> Evidence:
    """A run whose first step moved its one layer by this share of its weights."""
    facts = (LayerFact(name="conv1", type="Conv2d", kind="conv", params=80, out=(8, 26, 26)),)
    look = Look(step=1, layers=(LayerAt(name="conv1", mean=0, spread=1, update=share),))
    return healthy(layers=facts, looks=(look,), **changes)


def test_no_limit_is_no_change_where_it_leaves_nothing_out() -> None:
    evidence = small(1_000, recipe=Recipe(epochs=10, limit=1_000))
    assert "changes nothing" in rejection_reason(Change({"limit": None}, "All."), evidence, {})
    fewer = small(
        500, recipe=Recipe(epochs=10, limit=500), data=small(500).data.model_copy(update={"available": 900})
    )
    assert rejection_reason(Change({"limit": None}, "All."), fewer, {}) == ""


def test_a_batch_larger_than_the_images_there_are_is_not_proposed() -> None:
    evidence = small(28, recipe=Recipe(epochs=10, batch_size=4))
    assert "28 images" in rejection_reason(Change({"batch_size": 32}, "More."), evidence, {})
    assert rejection_reason(Change({"batch_size": 8}, "More."), evidence, {}) == ""


def test_a_thousand_epochs_are_not_proposed() -> None:
    evidence = small(28)
    assert "1,143 epochs" in rejection_reason(Change({"epochs": 1_143}, "Longer."), evidence, {})
    assert rejection_reason(Change({"epochs": 100}, "Longer."), evidence, {}) == ""


def test_work_is_bounded_by_the_runs_own_and_its_speed() -> None:
    huge = small(
        100, data=small(100).data.model_copy(update={"available": 1_200_000}), recipe=Recipe(limit=100)
    )
    slow = huge.model_copy(update={"curves": huge.curves | {"images_per_second": _flat(50.0)}})
    fast = huge.model_copy(update={"curves": huge.curves | {"images_per_second": _flat(50_000.0)}})
    change = Change({"limit": None, "epochs": 3}, "All.")
    assert "too much work" in rejection_reason(change, slow, {})
    assert rejection_reason(change, fast, {}) == ""


def _flat(value: float) -> Points:
    return Points(steps=(1, 2), values=(value, value))


@pytest.mark.parametrize(
    ("quantity", "lr", "refused"), [("up", 0.02, True), ("up", 0.1, False), ("down", 0.1, True)]
)
def test_a_rate_moves_the_way_that_its_cause_says(quantity: Any, lr: float, refused: bool) -> None:
    """Of row D8: "rate too low", and 0.05 → 0.02 beside it."""
    change = Change({"lr": lr}, "Another rate.")
    assert bool(rejection_reason(change, healthy(), {"lr": quantity})) == refused


@pytest.mark.parametrize(("lr", "refused"), [(0.5, False), (5.0, True)])
def test_a_first_step_that_would_replace_a_layer_is_not_proposed(lr: float, refused: bool) -> None:
    evidence = moved(0.01, recipe=Recipe(epochs=10, lr=0.05))
    assert bool(rejection_reason(Change({"lr": lr}, "Larger."), evidence, {})) == refused


def test_a_list_that_cannot_be_built_is_not_proposed() -> None:
    layers = LayerList(name="a", input=(1, 8, 8), layers=(Pool(kernel=16), Flatten(), Linear(out="classes")))
    assert "cannot be" in rejection_reason(Change({"layers": layers.model_dump()}, "Another."), healthy(), {})


def test_a_list_with_an_error_that_the_run_had_not_is_not_proposed() -> None:
    layers = LayerList(
        name="cut off",
        input=(1, 28, 28),
        layers=(
            Flatten(),
            Linear(out=32),
            Activation(),
            Linear(out="classes"),
            Activation(),
        ),
    )
    assert "0" in rejection_reason(Change({"layers": layers.model_dump()}, "Another."), healthy(), {})
    had = healthy(recipe=Recipe(layers=layers, epochs=10))
    longer = Change({"epochs": 20}, "Longer.")
    assert rejection_reason(longer, had, {}) == ""


@pytest.mark.parametrize("train", [20, 28, 45, 60])
@pytest.mark.parametrize("batch", [1, 4, 32, 512])
def test_tiny_sets_get_changes_that_their_images_bear(train: int, batch: int) -> None:
    base = run(losses=FLAT, accuracy=0.1, recipe={"batch_size": batch, "lr": 0.05, "momentum": 0.9})
    each = max(1, -(-train // batch))
    evidence = base.model_copy(update={
        "data": base.data.model_copy(update={"train": train, "available": train}),
        "total_steps": each * base.recipe.epochs, "step": each * base.recipe.epochs,
    })  # fmt: skip
    for finding in diagnose(evidence).findings:
        for change in finding.changes:
            new = change.recipe(evidence.recipe)
            assert new.batch_size == batch or new.batch_size <= train, change
            assert new.epochs <= 300, change


def test_steps_count_the_smaller_last_batch_as_training_does() -> None:
    evidence = small(65, recipe=Recipe(epochs=2, batch_size=32))
    assert step_count(evidence.recipe, evidence) == 2 * 2
    assert step_count(evidence.recipe.changed({"batch_size": 16}), evidence) == 2 * 4


def test_what_is_widened_is_the_bottleneck() -> None:
    parts = (
        Conv(name="conv1", out=32), Pool(name="pool1", kernel=26), Flatten(), Linear(name="fc1", out=3),
        Linear(name="fc2", out="classes"),
    )  # fmt: skip
    layers = LayerList(name="thin", input=(1, 28, 28), layers=parts)
    wide = LayerList.model_validate(widen_bottlenecks(layers, 40)["layers"])
    assert [step.output_shape for step in wide.steps()] == [(40, 26, 26), (40, 1, 1), (40,), (40,), (10,)]
    plenty = LayerList.model_validate(widen_bottlenecks(layers, 3)["layers"])
    assert plenty == layers


def follows(evidence: Evidence) -> None:
    """Every change proposed is sound, judged without the functions that chose it."""
    for finding in diagnose(evidence).findings:
        moves = rules()[finding.cause].moves
        for change in finding.changes:
            old, new = evidence.recipe, change.recipe(evidence.recipe)
            assert new.difference(old), (finding.cause, change.values)
            assert new.epochs <= max(300, 2 * old.epochs)
            assert new.batch_size <= max(evidence.data.train, old.batch_size)
            if new.layers is not None and evidence.classes:
                assert not new.layers.model_copy(update={"classes": evidence.classes}).problem()
            for field in moves.keys() & Recipe.model_fields.keys():
                before, after = getattr(old, field), getattr(new, field)
                assert before == after or (after > before) == (moves[field] == "up"), (finding.cause, field)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.name.removesuffix(".json.gz"))
def test_changes_for_recorded_runs_are_sound(path: Path) -> None:
    follows(Evidence.read(path))


@pytest.mark.parametrize("name", MADE)
def test_changes_for_runs_made_by_hand_are_sound(name: str) -> None:
    follows(MADE[name])


@pytest.mark.parametrize("lr", [1e-4, 0.01, 0.05, 0.2])
def test_against_a_rate_too_low_a_higher_one_is_proposed_whatever_others_bear(lr: float) -> None:
    """Of row D8: 0.05 → 0.02 was proposed, as no network bears more than that in general."""
    low = run(losses=FLAT, accuracy=0.1, recipe={"lr": lr, "momentum": 0.9}, updates=(2e-5,) * 3)
    (finding,) = [one for one in diagnose(low).findings if one.cause == "rate-too-low"]
    assert [lr < change.recipe(low.recipe).lr <= max(0.02, 10 * lr) for change in finding.changes] == [True]
