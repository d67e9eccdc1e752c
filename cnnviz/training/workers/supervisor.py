"""Supervisor: a thread that assigns queued runs to workers and monitors active runs."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Collection, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace

from cnnviz import tracking
from cnnviz.device_class import MAX_RANKS, choose, cpu_slots, gpus, is_gpu, ranks, split
from cnnviz.models.user_code.registration import known_digests
from cnnviz.tracking import ACTIVE, Command, Database, Lease, RunSummary, Status, commands
from cnnviz.tracking.queue import (
    ALLOWS_CODE,
    BEAT_SECONDS,
    CODE,
    GONE_SECONDS,
    RANKS_PER_SLOT,
    STORE,
    Machine,
    new_key,
    register_machine,
    unregister_machine,
)
from cnnviz.tracking.store import Store, open_store
from cnnviz.training import travel
from cnnviz.training.workers import process_id
from cnnviz.training.workers.launcher import Launcher, LocalLauncher, Order

# Monitoring of active runs: is the worker alive, and if not, how did it end?
#
# Several supervisors may monitor the same run: they come to the same result, and only the first record of an
# end is accepted.

NO_WORKER_SECONDS = 60.0
"""Timeout of a claimed run without a worker process: its supervisor died in between, and it is requeued."""
PARENT_SECONDS = 2.0
"""Maximum time in which the parent process of a dead worker writes how it ended."""
LONG_DEAD_SECONDS = 10.0
"""Silence after which the parent process of a dead worker would have written already."""
SILENT_SECONDS = 30.0
"""Silence after which a worker that was asked to stop is killed."""
ELSEWHERE_SECONDS = 600.0
"""Silence of a run on another machine after which it is no longer left to that machine."""

_WISHES = {Command.STOP: Status.STOPPED, Command.PAUSE: Status.PAUSED}


@dataclass
class RunMonitor:
    """Monitor of active runs: state between two checks, which another supervisor could rebuild."""

    database: Database
    launcher: Launcher
    host: str = field(default_factory=socket.gethostname)
    single_check: bool = False
    """Single check: nothing is killed, and long-dead workers need no second check."""
    store: bool = False
    """Whether checkpoints are in a store, so that a run can resume without its machine."""
    _missed: dict[Lease, float] = field(default_factory=dict)
    _killed: dict[Lease, Status] = field(default_factory=dict)

    def look(self, runs: list[RunSummary]) -> None:
        """Check all active runs; raise `TrackingError`."""
        leases = {run.lease for run in runs}
        self._missed = {lease: since for lease, since in self._missed.items() if lease in leases}
        self._killed = {lease: requested for lease, requested in self._killed.items() if lease in leases}
        for run in runs:
            self._check_run(run, time.time() - (run.heartbeat or run.queued))

    def _check_run(self, run: RunSummary, silent: float) -> None:
        if run.host != self.host:
            self._check_remote(run, silent)
        elif not run.trained:
            self._check_external(run, silent)
        elif run.worker is None:
            if silent > NO_WORKER_SECONDS:
                self._requeue(run, "No worker came for it.", here=True)
        elif not self.launcher.is_alive(run):
            self._record_death(run, silent)
        elif not self.single_check:
            self._kill_unresponsive(run, silent)

    def _check_remote(self, run: RunSummary, silent: float) -> None:
        """Check a run of another machine, unless a supervisor is active there."""
        if silent <= GONE_SECONDS:
            return
        if any(machine.host == run.host for machine in tracking.machines(self.database)):
            return
        reason = f"Nothing was heard of {run.host}, where it trained."
        # A starting run that has a worker may be downloading its data, without heartbeats.
        long = silent > ELSEWHERE_SECONDS
        if not run.trained:
            if long:
                self._end(run, Status.INTERRUPTED, reason)
        elif self.store and (long or run.worker is None or run.status is not Status.STARTING):
            self._requeue(run, reason)
        elif long:  # Without a store it waits for the machine that has its checkpoint.
            self._requeue(run, reason, here=True)

    def _requeue(self, run: RunSummary, reason: str, *, here: bool = False) -> None:
        try:
            status = tracking.requeue_lost(self.database, run.lease, reason, here=here)
        except tracking.StaleAttemptError:
            return
        log.warning("Run %d is %s. %s", run.id, status, reason)

    def _check_external(self, run: RunSummary, silent: float) -> None:
        """Record that a watched run's process has ended; it is never killed."""
        if run.worker_pid is None or run.worker_started is None:
            gone = silent > NO_WORKER_SECONDS
        else:
            gone = not process_id.is_alive(run.worker_pid, run.worker_started)
        if gone:
            self._end(run, Status.INTERRUPTED, "Its process ended without finishing the run.")

    def _record_death(self, run: RunSummary, silent: float) -> None:
        """Record how a worker ended that did not report it."""
        ending = self.launcher.ending(run)
        since = self._missed.setdefault(run.lease, time.monotonic())
        requested = self._killed.get(run.lease)
        if requested is None and run.status is Status.STOPPING:
            requested = Status.STOPPED
        if ending is not None:
            if ending.lost_database and requested is None:
                self._requeue(run, ending.sentence, here=True)
            else:
                self._end(run, requested or ending.status, ending.sentence, ending.last_lines)
            self.launcher.forget(run)
        elif self.launcher.is_remote:
            # Another supervisor may check before the cluster knows the worker.
            if time.monotonic() - since > PARENT_SECONDS and (requested or silent > LONG_DEAD_SECONDS):
                self._record_lost(run, requested)
        elif time.monotonic() - since > PARENT_SECONDS or (self.single_check and silent > LONG_DEAD_SECONDS):
            reason = "Its worker ended, and nobody saw how."
            # Its parent process has ended too, or it never got its order: the machine restarted, or the app
            # ended just then. A process in the foreground (`cnnviz train`) was ended by whoever started it.
            if requested is None and (run.worker or {}).get("launched"):
                self._requeue(run, reason, here=True)
            else:
                self._end(run, requested or Status.INTERRUPTED, reason)

    def _record_lost(self, run: RunSummary, requested: Status | None) -> None:
        """Record that the cluster has lost a run's worker; the run is requeued."""
        if requested is not None:
            self._end(run, requested, "Its worker was ended.")
        else:
            node = (run.worker or {}).get("node") or "A node"
            self._requeue(run, f"{node} of {run.host}, where it trained, is gone.")
        self.launcher.forget(run)

    def _kill_unresponsive(self, run: RunSummary, silent: float) -> None:
        """Kill a worker that does not react to a command because it prepares data, or hangs."""
        if run.status is Status.STARTING:
            command = tracking.pending(self.database, run.id)
        elif run.status is Status.STOPPING and silent > SILENT_SECONDS:
            command = Command.STOP
        else:
            return
        if command is None:
            return
        current = tracking.get_run(self.database, run.id)
        # Otherwise its process may have another run already.
        if (current.lease, current.status) == (run.lease, run.status):
            self._killed[run.lease] = _WISHES[command]
            self.launcher.kill(run)

    def _end(self, run: RunSummary, status: Status, sentence: str, last_lines: str | None = None) -> None:
        was_killed = run.lease in self._killed
        try:
            tracking.end(self.database, run.lease, status, None if was_killed else sentence, last_lines)
        except tracking.StaleAttemptError:
            return  # Its worker, or another supervisor, was faster.


TICK_SECONDS = 1.0
"""Polling interval; commands of its own process wake it at once."""
LONGEST_PAUSE = 5.0
"""Maximum seconds between attempts while the database is unavailable."""
STOP_SECONDS = 5.0

log = logging.getLogger(__name__)


class Supervisor:
    """Supervises the runs of a database on this machine until it is stopped.

    All state is in the database and in the runs' folders: several may supervise one database, and a later one
    takes over the runs of an earlier one.

    Args:
        address: Address of the database; by default as in `tracking.connect`.
        launcher: Launcher of workers; this machine by default.
        tick: Polling interval in seconds.
        devices: Only these devices of the machine; all by default.
        allow_code: Train users' code of any content, not only the code that this process was started with.
    """

    def __init__(
        self,
        address: str | None = None,
        launcher: Launcher | None = None,
        tick: float = TICK_SECONDS,
        *,
        devices: Collection[str] | None = None,
        allow_code: bool = False,
    ) -> None:
        self._address, self._launcher, self._tick = address, launcher or LocalLauncher(), tick
        self._host, self._ranks_per_slot = "", MAX_RANKS
        self._devices = None if devices is None else frozenset(devices)
        self._store: Store | None = None
        facts = {ALLOWS_CODE: allow_code, CODE: [], STORE: False}
        self._machine = Machine(new_key(), "", type(self._launcher).__name__, (), facts, time.time())
        self._announced = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)
        self._database: Database | None = None
        self._watch: RunMonitor | None = None
        self._trouble: str | None = None
        self._pause = tick

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread and the idle worker. Active runs continue."""
        self._stopping.set()
        commands.notify()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        with ExitStack() as stack:
            stack.callback(self._launcher.close)
            while not self._stopping.is_set():
                heard = commands.notification_count()
                try:
                    if self._database is None:
                        self._store = open_store()
                        self._database = stack.enter_context(tracking.connect(self._address))
                        stack.enter_context(process_id.registered_supervisor(self._database))
                        stack.callback(self._leave, self._database)
                    self._look(self._database)
                except Exception as error:  # Supervision must continue after any error.
                    self._stopping.wait(self._complain(error))
                else:
                    self._clear_trouble()
                    commands.wait(heard, self._tick)

    def _look(self, database: Database) -> None:
        with_store = self._store is not None
        self._host = self._launcher.host()
        self._ranks_per_slot = self._launcher.ranks_per_slot()
        self._watch = self._watch or RunMonitor(database, self._launcher, self._host, store=with_store)
        runs = tracking.list_runs(database, statuses=ACTIVE, metrics=[])
        self._watch.look(runs)
        own_runs = [run for run in runs if run.host == self._host and run.trained]
        in_use = {name for run in own_runs for name in split(run.device)}
        all_devices = self._allowed(self._launcher.all_devices())
        self._announce(database, all_devices)
        waiting = tracking.waiting_classes(database, self._host, anywhere=with_store)
        self._launcher.maintain(self._wanted(waiting, all_devices) - in_use)
        free = self._allowed(self._launcher.devices()) - in_use
        free = free - self._reserved(waiting, free, all_devices)
        # The class of the oldest queued run comes first; classes served by the same devices count as one.
        while waiting and free:
            chosen = {name: self._choose(name, free, all_devices) for name in waiting}
            first = min((name for name in waiting if chosen[name]), key=waiting.__getitem__, default=None)
            if first is None:
                break
            devices = chosen[first] or ()
            if self._begin(database, devices, [name for name in waiting if chosen[name] == devices]):
                free = free - set(devices)
                if self._launcher.is_remote:
                    continue  # Another run of the same class may get the next device; a worker is free.
            waiting = {name: since for name, since in waiting.items() if chosen[name] != devices}

    def _reserved(
        self, waiting: dict[str, float], free: frozenset[str], all_devices: frozenset[str]
    ) -> frozenset[str]:
        """Return the GPUs, or CPU slots, kept free because the oldest queued run needs several of them."""
        able = [name for name in waiting if self._choose(name, all_devices)]
        oldest = min(able, key=waiting.__getitem__, default="")
        if ranks(oldest) == 1 or self._choose(oldest, free, all_devices) is not None:
            return frozenset()
        return frozenset(gpus(all_devices) if is_gpu(oldest) else cpu_slots(all_devices))

    def _choose(
        self, device_class: str, free: frozenset[str], every: frozenset[str] | None = None
    ) -> tuple[str, ...] | None:
        return choose(device_class, free, every, self._ranks_per_slot)

    def _leave(self, database: Database) -> None:
        with suppress(tracking.TrackingError):
            unregister_machine(database, self._machine.key)

    def _allowed(self, devices: frozenset[str]) -> frozenset[str]:
        return devices if self._devices is None else devices & self._devices

    def _wanted(self, waiting: dict[str, float], all_devices: frozenset[str]) -> frozenset[str]:
        """Return the devices that runs wait for; for a class without a known device, the class itself."""
        wanted: set[str] = set()
        for name in waiting:
            wanted.update(self._choose(name, all_devices) or (name,))
        return frozenset(wanted)

    def _announce(self, database: Database, all_devices: frozenset[str]) -> None:
        """Refresh this machine's row periodically, and at once if its devices or code have changed.

        As often, runs pause whose owners have used up their minutes.
        """
        devices, code = tuple(sorted(all_devices)), known_digests()
        if code != self._machine.facts[CODE]:
            self._announced = 0.0
        recent = self._announced and time.monotonic() - self._announced < BEAT_SECONDS
        if devices == self._machine.devices and recent:
            return
        with_store = self._store is not None
        updates = {CODE: code, RANKS_PER_SLOT: self._ranks_per_slot, STORE: with_store}
        facts = {**self._machine.facts, **updates}
        self._machine = replace(self._machine, host=self._host, devices=devices, facts=facts)
        register_machine(database, self._machine)
        for run_id in tracking.pause_over_limit(database):
            log.info("Run %d pauses: its owner has used up today's minutes of training.", run_id)
        self._announced = time.monotonic()

    def _begin(self, database: Database, devices: tuple[str, ...], classes: Sequence[str]) -> bool:
        """Start a run of these classes, if there is one; return whether there was.

        The worker is obtained first: a claimed run without a worker would have to be given up.
        """
        worker = self._launcher.worker()
        device = ",".join(devices)
        lease = tracking.claim(
            database,
            device,
            self._host,
            classes=classes,
            accepts=self._accepts,
            anywhere=self._store is not None,
        )
        if lease is None:
            return False
        run = tracking.get_run(database, lease.run_id)
        tracking.attach(database, lease, worker=worker.handle(run))
        folder = tracking.run_folder(run.id, run.key)
        address = database.url.render_as_string(hide_password=False)
        worker.send_order(Order(lease.run_id, lease.attempt, address, str(folder)), device)
        log.info("Run %d trains on %s.", run.id, device)
        return True

    def _accepts(self, candidate: tracking.Candidate) -> bool:
        """Return whether this machine meets a run's requirements: data, and users' code."""
        return self._machine.runs_code(candidate.recipe.get("code")) and travel.is_data_available(
            candidate, self._store is not None
        )

    def _complain(self, error: Exception) -> float:
        """Log a new problem once, and return the seconds until the next attempt."""
        message = f"{type(error).__name__}: {error}"
        if message != self._trouble:
            expected = isinstance(error, tracking.TrackingError | OSError)
            log.warning(
                "Runs are not supervised for the moment. %s", error, exc_info=None if expected else error
            )
        self._trouble, self._pause = message, min(2 * self._pause, LONGEST_PAUSE)
        return self._pause

    def _clear_trouble(self) -> None:
        if self._trouble is not None:
            log.warning("Runs are supervised again.")
        self._trouble, self._pause = None, self._tick


# Reconciliation of the run database with the processes of this machine.
#
# A supervisor does so continuously; a command or a page does it once before it reads a run or sends a
# command, so that a run whose process was killed becomes `interrupted` even without a supervisor.

LOOK_SECONDS = 0.1


def reconcile(database: Database, wait: bool = True) -> list[int]:
    """Record the end of every run of this machine whose worker is dead; return the runs' ids.

    Args:
        database: The run database.
        wait: Wait up to `PARENT_SECONDS` for the parent process of a worker that has just died to write how
            it ended; otherwise such a run is left to the next check.

    Raises:
        TrackingError: The database cannot be read or written.
    """
    watch = RunMonitor(database, LocalLauncher(), single_check=True)
    active = before = _active(database)
    deadline = time.monotonic() + PARENT_SECONDS + 1.0
    while active:
        watch.look(active)
        active = _active(database)
        if not wait or time.monotonic() > deadline or not any(_dead(run, watch.host) for run in active):
            break
        time.sleep(LOOK_SECONDS)
    still_active = {run.id for run in active}
    return [run.id for run in before if run.id not in still_active]


def has_waiting_process(run: RunSummary, host: str) -> bool:
    """Return whether a process of this machine waits for the queued run's turn, to train it itself."""
    is_local = run.host in (None, host)
    return (
        is_local
        and run.worker_pid is not None
        and run.worker_started is not None
        and process_id.is_alive(run.worker_pid, run.worker_started)
    )


def _active(database: Database) -> list[RunSummary]:
    return tracking.list_runs(database, statuses=ACTIVE, metrics=[])


def _dead(run: RunSummary, host: str) -> bool:
    return run.host == host and run.worker_pid is not None and not LocalLauncher().is_alive(run)
