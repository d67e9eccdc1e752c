"""What is put into the queue can be trained; what cannot is refused before there is a row."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from cnnviz import tracking
from cnnviz.tracking import Database, Status
from cnnviz.training import Recipe
from cnnviz.training.estimate import place_in_queue
from cnnviz.training.queue import enqueue, has_default_name


@pytest.fixture
def database() -> Iterator[Database]:
    with tracking.connect() as opened:
        yield opened


def test_a_recipe_becomes_a_waiting_run(database: Database) -> None:
    recipe = Recipe(name="first try", dataset="digits", epochs=3, seed=4, device="cpu")
    run = enqueue(database, recipe)
    assert (run.status, run.name, run.model, run.dataset) == (Status.QUEUED, "first try", "lenet5", "digits")
    assert (run.device_class, run.device, run.seed, run.total_epochs, run.parent_id) == (
        "cpu",
        "",
        4,
        3.0,
        None,
    )
    assert Recipe.model_validate(run.recipe) == recipe


def test_a_changed_copy_knows_its_parent_and_the_unnamed_have_a_name(database: Database) -> None:
    parent = enqueue(database, Recipe(name="untitled", dataset="digits"))
    assert parent.name == "LeNet-5 on Digits"
    assert enqueue(database, Recipe(dataset="digits", seed=1), parent.id).parent_id == parent.id


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"model": "lenet6"}, "no model 'lenet6'"),
        ({"dataset": "digitz"}, "digits"),
    ],
)
def test_what_cannot_be_is_refused(database: Database, change: dict[str, str], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        enqueue(database, Recipe(dataset="digits").changed(change))
    assert tracking.list_runs(database) == []


def test_a_machine_without_a_gpu_queues_for_those_that_have_one(database: Database) -> None:
    """Which device a run gets is decided by the machine that claims it."""
    run = enqueue(database, Recipe(dataset="digits", device="gpu:2"))
    assert (run.status, run.device_class, run.device_text) == (Status.QUEUED, "gpu:2", "gpu:2")
    other = enqueue(database, Recipe(dataset="digits", device="auto"))
    assert place_in_queue(database, other).waiting == ()


def test_importing_the_queue_imports_no_torch() -> None:
    code = "import sys, cnnviz.training.queue; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("name", "default"), [("LeNet-5 on Digits", True), ("lenet5 on digits", True), ("my run", False)]
)
def test_a_run_called_by_its_model_and_data_has_the_default_name(
    database: Database, name: str, default: bool
) -> None:
    tracking.create_run(database, {}, model="lenet5", dataset="digits", seed=0, name=name)
    assert has_default_name(tracking.list_runs(database)[0]) == default
