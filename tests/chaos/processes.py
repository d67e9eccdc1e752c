"""Chaos with real processes: workers, their parents and supervisors are killed at random under small runs.

    python -m tests.chaos.processes --seconds 600 --runs 6

Two supervisors share a database, as an app and `cnnviz work` do; whatever is killed is started again, and
what was interrupted is resumed, as a person would. Each run must end with the bits of its twin, which was
trained in one go. Checkpoints are written often, so that there is something to be interrupted.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from cnnviz import tracking
from cnnviz.tracking import ACTIVE, Command, Database, Status
from cnnviz.training import Recipe
from cnnviz.training.queue import enqueue
from tests.training.workers.making import until
from tests.training.workers.test_soak import at_one_go, checkpoints, rows

ROOT = Path(__file__).parents[2]
RECIPE = Recipe(dataset="digits", limit=640, epochs=12, batch_size=16, device="cpu", pad_crop=2, lr=0.02)
SUPERVISORS = 2
LONGEST_PAUSE = 3.0
"""Seconds between two failures, at most."""
END_SECONDS = 600.0
"""How long the runs may take once nothing fails any more."""


def supervise() -> None:
    """Be a supervisor until the process is killed."""
    from cnnviz.training.workers import LocalLauncher, Supervisor
    from tests.training.workers.test_soak import MORTAL

    Supervisor(launcher=LocalLauncher(MORTAL)).start()
    threading.Event().wait()


class Machine:
    """The processes of a machine, and what happens to them."""

    def __init__(self, database: Database, dice: random.Random) -> None:
        self._database, self._dice = database, dice
        self._supervisors: list[subprocess.Popen[bytes]] = []
        self.failures: dict[str, int] = {}

    def keep_up(self) -> None:
        """Start supervisors in place of those that are gone, and resume what was interrupted."""
        self._supervisors = [each for each in self._supervisors if each.poll() is None]
        while len(self._supervisors) < SUPERVISORS:
            command = [sys.executable, "-c", "from tests.chaos.processes import supervise; supervise()"]
            self._supervisors.append(
                subprocess.Popen(command, cwd=ROOT, start_new_session=True, stderr=subprocess.DEVNULL)
            )
        ended = tracking.list_runs(self._database, metrics=[])
        for run in ended:
            assert run.status is not Status.FAILED, f"run {run.id} failed: {run.error}"
            if run.status in (Status.INTERRUPTED, Status.PAUSED):
                with suppress(tracking.WrongStateError):
                    tracking.request(self._database, run.id, Command.RESUME)

    def fail(self) -> None:
        """One failure, if there is anything that can fail."""
        kinds: dict[str, Callable[[], bool]] = {
            "worker": self._kill_worker, "parent": self._kill_parent, "supervisor": self._kill_supervisor,
            "pause": self._pause,
        }  # fmt: skip
        kind = self._dice.choice(("worker", "worker", *kinds))
        if kinds[kind]():
            self.failures[kind] = self.failures.get(kind, 0) + 1

    def close(self) -> None:
        """End everything."""
        for each in self._supervisors:
            each.kill()
            each.wait()
        for run in tracking.list_runs(self._database, statuses=ACTIVE, metrics=[]):
            if run.worker_pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(run.worker_pid, signal.SIGKILL)

    def _workers(self) -> list[int]:
        running = tracking.list_runs(self._database, statuses=[Status.RUNNING], metrics=[])
        return [run.worker_pid for run in running if run.worker_pid is not None]

    def _kill_worker(self) -> bool:
        return self._kill(self._workers())

    def _kill_parent(self) -> bool:
        with suppress(psutil.NoSuchProcess):
            return self._kill([psutil.Process(pid).ppid() for pid in self._workers()])
        return False

    def _kill_supervisor(self) -> bool:
        return self._kill([each.pid for each in self._supervisors])

    def _kill(self, pids: list[int]) -> bool:
        pids = [pid for pid in pids if pid > 1]
        if not pids:
            return False
        with suppress(ProcessLookupError):
            os.kill(self._dice.choice(pids), self._dice.choice((signal.SIGKILL, signal.SIGTERM)))
        return True

    def _pause(self) -> bool:
        running = tracking.list_runs(self._database, statuses=[Status.RUNNING], metrics=[])
        for run in running[:1]:
            with suppress(tracking.WrongStateError):
                tracking.request(self._database, run.id, Command.PAUSE)
        return bool(running)


def chaos(runs: int, seed: int, seconds: float, failures: int | None = None) -> dict[str, int]:
    """Train so many runs while things fail for so long, or until so many did; check that all are as twins.

    Returns how often what failed. Works in the `CNNVIZ_HOME` that is set.
    """
    dice, pause = random.Random(seed), threading.Event()
    with tracking.connect() as database:
        recipes = [RECIPE.changed({"seed": number}) for number in range(runs)]
        twins = [at_one_go(database, recipe) for recipe in recipes]
        numbers = [enqueue(database, recipe).id for recipe in recipes]
        machine, ends = Machine(database, dice), time.monotonic() + seconds

        def finished() -> bool:
            machine.keep_up()
            return all(tracking.get_run(database, number).status is Status.FINISHED for number in numbers)

        try:
            while time.monotonic() < ends and not finished():
                pause.wait(dice.uniform(0.0, LONGEST_PAUSE))
                if failures is not None and sum(machine.failures.values()) >= failures:
                    break
                machine.fail()
            until(finished, "every run has ended", END_SECONDS)
        finally:
            machine.close()
        for number, whole in zip(numbers, twins, strict=True):
            assert rows(database, number) == rows(database, whole), f"run {number} is not its twin"
            assert checkpoints(database, number) == checkpoints(database, whole), f"run {number}: checkpoint"
            changes = [change.new for change in tracking.history(database, number)]
            assert changes.count(Status.FINISHED) == 1, f"run {number} ended twice"
    return machine.failures


def main() -> None:
    """Rounds until the time is over."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--runs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    ends, seed = time.monotonic() + given.seconds, given.seed
    while seed == given.seed or time.monotonic() < ends:
        with tempfile.TemporaryDirectory(prefix="cnnviz-chaos-") as folder:
            os.environ["CNNVIZ_HOME"] = folder
            failures = chaos(given.runs, seed, max(0.0, ends - time.monotonic()))
        print(f"round with seed {seed}: {given.runs} runs as their twins; {failures}", flush=True)
        seed += 1


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
