"""The worker that ended a run takes the next: as good as fresh, one at a time, replaced where it failed."""

from __future__ import annotations

import io
import os
import random
import sys
import threading
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

from cnnviz import tracking
from cnnviz.tracking import Command, Database, Status
from cnnviz.training import Recipe
from cnnviz.training.queue import enqueue
from cnnviz.training.trainer import LAST
from cnnviz.training.workers import process, process_id, process_state
from cnnviz.training.workers.launcher import LocalWorker, Order
from cnnviz.training.workers.process_state import ProcessState
from tests.training.workers.making import LIGHT, become, process_of, queue, supervising, until, workers

DIRTY = (sys.executable, "-m", "tests.training.workers.dirty_worker")
RECIPE = Recipe(
    model="lenet5", dataset="digits", limit=200, epochs=2, batch_size=32, device="cpu", pad_crop=2, seed=3
)
TIMINGS = frozenset(("images_per_second", "mfu", "memory_bytes"))


def test_runs_one_after_another_have_one_worker(database: Database) -> None:
    with supervising(database):
        until(lambda: len(workers()) == 1, "there is a worker")
        only = workers()
        for task in ("finish", "train", "finish"):
            run = queue(database, task)
            if task == "train":
                become(database, run, Status.RUNNING)
                assert process_of(database, run).pid == only[0]
                assert workers() == only, "none waits beside one that trains"
                tracking.request(database, run, Command.STOP)
            become(database, run, Status.FINISHED, Status.STOPPED)
            assert workers() == only


def test_a_run_that_is_queued_behind_another_begins_in_the_same_worker(database: Database) -> None:
    runs = [queue(database, "train") for _ in range(2)]
    with supervising(database):
        become(database, runs[0], Status.RUNNING)
        first = process_of(database, runs[0]).pid
        tracking.request(database, runs[0], Command.STOP)
        become(database, runs[1], Status.RUNNING)
        assert process_of(database, runs[1]).pid == first
        tracking.request(database, runs[1], Command.STOP)
        become(database, runs[1], Status.STOPPED)


def test_a_second_device_has_a_second_worker_and_one_is_kept(database: Database) -> None:
    on_cpu, on_gpu = queue(database, "train"), queue(database, "train", "cuda:0")
    with supervising(database):
        for run in (on_cpu, on_gpu):
            become(database, run, Status.RUNNING)
        assert len(workers()) == 2
        for run in (on_cpu, on_gpu):
            tracking.request(database, run, Command.STOP)
            become(database, run, Status.STOPPED)
        until(lambda: len(workers()) == 1, "one waits, and no second")


@pytest.mark.parametrize("task", ["crash", "leave"])
def test_a_worker_is_replaced_after_its_failure(database: Database, task: str) -> None:
    with supervising(database):
        until(lambda: len(workers()) == 1, "there is a worker")
        first = workers()
        failed = queue(database, task)
        become(database, failed, Status.FAILED)
        become(database, queue(database, "finish"), Status.FINISHED)
        until(lambda: len(workers()) == 1, "there is one again")
        assert workers() != first


def test_last_lines_are_of_the_run_that_failed_and_not_of_an_earlier_one(database: Database) -> None:
    with supervising(database):
        become(database, queue(database, "chat"), Status.FINISHED)
        failed = become(database, queue(database, "leave"), Status.FAILED)
    assert failed.last_lines is not None
    assert failed.last_lines.strip() == "the kernel module is not loaded"


def test_a_process_that_has_another_run_meanwhile_is_not_killed_for_the_first(database: Database) -> None:
    """Two supervisors: what one read of a run that prepares may be past when it acts."""
    first = queue(database, "prepare")
    lease = tracking.claim(database, "cpu")
    assert lease is not None
    tracking.attach(database, lease, os.getpid(), process_id.started(os.getpid()))
    tracking.request(database, first, Command.STOP)
    seen = tracking.list_runs(database)
    tracking.end(database, lease, Status.STOPPED)
    from cnnviz.training.workers.supervisor import RunMonitor
    from tests.training.workers.test_supervisor import Machine

    machine = Machine()
    RunMonitor(database, machine).look(seen)
    assert machine.killed == 0


def test_a_run_in_a_reused_worker_ends_with_the_bits_of_one_in_a_fresh_process(database: Database) -> None:
    """The first worker's first run leaves everything behind that a run could: see `dirty_worker`."""
    results = []
    with supervising(database, DIRTY):
        become(database, enqueue(database, RECIPE.changed({"seed": 8, "lr": 0.2})).id, Status.FINISHED)
        only = workers()
        results.append(_result(database, enqueue(database, RECIPE).id))
        assert workers() == only
    with supervising(database, DIRTY):
        results.append(_result(database, enqueue(database, RECIPE).id))
    assert results[0] == results[1]


def _result(database: Database, run: int) -> tuple[Any, ...]:
    """Weights, optimizer state and position, and every figure that is not of the machine."""
    ended = become(database, run, Status.FINISHED)
    page = tracking.read_metrics(database, run, 0, 10_000)
    rows = [(row.name, row.step, row.value) for row in page.rows if row.name not in TIMINGS]
    records = [
        (record.step, record.body)
        for kind in ("layers", "test/confusion", "fixed_predictions", "census")
        for record in tracking.read_records(database, run, kind)
    ]
    with safe_open(tracking.run_folder(run, ended.key) / LAST, "np") as file:
        tensors = {name: file.get_tensor(name).tobytes() for name in file.keys()}  # noqa: SIM118 (no mapping)
        return file.metadata(), tensors, rows, records


def dirty() -> None:
    """Change what a run could change of its process."""
    torch.manual_seed(99)
    random.seed(99)
    np.random.seed(99)
    torch.set_num_threads(torch.get_num_threads() + 1)
    torch.set_default_dtype(torch.float64)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = not torch.backends.cudnn.benchmark
    torch.set_grad_enabled(False)
    torch.set_autocast_enabled("cpu", True)
    torch.nn.modules.module.register_module_forward_hook(lambda *_: None)
    np.seterr(divide="raise")
    os.environ["LEFT_BEHIND"] = "1"
    sys.path.append("left-behind")


def state() -> tuple[Any, ...]:
    return (
        torch.get_rng_state().tolist(),
        random.getstate(),
        str(np.random.get_state()),
        torch.get_num_threads(),
        torch.get_default_dtype(),
        torch.are_deterministic_algorithms_enabled(),
        torch.backends.cudnn.benchmark,
        torch.is_grad_enabled(),
        torch.is_autocast_enabled("cpu"),
        len(torch.nn.modules.module._global_forward_hooks),
        np.geterr(),
        dict(os.environ),
        list(sys.path),
        os.getcwd(),
    )


def test_what_a_run_leaves_behind_is_undone() -> None:
    fresh, before = ProcessState.capture(), state()
    dirty()
    assert all(old != new for old, new in zip(before[:-1], state()[:-1], strict=True))
    assert fresh.restore()
    assert state() == before


def test_a_process_that_has_grown_or_holds_a_thread_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = ProcessState.capture()
    grown = process_state._own_bytes() + 2 * process_state.MAX_GROWTH
    with monkeypatch.context() as patched:
        patched.setattr(process_state, "_own_bytes", lambda: grown)
        assert not fresh.restore()
    monkeypatch.setattr(process_state, "THREADS_SECONDS", 0.0)
    go_on = threading.Event()
    left = threading.Thread(target=go_on.wait, daemon=True)
    left.start()
    assert not fresh.restore()
    go_on.set()
    left.join()
    assert fresh.restore()


def test_a_thread_that_has_the_number_of_one_that_ended_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pthreads are numbered by the address of their stack, which the next thread gets."""
    monkeypatch.setattr(process_state, "THREADS_SECONDS", 0.0)
    go_on = threading.Event()
    early = threading.Thread(target=go_on.wait, daemon=True)
    early.start()
    fresh = ProcessState.capture()
    go_on.set()
    early.join()
    go_on.clear()
    late = threading.Thread(target=go_on.wait, daemon=True)
    late.start()
    monkeypatch.setattr(late, "_ident", early.ident)
    assert not fresh.restore()
    go_on.set()
    late.join()


@pytest.mark.parametrize(
    ("outcomes", "restored", "idle", "code"),
    [
        ([(0, True), (0, True), (0, True)], True, 3, 0),
        ([(0, True), (0, False), (0, True)], True, 1, 0),
        ([(74, False)], True, 0, 74),
        ([(0, True), (0, True)], False, 0, 0),
        ([(0, True)] * 9, True, 4, 0),
    ],
    ids=["input ends", "a run failed", "no room", "not as fresh", "many runs"],
)
def test_when_a_worker_takes_another_run(
    monkeypatch: pytest.MonkeyPatch, outcomes: list[tuple[int, bool]], restored: bool, idle: int, code: int
) -> None:
    said: list[dict[str, Any]] = []
    left = iter(outcomes)
    monkeypatch.setattr(process_state, "warm_up", lambda: None)
    monkeypatch.setattr(ProcessState, "restore", lambda _: restored)
    monkeypatch.setattr(process, "MAX_RUNS", 5)
    monkeypatch.setattr(process, "_run_order", lambda _: next(left))
    monkeypatch.setattr(process, "_lower_priority", lambda: None)
    monkeypatch.setattr(process, "_tell", lambda _, message: said.append(message))
    monkeypatch.setattr("faulthandler.enable", lambda: None)
    monkeypatch.setattr("os.dup2", lambda *_: None)
    orders = io.TextIOWrapper(io.BytesIO(b"{}\n" * len(outcomes)))
    monkeypatch.setattr(sys, "stdin", orders)
    assert process.main() == code
    assert "devices" in said[0]
    assert said[1:] == [{"idle": True}] * idle


def test_only_a_run_that_went_well_leaves_a_known_state(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if its network had changed while it waited: the worker finds that it cannot be trained.
    monkeypatch.setattr("cnnviz.training.queue.check_trainable", lambda *_: None)
    found = []
    for changes in ({}, {"model": "googlenet", "size": 32}):
        run = enqueue(database, RECIPE.changed(changes))
        lease = tracking.claim(database, "cpu", only=run.id)
        assert lease is not None
        address = database.url.render_as_string(hide_password=False)
        folder = str(tracking.run_folder(run.id, run.key))
        found.append(process._run_order(Order(run.id, lease.attempt, address, folder).write()))
    assert found == [(0, True), (0, False)]


def test_a_worker_that_says_nothing_of_itself_is_known_all_the_same() -> None:
    worker = LocalWorker(LIGHT)
    until(lambda: "cpu" in worker.devices, "it has told its devices")
    assert worker.device is None
    assert process_id.is_alive(worker.pid, worker.started)
    worker.dismiss()
    worker.wait(60.0)
    until(lambda: worker.failure is not None, "its parent process has told of its end")
