"""The supervisor: a thread that gives runs that wait to workers, and looks after those that have one."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Collection, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace

from cnnviz import tracking
from cnnviz.device_class import choose, gpus, ranks, split
from cnnviz.models.user_code.registration import known_digests
from cnnviz.tracking import ACTIVE, Command, Database, Lease, RunSummary, Status, commands
from cnnviz.tracking.machines import (
    ALLOWS_CODE,
    BEAT_SECONDS,
    CODE,
    GONE_SECONDS,
    STORE,
    TOGETHER,
    Machine,
    announce,
    fits,
    leave,
    new_key,
)
from cnnviz.tracking.store import Store, open_store
from cnnviz.training import travel
from cnnviz.training.workers import process_id
from cnnviz.training.workers.launcher import Launcher, Order
from cnnviz.training.workers.local import LocalLauncher

# Looking after runs that have a worker: is it there, does it live, and if not, how did it end?
#
# Any number of supervisors may look after one run: they find the same, and only the first record of an end is
# taken.

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
    store: bool = False
    """Whether checkpoints come from a store, so that a run goes on without the machine that it was on."""
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
            self._look_elsewhere(run, silent)
        elif not run.trained:
            self._look_at_foreign(run, silent)
        elif run.worker is None:
            if silent > NO_WORKER_SECONDS:
                self._end(run, Status.INTERRUPTED, "No worker came for it.")
        elif not self.launcher.lives(run):
            self._bury(run, silent)
        elif not self.one_look:
            self._insist(run, silent)

    def _look_elsewhere(self, run: RunSummary, silent: float) -> None:
        """Look after a run of another machine, unless a supervisor there does: that one knows better."""
        if silent <= GONE_SECONDS:
            return
        if any(machine.host == run.host for machine in tracking.machines(self.database)):
            return
        reason = f"Nothing was heard of {run.host}, where it trained."
        # One that is starting may be fetching its data, of which it gives no sign.
        long = silent > ELSEWHERE_SECONDS
        if run.trained and self.store and (long or run.status is not Status.STARTING):
            self._move_on(run, reason)
        elif long:
            self._end(run, Status.INTERRUPTED, reason)

    def _move_on(self, run: RunSummary, reason: str) -> None:
        try:
            status = tracking.move_on(self.database, run.lease, reason)
        except tracking.StaleAttemptError:
            return
        log.warning("Run %d is %s. %s", run.id, status, reason)

    def _look_at_foreign(self, run: RunSummary, silent: float) -> None:
        """Note that a watched run's process is gone; it is never killed, whatever was asked."""
        if run.worker_pid is None or run.worker_started is None:
            gone = silent > NO_WORKER_SECONDS
        else:
            gone = not process_id.lives(run.worker_pid, run.worker_started)
        if gone:
            self._end(run, Status.INTERRUPTED, "Its process ended without finishing the run.")

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
        elif self.launcher.elsewhere:
            # In the moments before its worker is known there, another supervisor may look.
            if time.monotonic() - since > KEEPER_SECONDS and (wish or silent > LONG_DEAD_SECONDS):
                self._clear_away(run, wish)
        elif time.monotonic() - since > KEEPER_SECONDS or (self.one_look and silent > LONG_DEAD_SECONDS):
            self._end(run, wish or Status.INTERRUPTED, "Its worker ended, and nobody saw how.")

    def _clear_away(self, run: RunSummary, wish: Status | None) -> None:
        """Record that a cluster has a run's worker no longer; on another node the run goes on."""
        if wish is not None:
            self._end(run, wish, "Its worker was ended.")
        else:
            node = (run.worker or {}).get("node") or "A node"
            self._move_on(run, f"{node} of {run.host}, where it trained, is gone.")
        self.launcher.forget(run)

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
        devices: Only these devices of the machine; all by default.
        allow_code: Train users' code of any content, not only what this process was started with.
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
        self._host = ""
        self._devices = None if devices is None else frozenset(devices)
        self._store: Store | None = None
        facts = {ALLOWS_CODE: allow_code, CODE: [], STORE: False}
        self._machine = Machine(new_key(), "", type(self._launcher).__name__, (), facts, time.time())
        self._announced = 0.0
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
        commands.ring()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        with ExitStack() as stack:
            stack.callback(self._launcher.close)
            while not self._stopping.is_set():
                heard = commands.rings()
                try:
                    if self._database is None:
                        self._store = open_store()
                        self._database = stack.enter_context(tracking.connect(self._address))
                        stack.enter_context(process_id.announced(self._database))
                        stack.callback(self._leave, self._database)
                    self._look(self._database)
                except Exception as error:  # whatever it is, runs must be looked after
                    self._stopping.wait(self._complain(error))
                else:
                    self._be_content()
                    commands.wait(heard, self._tick)

    def _look(self, database: Database) -> None:
        with_store = self._store is not None
        self._host = self._launcher.host()
        together = self._launcher.together()
        self._watch = self._watch or Watch(database, self._launcher, self._host, store=with_store)
        runs = tracking.list_runs(database, statuses=ACTIVE, metrics=[])
        self._watch.look(runs)
        mine = [run for run in runs if run.host == self._host and run.trained]
        taken = {name for run in mine for name in split(run.device)}
        every = self._allowed(self._launcher.every_device())
        self._announce(database, every, together)
        waiting = tracking.waiting_classes(database, self._host, anywhere=with_store)
        waiting = {name: since for name, since in waiting.items() if fits(name, together)}
        self._launcher.tend(self._wanted(waiting, every) - taken)
        free = self._allowed(self._launcher.devices()) - taken
        free = free - self._reserved(waiting, free, every)
        # The class of the run that has waited longest comes first; those that the same devices serve are one.
        while waiting and free:
            chosen = {name: choose(name, free, every) for name in waiting}
            first = min((name for name in waiting if chosen[name]), key=waiting.__getitem__, default=None)
            if first is None:
                break
            devices = chosen[first] or ()
            if self._begin(database, devices, [name for name in waiting if chosen[name] == devices]):
                free = free - set(devices)
                if self._launcher.elsewhere:
                    continue  # Another of the same class may have the next of these; a worker costs nothing.
            waiting = {name: since for name, since in waiting.items() if chosen[name] != devices}

    def _reserved(
        self, waiting: dict[str, float], free: frozenset[str], every: frozenset[str]
    ) -> frozenset[str]:
        """GPUs that are kept free for a run that wants several of them and has waited longest."""
        able = [name for name in waiting if choose(name, every)]
        oldest = min(able, key=waiting.__getitem__, default="")
        waits = ranks(oldest) > 1 and choose(oldest, free, every) is None
        return frozenset(gpus(every)) if waits else frozenset()

    def _leave(self, database: Database) -> None:
        with suppress(tracking.TrackingError):
            leave(database, self._machine.key)

    def _allowed(self, devices: frozenset[str]) -> frozenset[str]:
        return devices if self._devices is None else devices & self._devices

    def _wanted(self, waiting: dict[str, float], every: frozenset[str]) -> frozenset[str]:
        """The devices that runs wait for; a class that nothing known here serves is called by its name."""
        found: set[str] = set()
        for name in waiting:
            found.update(choose(name, every) or (name,))
        return frozenset(found)

    def _announce(self, database: Database, every: frozenset[str], together: int) -> None:
        """Say now and then that this machine is there, and at once where it has found more devices."""
        devices, code = tuple(sorted(every)), known_digests()
        if code != self._machine.facts[CODE]:
            self._announced = 0.0
        recent = self._announced and time.monotonic() - self._announced < BEAT_SECONDS
        if devices == self._machine.devices and recent:
            return
        known = {CODE: code, TOGETHER: together, STORE: self._store is not None}
        facts = {**self._machine.facts, **known}
        self._machine = replace(self._machine, host=self._host, devices=devices, facts=facts)
        announce(database, self._machine)
        self._announced = time.monotonic()

    def _begin(self, database: Database, devices: tuple[str, ...], classes: Sequence[str]) -> bool:
        """Begin a run of these classes, if one can be had; returns whether it was.

        There is a worker first: a claimed run without one would have to be given up.
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
        worker.hand_over(Order(lease.run_id, lease.attempt, address, str(folder)), device)
        log.info("Run %d trains on %s.", run.id, device)
        return True

    def _accepts(self, candidate: tracking.Candidate) -> bool:
        """Whether this machine can have what a run needs; users' code it has to have been started with."""
        return self._machine.runs_code(candidate.recipe.get("code")) and travel.can_be_had(
            candidate, self._store is not None
        )

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


# Reconcile the run database with the processes of this machine, for whoever asks after a run.
#
# A supervisor does so all the time; a command or a page does it once, before it reads or asks for anything,
# so that a run whose process was killed is `interrupted` also where nobody supervises.

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
        and process_id.lives(run.worker_pid, run.worker_started)
    )


def _active(database: Database) -> list[RunSummary]:
    return tracking.list_runs(database, statuses=ACTIVE, metrics=[])


def _dead(run: RunSummary, host: str) -> bool:
    return run.host == host and run.worker_pid is not None and not LocalLauncher().lives(run)
