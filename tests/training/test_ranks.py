"""Several processes train one run: the same figures, decisions made together, bits after a kill."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import numpy as np
import psutil
import pytest

from cnnviz import tracking
from cnnviz.datasets.spec import silent
from cnnviz.tracking import Command, Database, Run, Status
from cnnviz.training import Recipe, checkpoint
from cnnviz.training.queue import enqueue
from cnnviz.training.ranks import Ranks
from cnnviz.training.workers.worker import work
from tests.training.workers.making import until

SHORT = Recipe(
    dataset="digits", limit=200, epochs=2, batch_size=50, pad_crop=2, schedule="cosine", device="cpu"
)


@pytest.fixture
def database() -> Iterator[Database]:
    with tracking.connect() as opened:
        yield opened


def follow(database: Database, recipe: Recipe, run: int | None = None) -> Run:
    number = enqueue(database, recipe).id if run is None else run
    lease = tracking.claim(database, "cpu", only=number, classes=["any", "cpu", recipe.device])
    assert lease is not None
    work(database, lease, silent, lambda: False)
    return tracking.get_run(database, number)


def during(act: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    return thread


def values(database: Database, run: Run, name: str) -> list[float]:
    page = tracking.read_metrics(database, run.id, 0, 10_000)
    return [row.value for row in page.rows if row.name == name]


def weights(run: Run) -> dict[str, np.ndarray]:
    path = tracking.run_folder(run.id, run.key) / "last.safetensors"
    return {name: value.numpy() for name, value in checkpoint.read(path).weights.items()}


pytestmark = pytest.mark.slow
"""Three to eleven processes start torch; beside an app and a Chromium that takes a minute a test."""

EARLIER: set[int] = set()
"""Processes that other tests of this process have started: an app, a Chromium."""


@pytest.fixture(autouse=True)
def _earlier() -> None:
    EARLIER.clear()
    EARLIER.update(child.pid for child in psutil.Process().children(recursive=True))


def rank_processes() -> list[psutil.Process]:
    """The ranks that this test has started; new processes bring a tracker of theirs, which stays."""
    children = [child for child in psutil.Process().children(recursive=True) if child.pid not in EARLIER]
    return [child for child in children if "python" in _name(child) and not _tracks_resources(child)]


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.Error:
        return ""


def _tracks_resources(process: psutil.Process) -> bool:
    try:
        return "resource_tracker" in " ".join(process.cmdline())
    except psutil.Error:
        return False


def test_rows_are_dealt_out_and_no_rank_is_empty() -> None:
    assert [Ranks(rank, 3).rows(4).tolist() for rank in range(3)] == [[0, 3], [1], [2]]
    assert Ranks(2, 3).rows(2).tolist() == [0]
    assert len({Ranks(rank, 4).seed_purpose for rank in range(4)}) == 4


def test_two_ranks_train_as_one_does_and_write_one_run(database: Database) -> None:
    one, two = follow(database, SHORT), follow(database, SHORT.changed({"device": "cpu:2"}))
    assert (two.status, two.error, two.step) == (Status.FINISHED, None, one.step)
    assert (two.device_class, two.device) == ("cpu:2", "cpu")
    for name in ("train/loss", "train/epoch_loss", "val/loss", "test/loss", "test/accuracy"):
        np.testing.assert_allclose(values(database, two, name), values(database, one, name), rtol=2e-3)
    for kind in ("input", "data", "train/predicted"):
        found = [tracking.latest_record(database, run.id, kind) for run in (one, two)]
        assert found[0] is not None
        assert found[1] is not None
        if kind != "train/predicted":
            assert found[0].body == found[1].body, "the batch is drawn and augmented for all ranks"
        else:
            assert sum(found[1].body) == 200
    path = tracking.run_folder(two.id, two.key) / "last.safetensors"
    assert checkpoint.position_of(path).world == 2
    note = tracking.latest_record(database, two.id, "engine")
    assert note is not None
    assert note.body["note"].startswith("Trained by 2 ranks")
    assert not rank_processes()


def test_a_killed_rank_leads_to_the_same_bits(database: Database) -> None:
    recipe = SHORT.changed({"device": "cpu:2", "epochs": 6})
    whole = follow(database, recipe)
    run = enqueue(database, recipe).id

    def kill_a_rank() -> None:
        until(lambda: "last" in tracking.checkpoints(database, run), "it has a checkpoint")
        rank_processes()[-1].kill()

    killer = during(kill_a_rank)
    cut = follow(database, recipe, run)
    killer.join()
    assert (cut.status, cut.tries, cut.attempt, cut.error) == (Status.QUEUED, 1, 1, None)
    assert 0 < cut.step < cut.total_steps if cut.total_steps else False
    ended = follow(database, recipe, run)
    assert (ended.status, ended.attempt) == (Status.FINISHED, 2)
    got = weights(ended)
    for name, value in weights(whole).items():
        np.testing.assert_array_equal(got[name], value)
    assert values(database, ended, "test/loss") == values(database, whole, "test/loss")


def test_three_ranks_stop_together_with_a_last_batch_of_two(database: Database) -> None:
    recipe = SHORT.changed({"device": "cpu:3", "limit": 152, "epochs": 500})
    run = enqueue(database, recipe).id

    def stop() -> None:
        until(lambda: tracking.get_run(database, run).epoch > 1, "an epoch is over")
        tracking.request(database, run, Command.STOP)

    asker = during(stop)
    stopped = follow(database, recipe, run)
    asker.join()
    assert (stopped.status, stopped.error) == (Status.STOPPED, None)
    assert not rank_processes()


def test_a_loss_that_is_no_number_fails_all_ranks(database: Database) -> None:
    hopeless = {"lr": 1000, "optimiser": "sgd", "schedule": "constant", "epochs": 30, "device": "cpu:2"}
    hopeless |= {"pad_crop": 0, "scale": "raw"}
    run = follow(database, SHORT.changed(hopeless))
    assert run.status is Status.FAILED
    assert run.error is not None
    assert "no longer a finite number at step" in run.error
