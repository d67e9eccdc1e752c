"""Reconcile the run database with the processes of this machine, for whoever asks after a run.

A supervisor does so all the time; a command or a page does it once, before it reads or asks for anything, so
that a run whose process was killed is `interrupted` also where nobody supervises.
"""

from __future__ import annotations

import time

from cnnviz import tracking
from cnnviz.tracking import ACTIVE, Database, RunSummary
from cnnviz.training.supervisor import identity
from cnnviz.training.supervisor.local import LocalLauncher
from cnnviz.training.supervisor.watch import KEEPER_SECONDS, Watch

LOOK_SECONDS = 0.1


def reconcile(database: Database, wait: bool = True) -> list[int]:
    """Record the end of every run of this machine whose worker is dead, and return the runs' numbers.

    Args:
        database: The run database.
        wait: Give the keeper of a worker that died in this moment its time to write down how, up to
            `KEEPER_SECONDS`; otherwise such a run is left to the next look.

    Raises `TrackingError` where the database cannot be read or written.
    """
    watch = Watch(database, LocalLauncher(), one_look=True)
    found = before = _active(database)
    given_up = time.monotonic() + KEEPER_SECONDS + 1.0
    while found:
        watch.look(found)
        found = _active(database)
        if not wait or time.monotonic() > given_up or not any(_dead(run, watch.host) for run in found):
            break
        time.sleep(LOOK_SECONDS)
    still = {run.id for run in found}
    return [run.id for run in before if run.id not in still]


def attended(run: RunSummary, host: str) -> bool:
    """Whether a process of this machine waits for the queued run's turn, to train it itself."""
    here = run.host in (None, host)
    return (
        here
        and run.worker_pid is not None
        and run.worker_started is not None
        and identity.lives(run.worker_pid, run.worker_started)
    )


def _active(database: Database) -> list[RunSummary]:
    return tracking.list_runs(database, statuses=ACTIVE, metrics=[])


def _dead(run: RunSummary, host: str) -> bool:
    return run.host == host and run.worker_pid is not None and not LocalLauncher().lives(run)
