"""What a worker logs with: appended to a list in the training thread, written by another thread."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Self

from cnnviz.tracking.database import Database
from cnnviz.tracking.errors import DatabaseBusyError, TrackingError
from cnnviz.tracking.metrics import Value, append
from cnnviz.tracking.records import Lease
from cnnviz.tracking.states import Command
from cnnviz.tracking.structures import Structure, encode

MOST_WAITING = 1_000_000
_BATCH = 5_000
_RETRY = 0.05


class MetricWriter:
    """Logs a run's metrics and records, tells that its worker is alive, and hears what a page asks for.

    A thread writes what has gathered every `every` seconds, one transaction a batch, and a sign of life
    every `beat` seconds where nothing was logged. An error of that thread is raised by the next call of any
    method: `StaleAttemptError` where the run went on without this worker, `DatabaseFullError`,
    `DatabaseUnavailableError`. A locked database is tried again for `patience` seconds.

    Use it as a context manager: leaving the block writes all there is, whether or not it raised.

    Args:
        database: The run database.
        lease: Of the worker, after `begin`.
        every: Seconds between batches.
        beat: Seconds between signs of life.
        patience: Seconds after which a database that stays locked is an error.
    """

    def __init__(
        self, database: Database, lease: Lease, every: float = 0.15, beat: float = 1.0, patience: float = 60.0
    ) -> None:
        self.lease = lease
        self._database = database
        self._every, self._beat, self._patience = every, beat, patience
        self._waiting: deque[Value | Structure] = deque()
        self._steps: dict[str, int] = {}
        self._position: tuple[int, float] | None = None
        self._command: Command | None = None
        self._error: BaseException | None = None
        self._wake = threading.Condition()
        self._asked = self._done = 0
        self._closing = False
        self._thread = threading.Thread(target=self._work, name=f"metrics of run {lease.run_id}", daemon=True)
        self._thread.start()

    def log(self, name: str, value: float, step: int, epoch: float = 0.0) -> None:
        """Log one value; returns within microseconds.

        Args:
            name: As `train/loss`; at most 200 characters.
            value: A number; NaN and infinities are kept.
            step: Optimiser steps done. The steps of a name rise strictly: a step has one value.
            epoch: Epochs done, as a fraction.

        Raises `ValueError` where the step does not rise, and what stopped the writing thread.
        """
        if self._error is not None:
            raise self._error
        if step <= self._steps.get(name, -1):
            raise ValueError(
                f"{name} was logged at step {self._steps[name]} and then at step {step}; steps rise."
                if name in self._steps
                else f"{name} was logged at step {step}; steps begin at 0."
            )
        if len(self._waiting) >= MOST_WAITING:
            raise DatabaseBusyError(
                f"The run database cannot keep up: {MOST_WAITING:,} values wait to be written."
            )
        self._steps[name] = step
        self._waiting.append(Value(name, step, epoch, float(value), time.time()))
        self._position = (step, epoch)

    def log_all(self, values: Mapping[str, float], step: int, epoch: float = 0.0) -> None:
        """Log several values of one step; see `log`."""
        for name, value in values.items():
            self.log(name, value, step, epoch)

    def record(self, kind: str, body: Any, step: int, epoch: float = 0.0) -> None:
        """Log something larger than a number: dicts, lists, strings, numbers, numpy arrays.

        Raises `ValueError` for what JSON cannot hold or is larger than 16 MiB, and what stopped the writing
        thread.
        """
        if self._error is not None:
            raise self._error
        self._waiting.append(Structure(kind, step, epoch, encode(body), time.time()))
        self._position = (step, epoch)

    def progress(self, step: int, epoch: float = 0.0) -> None:
        """Tell how far the run is without logging anything; written with the next batch."""
        self._position = (step, epoch)

    @property
    def command(self) -> Command | None:
        """What a page has asked for (`stop` or `pause`), or None. Read in every step: it costs nothing.

        Raises what stopped the writing thread.
        """
        if self._error is not None:
            raise self._error
        return self._command

    def flush(self, timeout: float = math.inf) -> None:
        """Return once everything logged before this call is committed: the barrier before a checkpoint.

        Raises what stopped the writing thread, and `DatabaseBusyError` after `timeout` seconds.
        """
        with self._wake:
            self._asked += 1
            mine = self._asked
            self._wake.notify_all()
            self._wake.wait_for(
                lambda: self._done >= mine or not self._thread.is_alive() or self._error is not None,
                None if math.isinf(timeout) else timeout,
            )
            if self._error is not None:
                raise self._error
            if self._done < mine:
                raise DatabaseBusyError(f"What was logged could not be written within {timeout:g} s.")

    def close(self) -> None:
        """Write what is left and end the thread; raises what stopped it. Closing twice does nothing."""
        with self._wake:
            self._closing = True
            self._wake.notify_all()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self.close()
        except TrackingError:
            if kind is None:
                raise

    def _work(self) -> None:
        written = time.monotonic()
        try:
            while True:
                with self._wake:
                    self._wake.wait_for(lambda: self._closing or self._asked > self._done, self._every)
                    asked, closing = self._asked, self._closing
                if self._waiting or asked > self._done or time.monotonic() - written >= self._beat:
                    self._write_waiting()
                    written = time.monotonic()
                with self._wake:
                    self._done = asked
                    self._wake.notify_all()
                if closing and not self._waiting:
                    return
        except BaseException as error:
            with self._wake:
                self._error = error
                self._wake.notify_all()

    def _write_waiting(self) -> None:
        """Write what waits now, in batches; a beat where nothing does."""
        left = len(self._waiting)
        while True:
            position, batch = self._position, [self._waiting.popleft() for _ in range(min(left, _BATCH))]
            left -= len(batch)
            self._write(batch, position)
            if not left:
                return

    def _write(self, batch: list[Value | Structure], position: tuple[int, float] | None) -> None:
        values = [entry for entry in batch if isinstance(entry, Value)]
        structures = [entry for entry in batch if isinstance(entry, Structure)]
        given_up = time.monotonic() + self._patience
        while True:
            try:
                command = append(self._database, self.lease, values, structures, position)
            except DatabaseBusyError:
                if time.monotonic() >= given_up:
                    raise
                time.sleep(_RETRY)
                continue
            self._command = self._command if command is None else command
            return
