"""Runs that ship with cnnviz as evidence, `NAME.json.gz`: there at once, without a network.

One called `TOPIC-failed` has its fixed counterpart in `TOPIC-fixed`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from cnnviz.diagnosis.evidence.evidence import Evidence

FOLDER = Path(__file__).parent
SUFFIX = ".json.gz"
FAILED, FIXED = "-failed", "-fixed"


ALIASES = {"article-d-failed": "alexnet-stl10-failed", "article-d-mended": "alexnet-stl10-fixed"}
"""What recorded runs were called before: links and commands that say so go on working."""


class UnknownRecordingError(ValueError):
    """No recorded run of that name ships."""


def names() -> tuple[str, ...]:
    """What ships, failed runs first."""
    result = sorted(path.name.removesuffix(SUFFIX) for path in FOLDER.glob(f"*{SUFFIX}"))
    return tuple(sorted(result, key=lambda name: not name.endswith(FAILED)))


def current_name(name: str) -> str:
    """Resolve a name from before to today's; any other is left as it is."""
    return ALIASES.get(name, name)


@cache
def recorded(name: str) -> Evidence:
    """Read the recorded run of that name; raises `UnknownRecordingError` with one sentence."""
    name = current_name(name)
    if name not in names():
        there = ", ".join(names()) or "none"
        raise UnknownRecordingError(f"There is no recorded run '{name}'; there is: {there}.")
    return Evidence.read(FOLDER / f"{name}{SUFFIX}")


def fixed(name: str) -> str | None:
    """The counterpart of a failed run, where one ships."""
    other = f"{name.removesuffix(FAILED)}{FIXED}"
    return other if name.endswith(FAILED) and other in names() else None
