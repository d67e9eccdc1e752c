"""Progress on stderr: one line that is written over in a terminal, one line a stage elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Protocol, TextIO

WIDTH = 24
PAUSE = 0.1
"""Seconds between two drawings of the line."""


class _Step(Protocol):
    @property
    def stage(self) -> str: ...
    @property
    def done(self) -> int: ...
    @property
    def total(self) -> int | None: ...
    @property
    def unit(self) -> str: ...


class Bar:
    """A context manager that is itself the progress callback."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._stage = ""
        self._began = self._drawn = 0.0

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live and self._stage:
            self._stream.write("\n")

    def __call__(self, step: _Step) -> None:
        """Show a step, at most ten times a second."""
        now = time.monotonic()
        fresh = step.stage != self._stage
        if not self._live:
            if fresh:
                self._stream.write(f"{step.stage} …\n")
        elif fresh or step.done == step.total or now - self._drawn >= PAUSE:
            if fresh and self._stage:
                self._stream.write("\n")
            began = now if fresh else self._began
            self._stream.write(f"\r\x1b[2K{line(step, now - began)}")
            self._drawn = now
        if fresh:
            self._stage, self._began = step.stage, now
        self._stream.flush()


def line(step: _Step, seconds: float) -> str:
    """One step as text: stage, bar, amount and the time left, after `seconds` in this stage."""
    if not step.total:
        return f"{step.stage} … {_amount(step.done, step.unit)}" if step.done else f"{step.stage} …"
    share = min(step.done / step.total, 1.0)
    bar = "█" * round(share * WIDTH)
    text = f"{step.stage} {bar.ljust(WIDTH, '░')} {100 * share:3.0f} %  {_amount(step.done, step.unit)}"
    if 0 < share < 1 and seconds >= 1:
        text += f"  {_duration(seconds * (1 - share) / share)} left"
    return text


def _amount(count: int, unit: str) -> str:
    return f"{count / 1e6:,.1f} MB" if unit == "bytes" else f"{count:,} {unit}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d} min" if minutes else f"{rest} s"
