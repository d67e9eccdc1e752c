"""A run that is killed again and again, and one that was left alone, are the same run to the last bit.

Killed by SIGKILL in training, in the middle of writing a checkpoint, and between the commit of metric rows
and the checkpoint's getting its name; each time a new worker process goes on. The same for pausing,
and for a disk that is full.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors import safe_open
from sqlalchemy import select

from cnnviz import tracking
from cnnviz.datasets.spec import silent
from cnnviz.paths import home
from cnnviz.tracking import Command, Database, Status
from cnnviz.tracking.tables import RecordRow
from cnnviz.training import Recipe
from cnnviz.training.queue import enqueue
from cnnviz.training.workers.worker import work
from tests.training.workers.making import become, process_of, supervising, until
from tests.training.workers.mortal_worker import FATE, FULL, HALF, RENAMED, ROWS, WHOLE

MORTAL = (sys.executable, "-m", "tests.training.workers.mortal_worker")
TIMINGS = frozenset(("images_per_second", "mfu", "memory_bytes"))
RECIPE = Recipe(
    dataset="digits", batch_size=16, device="cpu", pad_crop=2, schedule="plateau", lr=0.02, patience=1
)
SHORT, LONG = RECIPE.changed({"limit": 640, "epochs": 10}), RECIPE.changed({"epochs": 30})
Interruption = Callable[[Database, int], Status]


def kill(database: Database, run: int) -> Status:
    """Kill its worker while it trains."""
    worker = process_of(database, run)
    assert tracking.get_run(database, run).status is Status.RUNNING
    worker.kill()
    return Status.INTERRUPTED


def pause(database: Database, run: int) -> Status:
    tracking.request(database, run, Command.PAUSE)
    return Status.PAUSED


def killed_at(place: str) -> Interruption:
    """Have the worker kill itself at its next checkpoint."""

    def interrupt(database: Database, run: int) -> Status:
        (home() / FATE).write_text(place)
        return Status.INTERRUPTED

    return interrupt


def at_one_go(database: Database, recipe: Recipe) -> int:
    """Train a run in this process, with as many threads as the workers have."""
    run = enqueue(database, recipe).id
    lease = tracking.claim(database, "cpu", only=run)
    assert lease is not None
    assert work(database, lease, silent, lambda: False) is Status.FINISHED
    return run


def fill(database: Database, run: int) -> Status:
    """Have the disk be full at its next checkpoint: it pauses, says so, and leaves nothing half written."""
    (home() / FATE).write_text(FULL)
    paused = become(database, run, Status.PAUSED)
    assert paused.error is not None
    assert paused.error.startswith("The disk is full")
    assert not list(tracking.run_folder(run, paused.key).glob(".*"))
    return paused.status


def follow(database: Database, recipe: Recipe, interruptions: list[Interruption]) -> int:
    """Train a run to its end through all of these, at steps that are spread over it."""
    run = enqueue(database, recipe).id
    become(database, run, Status.RUNNING)
    total = tracking.get_run(database, run).total_steps
    assert total is not None
    steps = sorted(random.Random(1).sample(range(2, int(0.8 * total)), len(interruptions)))
    for step, interrupt in zip(steps, interruptions, strict=True):
        begun = become(database, run, Status.RUNNING).step
        until(lambda: tracking.get_run(database, run).step >= max(step, begun + 1), "it is trained on")  # noqa: B023
        become(database, run, interrupt(database, run))
        tracking.request(database, run, Command.RESUME)
    assert become(database, run, Status.FINISHED).attempt == len(interruptions) + 1
    return run


def rows(database: Database, run: int) -> list[tuple[str, int, float, float]]:
    """Every metric row but the timings, in the order in which they were written."""
    found = tracking.read_metrics(database, run, 0, 1_000_000).rows
    return [(row.name, row.step, row.epoch, row.value) for row in found if row.name not in TIMINGS]


def records(database: Database, run: int) -> list[tuple[str, int, str]]:
    query = select(RecordRow.kind, RecordRow.step, RecordRow.body).where(RecordRow.run_id == run)
    with database.read() as session:
        return [(kind, step, body) for kind, step, body in session.execute(query.order_by(RecordRow.id))]


def checkpoints(database: Database, run: int) -> dict[str, tuple[dict[str, str], dict[str, bytes]]]:
    """What lies in a run's folder: by name, the file's metadata, and each tensor's bytes."""
    found = {}
    for path in tracking.run_folder(run, tracking.get_run(database, run).key).glob("*.safetensors"):
        found[path.name] = contents(path)
    return found


def contents(path: Path) -> tuple[dict[str, str], dict[str, bytes]]:
    """A checkpoint's metadata, which a file holds in any order, and each tensor's bytes."""
    with safe_open(path, "np") as file:
        tensors = {name: file.get_tensor(name).tobytes() for name in file.keys()}  # noqa: SIM118 (no mapping)
        return file.metadata(), tensors


def check(database: Database, recipe: Recipe, interruptions: list[Interruption]) -> None:
    whole = at_one_go(database, recipe)
    with supervising(database, MORTAL):
        run = follow(database, recipe, interruptions)
    assert rows(database, run) == rows(database, whole)
    assert records(database, run) == records(database, whole)
    kept = checkpoints(database, run)
    assert kept == checkpoints(database, whole)
    assert set(kept) == {"last.safetensors", "best.safetensors"}


def test_a_run_that_was_killed_and_paused_is_the_same_run(database: Database) -> None:
    check(database, SHORT, [killed_at(HALF), pause, kill])


@pytest.mark.slow
def test_twenty_kills(database: Database) -> None:
    places = [killed_at(place) for place in (HALF, ROWS, WHOLE, RENAMED)]
    check(database, LONG, [*[kill] * 8, *places, *[kill] * 8])


@pytest.mark.slow
def test_twenty_pauses(database: Database) -> None:
    check(database, LONG, [*[pause] * 9, fill, fill, *[pause] * 9])
