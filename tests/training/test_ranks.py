"""Several processes train one run: the same figures, decisions made together, bits after a kill."""

from __future__ import annotations

import errno
import functools
import itertools
import os
import signal
from collections.abc import Callable, Iterator
from unittest import mock

import numpy as np
import psutil
import pytest
from torch import Tensor

from cnnviz import tracking
from cnnviz.datasets import Progress
from cnnviz.datasets.spec import silent
from cnnviz.tracking import Command, Database, Lease, MetricWriter, Run, Status
from cnnviz.training import Recipe, checkpoint
from cnnviz.training.queue import enqueue
from cnnviz.training.ranks import EXCHANGE_LIMIT, PREPARATION_LIMIT, Ranks
from cnnviz.training.trainer import TrainStep
from cnnviz.training.workers import worker

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
    worker.work(database, lease, silent, lambda: False)
    return tracking.get_run(database, number)


def values(database: Database, run: Run, name: str) -> list[float]:
    page = tracking.read_metrics(database, run.id, 0, 10_000)
    return [row.value for row in page.rows if row.name == name]


def weights(run: Run) -> dict[str, np.ndarray]:
    path = tracking.run_folder(run.id, run.key) / "last.safetensors"
    return {name: value.numpy() for name, value in checkpoint.read(path).weights.items()}


EARLIER: set[int] = set()
"""Processes that other tests of this process have started: an app, a Chromium."""


@pytest.fixture(autouse=True)
def _earlier() -> None:
    EARLIER.clear()
    EARLIER.update(child.pid for child in psutil.Process().children())


def rank_processes() -> list[psutil.Process]:
    """The ranks that this test has started; new processes bring a tracker of theirs, which stays.

    They are this process's own children. An app that an earlier test has started has children too, and starts
    new ones (a worker that waits) whenever it likes.
    """
    children = [child for child in psutil.Process().children() if child.pid not in EARLIER]
    return [child for child in children if not _tracks_resources(child)]


def _tracks_resources(process: psutil.Process) -> bool:
    try:
        return "resource_tracker" in " ".join(process.cmdline())
    except psutil.Error:
        return False


TRAIN = worker.train


def at_step(number: int, act: Callable[[], object]) -> None:
    """Do something in this process before its training step of this number, counted from 1."""
    make, steps = TrainStep.__call__, itertools.count(1)

    def step(self: TrainStep, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        if next(steps) == number:
            act()
        return make(self, images, labels)

    mock.patch.object(TrainStep, "__call__", step).start()


def train_and_die(
    database: Database,
    lease: Lease,
    progress: Progress,
    interrupted: Callable[[], bool],
    ranks: Ranks,
    device: str,
) -> Status:
    """The product's training, whose last rank is killed in the fourth of its epochs of four steps."""
    if ranks.rank == ranks.world - 1:
        at_step(14, lambda: os.kill(os.getpid(), signal.SIGKILL))
    return TRAIN(database, lease, progress, interrupted, ranks, device)


def train_and_be_stopped(
    database: Database,
    lease: Lease,
    progress: Progress,
    interrupted: Callable[[], bool],
    ranks: Ranks,
    device: str,
) -> Status:
    """The product's training, which somebody asks to stop after its first epoch."""
    if ranks.first:
        at_step(6, lambda: tracking.request(database, lease.run_id, Command.STOP))
    return TRAIN(database, lease, progress, interrupted, ranks, device)


DISK_FULL = "The disk is full; the last checkpoint is whole. Make room and resume the run."


def test_rows_are_dealt_out_and_no_rank_is_empty() -> None:
    assert [Ranks(rank, 3).rows(4).tolist() for rank in range(3)] == [[0, 3], [1], [2]]
    assert Ranks(2, 3).rows(2).tolist() == [0]
    assert len({Ranks(rank, 4).seed_purpose for rank in range(4)}) == 4


def test_data_are_waited_for_longer_than_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """A download may take hours, and would else break the exchange of those that wait for it."""
    groups: list[dict[str, object]] = []
    waited: list[object] = []

    def new_group(**options: object) -> object:
        groups.append(options)
        return options

    monkeypatch.setattr("torch.distributed.new_group", new_group)
    monkeypatch.setattr("torch.distributed.barrier", lambda group=None: waited.append(group))
    Ranks(1, 2).preparation()()
    assert waited == groups == [{"backend": "gloo", "timeout": PREPARATION_LIMIT}]
    assert PREPARATION_LIMIT > EXCHANGE_LIMIT
    Ranks().preparation()()
    assert len(waited) == 1, "a single rank waits for nobody"


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


@pytest.mark.slow
def test_a_killed_rank_leads_to_the_same_bits(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = SHORT.changed({"device": "cpu:2", "epochs": 6})
    whole = follow(database, recipe)
    with monkeypatch.context() as patched:
        patched.setattr(worker, "train", train_and_die)
        cut = follow(database, recipe)
    assert (cut.status, cut.tries, cut.attempt, cut.error) == (Status.QUEUED, 1, 1, None)
    assert cut.total_steps is not None
    assert 0 < cut.step < cut.total_steps
    assert "last" in tracking.checkpoints(database, cut.id)
    assert not rank_processes()
    ended = follow(database, recipe, cut.id)
    assert (ended.status, ended.attempt) == (Status.FINISHED, 2)
    got = weights(ended)
    for name, value in weights(whole).items():
        np.testing.assert_array_equal(got[name], value)
    assert values(database, ended, "test/loss") == values(database, whole, "test/loss")


@pytest.mark.slow
def test_three_ranks_stop_together_with_a_last_batch_of_two(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "train", train_and_be_stopped)
    stopped = follow(database, SHORT.changed({"device": "cpu:3", "limit": 152, "epochs": 500}))
    assert (stopped.status, stopped.error) == (Status.STOPPED, None)
    assert stopped.epoch > 1
    assert not rank_processes()


def fail_on_first_rank(
    error: Exception,
    database: Database,
    lease: Lease,
    progress: Progress,
    interrupted: Callable[[], bool],
    ranks: Ranks,
    device: str,
) -> Status:
    """A training whose first rank meets an error of the database."""
    if ranks.first:
        raise error
    ranks.wait()
    return Status.FINISHED


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (tracking.DatabaseUnavailableError("The run database cannot be used."), Status.QUEUED, None),
        (tracking.DatabaseFullError("There is no space left for the run database."), Status.PAUSED, None),
        (OSError(errno.ENOSPC, "No space left on device"), Status.PAUSED, DISK_FULL),
    ],
    ids=["away", "full", "disk"],
)
def test_ranks_without_a_database_or_a_disk_leave_a_run_that_goes_on(
    database: Database, monkeypatch: pytest.MonkeyPatch, error: Exception, status: Status, reason: str | None
) -> None:
    monkeypatch.setattr(worker, "train", functools.partial(fail_on_first_rank, error))
    run = follow(database, SHORT.changed({"device": "cpu:2"}))
    assert run.status is status
    assert tracking.history(database, run.id)[-1].reason == (reason or str(error))


def stop_early(
    database: Database,
    lease: Lease,
    progress: Progress,
    interrupted: Callable[[], bool],
    ranks: Ranks,
    device: str,
) -> Status:
    """A training that early stopping ends."""
    if ranks.first:
        tracking.begin(database, lease)
        with MetricWriter(database, lease) as writer:
            writer.record("early_stopping", {"note": "Stopped early."}, 1, 1.0)
    ranks.wait()
    return Status.FINISHED


def test_the_log_says_that_early_stopping_ended_ranks(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "train", stop_early)
    run = follow(database, SHORT.changed({"device": "cpu:2"}))
    assert run.status is Status.FINISHED
    assert tracking.history(database, run.id)[-1].reason == "Stopped early."


def test_a_loss_that_is_no_number_fails_all_ranks(database: Database) -> None:
    hopeless = {"lr": 1000, "optimiser": "sgd", "schedule": "constant", "epochs": 30, "device": "cpu:2"}
    hopeless |= {"pad_crop": 0, "scale": "raw"}
    run = follow(database, SHORT.changed(hopeless))
    assert run.status is Status.FAILED
    assert run.error is not None
    assert "no longer a finite number at step" in run.error
