"""Recorded runs that ship with cnnviz as evidence, `NAME.json.gz`, without their networks.

A run `TOPIC-failed` has its fixed counterpart in `TOPIC-fixed`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from cnnviz.diagnosis.evidence.evidence import Evidence

FOLDER = Path(__file__).parent
SUFFIX = ".json.gz"
FAILED, FIXED = "-failed", "-fixed"


ALIASES = {"article-d-failed": "alexnet-stl10-failed", "article-d-mended": "alexnet-stl10-fixed"}
"""Former names of recorded runs, which links and commands may still use."""


class UnknownRecordingError(ValueError):
    """No recorded run has that name."""


def names() -> tuple[str, ...]:
    """Return the names of the recorded runs, failed ones first."""
    result = sorted(path.name.removesuffix(SUFFIX) for path in FOLDER.glob(f"*{SUFFIX}"))
    return tuple(sorted(result, key=lambda name: not name.endswith(FAILED)))


def current_name(name: str) -> str:
    """Resolve a former name; any other is returned unchanged."""
    return ALIASES.get(name, name)


@cache
def recorded(name: str) -> Evidence:
    """Read a recorded run; raises `UnknownRecordingError` with one sentence."""
    name = current_name(name)
    if name not in names():
        available = ", ".join(names()) or "none"
        raise UnknownRecordingError(f"There is no recorded run '{name}'; there is: {available}.")
    return Evidence.read(FOLDER / f"{name}{SUFFIX}")


def fixed(name: str) -> str | None:
    """Return the counterpart of a failed run; None where there is none."""
    counterpart = f"{name.removesuffix(FAILED)}{FIXED}"
    return counterpart if name.endswith(FAILED) and counterpart in names() else None
