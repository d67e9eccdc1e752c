"""The app ends, one way or another: workers with a run go on, those without end with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from cnnviz import tracking
from cnnviz.cli.asking import NO_SUPERVISOR
from cnnviz.tracking import Command, Database, Status
from cnnviz.training import Recipe
from cnnviz.training.queue import enqueue
from cnnviz.training.supervisor import supervised
from tests.training.supervisor.making import SOON, become, gone, process_of, queue, supervising, until
from tests.training.supervisor.mortal_worker import FATE, FULL
from tests.training.supervisor.test_soak import MORTAL

ROOT = Path(__file__).parents[3]


@contextmanager
def process(*module: str) -> Iterator[subprocess.Popen[bytes]]:
    """A Python module in a process group of its own, as a shell starts it."""
    with subprocess.Popen(
        [sys.executable, "-m", *module], cwd=ROOT, process_group=0, stderr=subprocess.DEVNULL
    ) as app:
        try:
            yield app
        finally:
            app.kill()


def spare_of(app: subprocess.Popen[bytes], run: int, database: Database) -> psutil.Process:
    """The worker that waits for work."""
    busy = process_of(database, run).pid
    found: list[psutil.Process] = []

    def find() -> bool:
        keepers = psutil.Process(app.pid).children()
        found[:] = [worker for keeper in keepers for worker in keeper.children() if worker.pid != busy]
        return bool(found)

    until(find, "there is a worker to spare")
    return found[0]


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_however_the_app_ends_a_run_goes_on_and_the_spare_worker_ends(
    database: Database, end: signal.Signals
) -> None:
    run = queue(database, "train")
    with process("tests.training.supervisor.light_app") as app:
        become(database, run, Status.RUNNING)
        spare = spare_of(app, run, database).pid
        os.killpg(app.pid, end)
        app.wait(SOON)
    until(lambda: gone(spare), "the spare worker has ended")
    assert not supervised(database)
    worker, step = process_of(database, run).pid, tracking.get_run(database, run).step
    until(lambda: tracking.get_run(database, run).step > step, "it trains on")
    with supervising(database):
        tracking.request(database, run, Command.PAUSE)
        become(database, run, Status.PAUSED)
    until(lambda: gone(worker), "its worker has left")


def test_the_real_worker_with_broken_data_and_with_a_full_disk(database: Database, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    for label in "ab":
        (pictures / label).mkdir(parents=True)
        for number in range(4):
            (pictures / label / f"{number}.png").write_bytes(b"no picture at all")
    broken = enqueue(database, Recipe(dataset=str(pictures), epochs=1, device="cpu")).id
    filled = enqueue(database, Recipe(dataset="digits", limit=200, batch_size=50, epochs=2, device="cpu"))
    folder = tracking.run_folder(filled.id, filled.key)
    folder.mkdir(parents=True)
    with supervising(database, MORTAL):
        ended = become(database, broken, Status.FAILED)
        assert ended.error is not None
        assert "0.png" in ended.error
        assert "\n" not in ended.error
        (folder.parents[1] / FATE).write_text(FULL)
        paused = become(database, filled.id, Status.PAUSED)
        assert paused.error is not None
        assert paused.error.startswith("The disk is full")
        assert not list(folder.glob(".*"))
        tracking.request(database, filled.id, Command.RESUME)
        become(database, filled.id, Status.FINISHED)


def test_the_command_line_supervises_until_ctrl_c(
    database: Database, capfd: pytest.CaptureFixture[str]
) -> None:
    from cnnviz.cli.app import main

    run = queue(database, "train")
    assert main(["runs", "pause", str(run)]) == 0
    assert main(["runs", "resume", str(run)]) == 0
    assert capfd.readouterr().out == f"Run {run} is paused.\nRun {run} is queued.\n{NO_SUPERVISOR}\n"
    assert main(["runs", "stop", str(run)]) == 0
    with process("cnnviz", "work") as app:
        until(lambda: supervised(database), "it is at work")
        assert main(["runs", "resume", str(run), "--json"]) == 0
        become(database, run, Status.FAILED)  # The real worker cannot read a recipe of the light one.
        app.send_signal(signal.SIGINT)
        assert app.wait(SOON) == 0
    assert '"supervised": true' in capfd.readouterr().out
    assert not supervised(database)
