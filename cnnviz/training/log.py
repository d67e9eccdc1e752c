"""What a run tells while it goes on, and to whom."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

MEASURED = ("images_per_second", "mfu", "memory_bytes")
"""Figures of the machine and not of the run: the only ones that a resumed run gives anew."""


class Log(Protocol):
    """Receives what a run measures, under fixed names: losses in nats, accuracies in [0, 1]."""

    def scalars(self, step: int, epoch: float, values: Mapping[str, float]) -> None:
        """Figures of a step; `epoch` is how many epochs are done, in parts."""

    def record(self, step: int, epoch: float, kind: str, value: Any) -> None:
        """Something larger, as JSON values; `engine` lists the kinds."""

    def flush(self) -> None:
        """Return when all of it is where nothing can lose it."""

    def saved(self, step: int, epoch: float, path: Path) -> None:
        """A checkpoint lies complete at `path`."""


class Memory:
    """Keeps everything in lists, for tests and for those who call the engine themselves."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, float, str, float]] = []
        self.records: list[tuple[int, str, Any]] = []

    def scalars(self, step: int, epoch: float, values: Mapping[str, float]) -> None:
        """Keep the figures."""
        self.rows.extend((step, epoch, name, value) for name, value in values.items())

    def record(self, step: int, epoch: float, kind: str, value: Any) -> None:
        """Keep the record."""
        self.records.append((step, kind, value))

    def flush(self) -> None:
        """Nothing to wait for."""

    def saved(self, step: int, epoch: float, path: Path) -> None:
        """Nothing to keep: the file tells."""

    def series(self, name: str) -> list[tuple[int, float]]:
        """One figure's (step, value) pairs."""
        return [(step, value) for step, _, found, value in self.rows if found == name]

    def last(self, name: str) -> float:
        """One figure's newest value; raises `IndexError` where there is none."""
        return self.series(name)[-1][1]
