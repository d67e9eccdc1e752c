"""Looking after runs that have a worker: is it there, does it live, and if not, how did it end?

Any number of supervisors may look after one run: they find the same, and only the first record of an end is
taken.
"""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass, field

from cnnviz import tracking
from cnnviz.tracking import Command, Database, Lease, RunSummary, Status
from cnnviz.training.supervisor.launcher import Launcher

NO_WORKER_SECONDS = 60.0
"""After this long without a process a claimed run has none coming: its supervisor died in between."""
KEEPER_SECONDS = 2.0
"""How long the keeper of a dead worker may take to write down how it ended."""
LONG_DEAD_SECONDS = 10.0
"""A dead worker that was silent for this long died so long ago that its keeper would have written."""
SILENT_SECONDS = 30.0
"""A worker that was asked to stop and has given no sign of life for this long is killed."""
ELSEWHERE_SECONDS = 600.0
"""A run on another machine is that machine's affair, until it was not heard of for this long."""

_WISHES = {Command.STOP: Status.STOPPED, Command.PAUSE: Status.PAUSED}


@dataclass
class Watch:
    """What is remembered of runs between two looks; another supervisor would come to know the same."""

    database: Database
    launcher: Launcher
    host: str = field(default_factory=socket.gethostname)
    one_look: bool = False
    """For whoever looks once and goes: nobody is killed, and no second look is needed for the long dead."""
    _missed: dict[Lease, float] = field(default_factory=dict)
    _killed: dict[Lease, Status] = field(default_factory=dict)

    def look(self, runs: list[RunSummary]) -> None:
        """Look after all runs that have a worker; raises `TrackingError`."""
        leases = {run.lease for run in runs}
        self._missed = {lease: since for lease, since in self._missed.items() if lease in leases}
        self._killed = {lease: wish for lease, wish in self._killed.items() if lease in leases}
        for run in runs:
            self._look_at(run, time.time() - (run.heartbeat or run.queued))

    def _look_at(self, run: RunSummary, silent: float) -> None:
        if run.host != self.host:
            if silent > ELSEWHERE_SECONDS:
                self._end(run, Status.INTERRUPTED, f"Nothing was heard of {run.host}, where it trained.")
        elif run.worker_pid is None:
            if silent > NO_WORKER_SECONDS:
                self._end(run, Status.INTERRUPTED, "No worker came for it.")
        elif not self.launcher.lives(run):
            self._bury(run, silent)
        elif not self.one_look:
            self._insist(run, silent)

    def _bury(self, run: RunSummary, silent: float) -> None:
        """Record how a worker ended that said nothing of it."""
        ending = self.launcher.ending(run)
        since = self._missed.setdefault(run.lease, time.monotonic())
        wish = self._killed.get(run.lease)
        if wish is None and run.status is Status.STOPPING:
            wish = Status.STOPPED
        if ending is not None:
            self._end(run, wish or ending.status, ending.sentence, ending.last_lines)
            self.launcher.forget(run)
        elif time.monotonic() - since > KEEPER_SECONDS or (self.one_look and silent > LONG_DEAD_SECONDS):
            self._end(run, wish or Status.INTERRUPTED, "Its worker ended, and nobody saw how.")

    def _insist(self, run: RunSummary, silent: float) -> None:
        """End a worker that cannot hear what was asked: one that prepares its data, or hangs."""
        if run.status is Status.STARTING:
            asked = tracking.pending(self.database, run.id)
        elif run.status is Status.STOPPING and silent > SILENT_SECONDS:
            asked = Command.STOP
        else:
            return
        if asked is None:
            return
        now = tracking.get_run(self.database, run.id)
        if (now.lease, now.status) == (run.lease, run.status):  # or its process may have another run already
            self._killed[run.lease] = _WISHES[asked]
            self.launcher.kill(run)

    def _end(self, run: RunSummary, status: Status, sentence: str, last_lines: str | None = None) -> None:
        wished = run.lease in self._killed
        try:
            tracking.end(self.database, run.lease, status, None if wished else sentence, last_lines)
        except tracking.StaleAttemptError:
            return  # Its worker, or another supervisor, was quicker.
