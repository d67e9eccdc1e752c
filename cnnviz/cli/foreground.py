"""Runs in the foreground of a command: train here, wait in the queue, or follow another process's run."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from cnnviz.cli.output import Bar

if TYPE_CHECKING:
    from cnnviz.datasets import Progress, Step
    from cnnviz.experiments import Cell, SavedExperiment
    from cnnviz.tracking import Database, Lease, Run, Status
    from cnnviz.training.estimate import QueuePlace

WATCH_SECONDS = 0.25
"""Polling interval of a run that another process trains."""
TURN_SECONDS = 1.0
"""Polling interval of a queued run."""


def reconcile_runs(database: Database) -> None:
    """Mark runs whose process is gone, before runs are shown; a read-only database is left unchanged."""
    from cnnviz import tracking
    from cnnviz.training.workers import reconcile

    with suppress(tracking.TrackingError):
        reconcile(database)


def train_in_turn(
    database: Database, run: Run, progress: Progress, interrupted: Callable[[], bool], now: bool = False
) -> Status:
    """Train a run once it is its turn, or follow it if a supervisor claimed it first.

    Return its final status.

    Args:
        database: The run database.
        run: A queued run.
        progress: Progress callback.
        interrupted: Returns whether Ctrl-C was pressed.
        now: Train on the CPU at once, beside whatever trains there.

    Returns:
        The final status, or `queued` if Ctrl-C ended the waiting: the run then keeps its place.

    Raises:
        ValueError: The run cannot train beside another.
    """
    from cnnviz import tracking
    from cnnviz.training.workers import process_id

    if now:
        try:
            return train_if_free(database, run, progress, interrupted, beside=True)
        except tracking.WrongStateError:
            tracking.request(database, run.id, tracking.Command.STOP)
            raise
    tracking.set_waiting_process(database, run.id, os.getpid(), process_id.started(os.getpid()))
    try:
        while not interrupted():
            run = tracking.get_run(database, run.id)
            if run.status is not tracking.Status.QUEUED or _is_next(database, run):
                status = train_if_free(database, run, progress, interrupted)
                if status is not tracking.Status.QUEUED:
                    return status
            _report_place(database, run, progress)
            _pause(interrupted)
        return tracking.get_run(database, run.id).status
    finally:
        with suppress(tracking.TrackingError):  # a database error is being raised already
            tracking.set_waiting_process(database, run.id, None)


def train_if_free(
    database: Database,
    run: Run,
    progress: Progress,
    interrupted: Callable[[], bool],
    *,
    beside: bool = False,
) -> Status:
    """Train a run as `work_on` does, but return `queued` at once if its device is busy."""
    from cnnviz import tracking
    from cnnviz.device_class import is_gpu
    from cnnviz.training.workers import process_id

    reconcile_runs(database)
    elsewhere = beside and is_gpu(run.device_class)  # `claim` refuses it
    device = run.device_class if elsewhere else _device_here(run)
    lease = tracking.claim(database, device, only=run.id, beside=beside, classes=[run.device_class])
    if lease is None:
        if tracking.get_run(database, run.id).status is tracking.Status.QUEUED:
            return tracking.Status.QUEUED
        return _watch(database, run.id, progress, interrupted)
    tracking.attach(database, lease, os.getpid(), process_id.started(os.getpid()))
    return _train(database, lease, progress, interrupted)


def _device_here(run: Run) -> str:
    """Return the devices of this machine that the run gets, comma-separated.

    Raises:
        ValueError: The machine has no device of the class that the run asks for.
    """
    from cnnviz.device_class import ANY, CPU, choose
    from cnnviz.training.estimate import may_have_gpu

    if run.device_class.startswith(CPU) or (run.device_class == ANY and not may_have_gpu()):
        return CPU
    from cnnviz.training.setup import devices

    chosen = choose(run.device_class, devices())
    if chosen is None:
        raise ValueError(
            f"This machine has nothing of what run {run.id} asks for ({run.device_class}); it waits in the "
            "queue for a machine that has."
        )
    return ",".join(chosen)


def _train(database: Database, lease: Lease, progress: Progress, interrupted: Callable[[], bool]) -> Status:
    """Train here; if the database fails meanwhile, try once more to record that."""
    from cnnviz import tracking
    from cnnviz.training.workers.worker import work

    try:
        return work(database, lease, progress, interrupted)
    except tracking.TrackingError as error:
        with suppress(tracking.TrackingError):
            tracking.end(database, lease, tracking.Status.INTERRUPTED, str(error))
        raise


def _is_next(database: Database, run: Run) -> bool:
    """Return whether no active supervisor or waiting command would claim another run first."""
    from cnnviz.training.estimate import place_in_queue
    from cnnviz.training.workers import has_waiting_process, is_supervised

    position = place_in_queue(database, run)
    if position.training:
        reconcile_runs(database)
        return False
    if is_supervised(database):
        return not position.waiting
    here = socket.gethostname()
    return not any(has_waiting_process(other, here) for other in position.waiting)


def _report_place(database: Database, run: Run, progress: Progress) -> None:
    from cnnviz.datasets import Step
    from cnnviz.training.estimate import place_in_queue

    position = place_in_queue(database, run, timed=True)
    if position.training or position.waiting:
        progress(Step(f"Run {run.id} waits, {place_text(run, position)}", 0, None, ""))


def place_text(run: Run, position: QueuePlace) -> str:
    """Describe a place in the queue: `behind run 3 on cpu, about 2 min left; Ctrl-C leaves it queued`."""
    from cnnviz.figures.numbers import duration

    ahead = [other.id for other in (*position.training, *position.waiting)]
    named = ", ".join(map(str, ahead[:3])) + (f" and {len(ahead) - 3} more" if len(ahead) > 3 else "")
    behind = f"behind run{'s' if len(ahead) > 1 else ''} {named} on {run.device_text}" if ahead else "next"
    left = (
        ""
        if position.seconds is None or not ahead
        else f", about {duration(_rounded(position.seconds))} left"
    )
    return f"{behind}{left}; Ctrl-C leaves it queued"


def _rounded(seconds: float) -> float:
    """Round to 10 s below a minute and to minutes above, so that the text changes only now and then."""
    unit = 10 if seconds < 60 else 60
    return max(unit, round(seconds / unit) * unit)


def _pause(interrupted: Callable[[], bool]) -> None:
    """Sleep for `TURN_SECONDS` in slices, less if Ctrl-C is pressed: a signal does not end a sleep."""
    given_up = time.monotonic() + TURN_SECONDS
    while time.monotonic() < given_up and not interrupted():
        time.sleep(min(0.1, TURN_SECONDS))


def _watch(database: Database, run_id: int, progress: Progress, interrupted: Callable[[], bool]) -> Status:
    """Follow a run that another process trains until it ends; Ctrl-C stops it."""
    from cnnviz import tracking
    from cnnviz.datasets import Step

    stop_requested, looked = False, time.monotonic()
    while (run := tracking.get_run(database, run_id)).active:
        progress(Step("Training", run.step, run.total_steps, "steps"))
        if interrupted() and not stop_requested:
            tracking.request(database, run_id, tracking.Command.STOP)
            stop_requested = True
        if time.monotonic() - looked > TURN_SECONDS:
            reconcile_runs(database)
            looked = time.monotonic()
        time.sleep(WATCH_SECONDS)
    return run.status


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C into a flag that is polled between steps; a second one interrupts as usual.

    Yields:
        A function that returns whether Ctrl-C was pressed.
    """
    heard: list[int] = []

    def hear(number: int, frame: Any) -> None:
        heard.append(number)
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, hear)
    try:
        yield lambda: bool(heard)
    finally:
        signal.signal(signal.SIGINT, before)


# `cnnviz runs stop|pause|resume`: the command is written to the run database, as pages do.

_HELP = {
    "stop": "Stop a run; what it has learned is kept, and it can be resumed.",
    "pause": "Pause a run: its worker writes a checkpoint and leaves.",
    "resume": "Queue a run again, from its last checkpoint.",
}
_DONE = {
    "stop": ("stopped", "interrupted", "failed", "paused"),
    "pause": ("stopped", "interrupted", "failed", "paused"),
    "resume": ("queued",),
}
"""Statuses of a run whose process turns out to be gone in which the command has nothing left to do."""
NO_SUPERVISOR = "No supervisor is at work here: start the app (`make app`) or `python -m cnnviz work`."


def register(runs: typer.Typer) -> None:
    """Register the commands."""
    for name, help_text in _HELP.items():
        runs.command(name, help=help_text)(_command(name))


def _command(name: str) -> Callable[[int, bool], None]:
    def ask(
        run: Annotated[int, typer.Argument(metavar="RUN", help="The run's number (see `cnnviz runs list`).")],
        as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    ) -> None:
        from cnnviz import tracking
        from cnnviz.training.workers import is_supervised, reconcile

        with tracking.connect() as database:
            ended = run in reconcile(database)
            status = tracking.get_run(database, run).status
            if not (ended and status in _DONE[name]):
                status = tracking.request(database, run, tracking.Command(name))
            at_work = is_supervised(database)
        if as_json:
            state = {"id": run, "status": status.value, "supervised": at_work}
            typer.echo(orjson.dumps(state, option=orjson.OPT_INDENT_2).decode())
            return
        if ended:
            typer.echo(f"The process that trained run {run} had ended.")
        request = f" and was asked to {name}" if status in tracking.ACTIVE else ""
        typer.echo(f"Run {run} is {status}{request}.")
        if status is tracking.Status.QUEUED and not at_work:
            typer.echo(NO_SUPERVISOR)

    return ask


# Runs of an experiment, one after another in the foreground.


def train_experiment(database: Database, experiment_id: int) -> bool:
    """Train the remaining runs of an experiment one by one; return whether Ctrl-C ended it.

    A run is queued only when its turn comes, so that nothing else trains what a Ctrl-C leaves undone.
    """
    from cnnviz import experiments

    with interruptible() as interrupted, Bar() as bar:
        stored = experiments.get(database, experiment_id)
        for cell in [*stored.waiting(), *stored.broken()]:
            if interrupted():
                return True
            _train_condition(database, experiments.get(database, experiment_id), cell, bar, interrupted)
        return interrupted()


def _train_condition(
    database: Database, stored: SavedExperiment, cell: Cell, bar: Bar, interrupted: Callable[[], bool]
) -> None:
    """Train one condition with one seed; wait while another run uses its device."""
    from cnnviz import tracking
    from cnnviz.datasets import Step
    from cnnviz.experiments.running import cell_run

    waits = cell in stored.waiting() and stored.runs[cell]
    number = waits.id if waits else cell_run(database, stored, cell)
    report = _with_stage(_stage(database, stored, cell), bar)
    while not interrupted():
        ended = train_if_free(database, tracking.get_run(database, number), report, interrupted)
        if ended is not tracking.Status.QUEUED:
            return
        bar(Step("Waiting for the device", 0, None, ""))
        time.sleep(WATCH_SECONDS)
    tracking.request(database, number, tracking.Command.STOP)


def _stage(database: Database, stored: SavedExperiment, cell: Cell) -> str:
    """Describe an experiment's progress: `Run 3 of 10, about 4 min for all that is left: unit, seed 1`."""
    from cnnviz.experiments.running import seconds_of
    from cnnviz.figures.numbers import duration

    cells = list(stored.experiment.cells())
    left = [seconds_of(database, stored, other) for other in [*stored.waiting(), *stored.broken()]]
    known = [seconds for seconds in left if seconds is not None]
    all_left = f", about {duration(sum(known))} for all that is left" if len(known) == len(left) else ""
    return f"Run {cells.index(cell) + 1} of {len(cells)}{all_left}: {cell.condition}, seed {cell.seed}"


def _with_stage(stage: str, bar: Bar) -> Progress:
    """Return a progress callback that shows `stage` instead of `Training`."""

    def tell(step: Step) -> None:
        bar(step._replace(stage=stage) if step.stage == "Training" else step)

    return tell
