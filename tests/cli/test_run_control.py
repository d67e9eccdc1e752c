"""Runs whose process was killed, runs that wait their turn, and `--now`: control from the command line."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from cnnviz import tracking
from cnnviz.cli import main
from cnnviz.cli.foreground import place_text, train_in_turn
from cnnviz.cli.output import Bar
from cnnviz.datasets.spec import silent
from cnnviz.tracking import Command, Database, Status
from cnnviz.training import Recipe
from cnnviz.training.estimate import QueuePlace, place_in_queue
from cnnviz.training.queue import enqueue
from cnnviz.training.workers import process_id
from tests.training.workers.making import until

Out = pytest.CaptureFixture[str]
SHORT = Recipe(dataset="digits", limit=120, epochs=1, batch_size=60, device="cpu")


@pytest.fixture
def runs() -> Iterator[Database]:
    with tracking.connect() as database:
        yield database


@pytest.fixture
def dead() -> tuple[int, float]:
    """Number and time of start of a process that was killed."""
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as process:
        result = process.pid, process_id.started(process.pid)
        process.kill()
    return result


def killed(database: Database, process: tuple[int, float], status: Status = Status.RUNNING) -> int:
    """A foreground run whose process was killed in this state: its row says that it still trains."""
    run = enqueue(database, SHORT).id
    lease = tracking.claim(database, "cpu", only=run)
    assert lease is not None
    tracking.attach(database, lease, *process)
    if status is not Status.STARTING:
        tracking.begin(database, lease)
    if status is Status.STOPPING:
        tracking.request(database, run, Command.STOP)
    return run


def busy(database: Database) -> tracking.Lease:
    """A run of a process that lives, this one, on the CPU."""
    run = enqueue(database, SHORT).id
    lease = tracking.claim(database, "cpu", only=run)
    assert lease is not None
    tracking.attach(database, lease, os.getpid(), process_id.started(os.getpid()))
    tracking.begin(database, lease)
    return lease


@pytest.mark.parametrize("status", [Status.STARTING, Status.RUNNING])
def test_a_killed_foreground_run_is_resumed_without_app_or_work(
    runs: Database, dead: tuple[int, float], status: Status, capsys: Out
) -> None:
    run = killed(runs, dead, status)
    assert main(["train", "--resume", str(run)]) == 0
    assert capsys.readouterr().out.startswith(f"Run {run} finished")
    changes = [change.new for change in tracking.history(runs, run)]
    assert Status.INTERRUPTED in changes
    assert tracking.get_run(runs, run).attempt == 2


def test_a_killed_run_does_not_keep_its_device_from_another(runs: Database, dead: tuple[int, float]) -> None:
    run = killed(runs, dead)
    assert (
        main(["train", "--dataset", "digits", "--epochs", "1", "--set", "limit=60", "--device", "cpu"]) == 0
    )
    assert tracking.get_run(runs, run).status is Status.INTERRUPTED


def test_resuming_a_killed_run_queues_it(runs: Database, dead: tuple[int, float], capsys: Out) -> None:
    run = killed(runs, dead)
    assert main(["runs", "resume", str(run)]) == 0
    assert f"Run {run} is queued." in capsys.readouterr().out
    assert tracking.get_run(runs, run).status is Status.QUEUED


@pytest.mark.parametrize(
    ("command", "after"),
    [("resume", Status.QUEUED), ("pause", Status.PAUSED), ("stop", Status.STOPPED)],
)
def test_a_run_that_its_machine_lost_goes_on_unless_it_is_taken_out(
    runs: Database, dead: tuple[int, float], command: str, after: Status, capsys: Out
) -> None:
    """A supervisor's worker that ended together with its parent process, as when a machine restarts."""
    run = killed(runs, dead)
    row = tracking.get_run(runs, run)
    tracking.attach(runs, row.lease, worker={**(row.worker or {}), "launched": True})
    assert main(["runs", command, str(run)]) == 0
    assert f"Run {run} is {after}.\n" in capsys.readouterr().out
    assert tracking.get_run(runs, run).status is after


@pytest.mark.parametrize(
    ("before", "after"), [(Status.RUNNING, Status.INTERRUPTED), (Status.STOPPING, Status.STOPPED)]
)
def test_stopping_a_killed_run_ends_it(
    runs: Database, dead: tuple[int, float], before: Status, after: Status, capsys: Out
) -> None:
    run = killed(runs, dead, before)
    assert main(["runs", "stop", str(run)]) == 0
    assert (
        capsys.readouterr().out == f"The process that trained run {run} had ended.\nRun {run} is {after}.\n"
    )
    assert tracking.get_run(runs, run).status is after


def test_the_list_says_that_a_killed_run_is_interrupted(
    runs: Database, dead: tuple[int, float], capsys: Out
) -> None:
    run = killed(runs, dead)
    assert main(["runs", "list", "--status", "interrupted"]) == 0
    assert capsys.readouterr().out.splitlines()[2].split()[0] == str(run)
    assert main(["runs", "show", str(run)]) == 0
    assert "interrupted" in capsys.readouterr().out


def test_a_run_whose_process_was_killed_while_it_was_queued_is_begun(
    runs: Database, dead: tuple[int, float]
) -> None:
    run = enqueue(runs, SHORT).id
    tracking.set_waiting_process(runs, run, *dead)
    assert main(["train", "--resume", str(run)]) == 0
    assert tracking.get_run(runs, run).status is Status.FINISHED


@pytest.mark.parametrize("error", [tracking.DatabaseFullError, tracking.DatabaseUnavailableError])
def test_a_database_that_could_not_be_written_leaves_a_run_that_is_resumed(
    runs: Database, monkeypatch: pytest.MonkeyPatch, error: type[tracking.TrackingError], capsys: Out
) -> None:
    run = enqueue(runs, SHORT).id

    def broken(*_: object) -> None:
        raise error("There is no space left for the run database.")

    with monkeypatch.context() as patched:
        patched.setattr("cnnviz.training.trainer.Trainer.run", broken)
        assert main(["train", "--resume", str(run)]) == 2
    assert "no space left" in capsys.readouterr().err
    assert tracking.get_run(runs, run).status is Status.INTERRUPTED
    assert main(["train", "--resume", str(run)]) == 0


def test_a_second_run_waits_its_turn_and_then_trains(
    runs: Database, capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = busy(runs)
    waits = enqueue(runs, SHORT).id

    def end_once_it_waits(_: object) -> None:
        assert tracking.get_run(runs, waits).worker_pid == os.getpid()
        tracking.end(runs, lease, Status.FINISHED)

    monkeypatch.setattr("cnnviz.cli.foreground._pause", end_once_it_waits)
    assert main(["train", "--resume", str(waits)]) == 0
    captured = capsys.readouterr()
    assert f"Run {waits} waits, behind run {lease.run_id} on cpu" in captured.err
    assert captured.out.startswith(f"Run {waits} finished")


def test_ctrl_c_leaves_a_run_that_waits_in_the_queue(runs: Database, capsys: Out) -> None:
    busy(runs)
    waits = enqueue(runs, SHORT).id

    def interrupt() -> None:
        until(lambda: tracking.get_run(runs, waits).worker_pid == os.getpid(), "it waits")
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    assert main(["train", "--resume", str(waits)]) == 130
    thread.join()
    out = capsys.readouterr().out
    assert f"Run {waits} stays queued" in out
    assert f"cnnviz train --resume {waits}" in out
    left = tracking.get_run(runs, waits)
    assert (left.status, left.worker_pid) == (Status.QUEUED, None)


def test_a_run_that_another_command_waits_with_comes_first(runs: Database, dead: tuple[int, float]) -> None:
    lease = busy(runs)
    left, first, second = (enqueue(runs, SHORT).id for _ in range(3))
    tracking.set_waiting_process(runs, left, *dead)
    place = place_in_queue(runs, tracking.get_run(runs, second))
    assert [run.id for run in place.training] == [lease.run_id]
    assert [run.id for run in place.waiting] == [left, first]
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as other:
        tracking.set_waiting_process(runs, first, other.pid, process_id.started(other.pid))
        asked: list[str] = []

        def interrupted() -> bool:
            asked.append(tracking.get_run(runs, second).status)
            if len(asked) == 3:
                tracking.end(runs, lease, Status.FINISHED)
            return len(asked) > 30

        assert train_in_turn(runs, tracking.get_run(runs, second), silent, interrupted) is Status.QUEUED
        other.kill()
    status = train_in_turn(runs, tracking.get_run(runs, second), silent, lambda: False)
    assert status is Status.FINISHED, "the command before it is gone, and nobody else waits with the others"


def test_now_trains_beside_the_other_on_the_cpu(runs: Database, capsys: Out) -> None:
    lease = busy(runs)
    run = enqueue(runs, SHORT).id
    assert main(["train", "--resume", str(run), "--now"]) == 0
    assert capsys.readouterr().out.startswith(f"Run {run} finished")
    assert tracking.get_run(runs, lease.run_id).status is Status.RUNNING
    assert tracking.get_run(runs, run).device == "cpu"


def test_now_is_for_the_cpu_only(runs: Database) -> None:
    run = tracking.create_run(runs, {}, model="lenet5", dataset="digits", seed=0, device="cuda:0")
    with pytest.raises(ValueError, match="Only on the CPU"):
        train_in_turn(runs, run, silent, lambda: False, now=True)
    assert tracking.get_run(runs, run.id).status is Status.STOPPED


def test_a_place_in_the_queue_has_the_time_left(runs: Database) -> None:
    run = enqueue(runs, SHORT)
    others = tuple(enqueue(runs, SHORT) for _ in range(5))
    place = QueuePlace(others[:1], others[1:], 754.0)
    assert (
        place_text(run, place)
        == "behind runs 2, 3, 4 and 2 more on cpu, about 13 min left; Ctrl-C leaves it queued"
    )
    assert place_in_queue(runs, others[-1], timed=True).seconds is not None
    assert place_text(run, QueuePlace((), (), 0.0)) == "next; Ctrl-C leaves it queued"


def test_two_beside_each_other_have_names_of_their_own(runs: Database) -> None:
    busy(runs)
    beside = [enqueue(runs, SHORT).id for _ in range(2)]
    for run in beside:
        assert tracking.claim(runs, "cpu", only=run, beside=True) is not None
    assert [tracking.get_run(runs, run).device for run in beside] == ["cpu:1", "cpu:2"]
    for run in beside:
        tracking.end(runs, tracking.get_run(runs, run).lease, Status.INTERRUPTED)
    assert [tracking.get_run(runs, run).device for run in beside] == ["cpu", "cpu"]
    assert tracking.get_run(runs, beside[0]).host == socket.gethostname()


def test_the_bar_tells_places_a_line_each(capsys: Out) -> None:
    from cnnviz.datasets import Step

    with Bar() as bar:
        for text in ("Run 2 waits, next", "Run 2 waits, next", "Training"):
            bar(Step(text, 0, None, ""))
    assert capsys.readouterr().err == "Run 2 waits, next …\nTraining …\n"
