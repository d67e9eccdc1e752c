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
from cnnviz.cli import main
from cnnviz.cli.foreground import NO_SUPERVISOR
from cnnviz.tracking import Command, Database, Status
from cnnviz.training.workers import LocalLauncher, is_supervised, launcher
from tests.training.workers.making import SOON, become, gone, process_of, queue, supervising, until

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


def spare_of(app: subprocess.Popen[bytes]) -> int:
    """The worker that waits for work."""
    found: list[int] = []

    def find() -> bool:
        found[:] = [one.pid for parent in psutil.Process(app.pid).children() for one in parent.children()]
        return bool(found)

    until(find, "there is a worker to spare")
    return found[0]


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("earlier", [False, True], ids=["of its own", "that had a run"])
def test_however_the_app_ends_a_worker_without_a_run_ends(
    database: Database, end: signal.Signals, earlier: bool
) -> None:
    with process("tests.training.workers.light_app") as app:
        spare = spare_of(app)
        if earlier:
            become(database, queue(database, "finish"), Status.FINISHED)
        os.killpg(app.pid, end)
        app.wait(SOON)
    until(lambda: gone(spare), "the spare worker has ended")


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_however_the_app_ends_a_run_goes_on_and_its_worker_ends_after_it(
    database: Database, end: signal.Signals
) -> None:
    run = queue(database, "train")
    with process("tests.training.workers.light_app") as app:
        become(database, run, Status.RUNNING)
        os.killpg(app.pid, end)
        app.wait(SOON)
    until(lambda: not is_supervised(database), "nobody supervises")
    worker, step = process_of(database, run).pid, tracking.get_run(database, run).step
    until(lambda: tracking.get_run(database, run).step > step, "it trains on")
    with supervising(database):
        tracking.request(database, run, Command.PAUSE)
        become(database, run, Status.PAUSED)
    until(lambda: gone(worker), "its worker has left")


def test_the_command_line_supervises_until_ctrl_c(
    database: Database, capfd: pytest.CaptureFixture[str]
) -> None:
    run = queue(database, "train", "cuda:7")
    assert main(["runs", "pause", str(run)]) == 0
    assert main(["runs", "resume", str(run)]) == 0
    assert capfd.readouterr().out == f"Run {run} is paused.\nRun {run} is queued.\n{NO_SUPERVISOR}\n"
    assert main(["runs", "stop", str(run)]) == 0
    with process("cnnviz", "work") as app:
        until(lambda: is_supervised(database), "it is at work")
        assert main(["runs", "resume", str(run), "--json"]) == 0
        app.send_signal(signal.SIGINT)
        assert app.wait(SOON) == 0
    assert '"supervised": true' in capfd.readouterr().out
    assert not is_supervised(database)
    assert tracking.get_run(database, run).status is Status.QUEUED


def test_where_no_worker_can_live_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "POSIX", False)
    with pytest.raises(OSError, match=r"^Training needs .* native Windows has none\.$"):
        LocalLauncher().worker()


def test_signals_that_windows_lacks_are_no_obstacle() -> None:
    """The module is read where there is neither SIGKILL nor SIGHUP."""
    script = "import signal; del signal.SIGKILL, signal.SIGHUP; import cnnviz.training.workers.launcher"
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)
