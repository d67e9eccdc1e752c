"""What hints cost a run that goes on: the same run with another process asking for them, and without."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.synchronize import Event

from cnnviz import tracking
from cnnviz.datasets.spec import silent
from cnnviz.diagnosis import gather
from cnnviz.diagnosis.engine import hint
from cnnviz.experiments.verdict import Interval, paired
from cnnviz.tracking import Database
from cnnviz.training import Recipe
from cnnviz.training.queue import enqueue
from cnnviz.training.workers.worker import work

SECONDS = 3.0
"""Between hints, as on the page Train."""
RECIPE = Recipe(model="lenet5", dataset="digits", epochs=30, batch_size=64, lr=0.02, device="cpu")


def speeds(database: Database, repeat: int) -> tuple[list[float], list[float]]:
    """Steps a second with nobody asking, and with hints asked for, in pairs after a first run.

    Of every other pair the one with hints comes first, so that a machine that slows down favors neither.
    """
    _steps_a_second(database, asked=False)
    found: dict[bool, list[float]] = {False: [], True: []}
    for number in range(repeat):
        for asked in (False, True) if number % 2 == 0 else (True, False):
            found[asked].append(_steps_a_second(database, asked))
    return found[False], found[True]


def lost(alone: Sequence[float], beside: Sequence[float]) -> Interval:
    """What hints take from the speed, pair by pair, as a part of it: 0.01 where every pair lost 1 %."""
    return paired([1 - slower / faster for faster, slower in zip(alone, beside, strict=True)])


def _steps_a_second(database: Database, asked: bool) -> float:
    run = enqueue(database, RECIPE)
    lease = tracking.claim(database, "cpu", only=run.id)
    if lease is None:
        raise RuntimeError(f"Run {run.id} could not be claimed; is another process at this database?")
    with _asking(run.id, asked):
        start = time.perf_counter()
        work(database, lease, silent, lambda: False)
        taken = time.perf_counter() - start
    return tracking.get_run(database, run.id).step / taken


@contextmanager
def _asking(run_id: int, asked: bool) -> Iterator[None]:
    if not asked:
        yield
        return
    context = multiprocessing.get_context("spawn")
    ready, enough = context.Event(), context.Event()
    process = context.Process(target=_ask, args=(os.environ["CNNVIZ_HOME"], run_id, ready, enough))
    process.start()
    ready.wait(60)
    try:
        yield
    finally:
        enough.set()
        process.join()


def _ask(home: str, run_id: int, ready: Event, enough: Event) -> None:
    """What the app does beside a run."""
    os.environ["CNNVIZ_HOME"] = home
    with tracking.connect() as database:
        hint(gather(database, run_id))
        ready.set()
        while not enough.wait(SECONDS):
            hint(gather(database, run_id))
