"""Runs that ship with cnnviz as evidence, `NAME.json.gz`: there at once, without a network.

One called `TOPIC-failed` has its mended counterpart in `TOPIC-mended`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from cnnviz.diagnosis.evidence.evidence import Evidence

FOLDER = Path(__file__).parent
SUFFIX = ".json.gz"
FAILED, MENDED = "-failed", "-mended"


class UnknownRecordingError(ValueError):
    """No recorded run of that name ships."""


def names() -> tuple[str, ...]:
    """What ships, failed runs first."""
    found = sorted(path.name.removesuffix(SUFFIX) for path in FOLDER.glob(f"*{SUFFIX}"))
    return tuple(sorted(found, key=lambda name: not name.endswith(FAILED)))


@cache
def recorded(name: str) -> Evidence:
    """The recorded run of that name; raises `UnknownRecordingError` with one sentence."""
    if name not in names():
        there = ", ".join(names()) or "none"
        raise UnknownRecordingError(f"There is no recorded run '{name}'; there is: {there}.")
    return Evidence.read(FOLDER / f"{name}{SUFFIX}")


def mended(name: str) -> str | None:
    """The counterpart of a failed run, where one ships."""
    other = f"{name.removesuffix(FAILED)}{MENDED}"
    return other if name.endswith(FAILED) and other in names() else None
