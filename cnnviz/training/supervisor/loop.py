"""The supervisor: a thread that gives runs that wait to workers, and looks after those that have one."""

from __future__ import annotations

import logging
import socket
import threading
from contextlib import ExitStack

from cnnviz import tracking
from cnnviz.tracking import ACTIVE, Database, bell
from cnnviz.training.supervisor import presence
from cnnviz.training.supervisor.launcher import Launcher, Order
from cnnviz.training.supervisor.local import LocalLauncher
from cnnviz.training.supervisor.watch import Watch

TICK_SECONDS = 1.0
"""How often it looks; what is asked for in its own process it hears at once."""
LONGEST_PAUSE = 5.0
"""Seconds between attempts while the database cannot be used."""
STOP_SECONDS = 5.0

log = logging.getLogger(__name__)


class Supervisor:
    """Supervises the runs of a database on this machine, until it is stopped.

    All it knows lies in the database and in the runs' folders: several may supervise one database, and one
    that is started later finds what an earlier one has started.

    Args:
        address: The database's; by default as `tracking.connect` chooses.
        launcher: Where workers come from; this machine by default.
        tick: Seconds between two looks.
    """

    def __init__(
        self, address: str | None = None, launcher: Launcher | None = None, tick: float = TICK_SECONDS
    ) -> None:
        self._address, self._launcher, self._tick = address, launcher or LocalLauncher(), tick
        self._host = socket.gethostname()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)
        self._database: Database | None = None
        self._watch: Watch | None = None
        self._trouble: str | None = None
        self._pause = tick

    def start(self) -> None:
        """Begin, in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and the worker without work. Runs that train go on."""
        self._stopping.set()
        bell.ring()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        with ExitStack() as stack:
            stack.callback(self._launcher.close)
            while not self._stopping.is_set():
                heard = bell.rings()
                try:
                    if self._database is None:
                        self._database = stack.enter_context(tracking.connect(self._address))
                        stack.enter_context(presence.announced(self._database))
                    self._look(self._database)
                except Exception as error:  # whatever it is, runs must be looked after
                    self._stopping.wait(self._complain(error))
                else:
                    self._be_content()
                    bell.wait(heard, self._tick)

    def _look(self, database: Database) -> None:
        self._watch = self._watch or Watch(database, self._launcher, self._host)
        runs = tracking.list_runs(database, statuses=ACTIVE, metrics=[])
        self._watch.look(runs)
        taken = {run.device for run in runs if run.host == self._host}
        wanted = tracking.waiting_devices(database, self._host) - taken
        self._launcher.tend(wanted)
        for device in sorted(wanted & self._launcher.devices()):
            self._begin(database, device)

    def _begin(self, database: Database, device: str) -> None:
        """Have a worker first: a claimed run without one would have to be given up."""
        worker = self._launcher.worker()
        lease = tracking.claim(database, device, self._host)
        if lease is None:
            return
        run = tracking.get_run(database, lease.run_id)
        tracking.attach(database, lease, worker.pid, worker.started)
        folder = tracking.run_folder(run.id, run.key)
        address = database.url.render_as_string(hide_password=False)
        worker.hand_over(Order(lease.run_id, lease.attempt, address, str(folder)), device)
        log.info("Run %d trains on %s.", run.id, device)

    def _complain(self, error: Exception) -> float:
        """Say what is wrong, once, and return how long to leave it."""
        said = f"{type(error).__name__}: {error}"
        if said != self._trouble:
            expected = isinstance(error, tracking.TrackingError | OSError)
            log.warning(
                "Runs are not supervised for the moment. %s", error, exc_info=None if expected else error
            )
        self._trouble, self._pause = said, min(2 * self._pause, LONGEST_PAUSE)
        return self._pause

    def _be_content(self) -> None:
        if self._trouble is not None:
            log.warning("Runs are supervised again.")
        self._trouble, self._pause = None, self._tick
