"""Demonstrations: questions whose answer is seen at once, without training, by running real code."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass

from cnnviz.experiments import demonstrations


@dataclass(frozen=True)
class Shown:
    """What came of running a demonstration."""

    head: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    """What was tried, and what it did, as a table."""
    conclusion: str
    """One sentence, worked out from the lines."""
    message: str = ""
    """What torch said, word for word; empty where nothing was raised."""


@dataclass(frozen=True)
class Demonstration:
    """A question with code that answers it. `run` imports torch; nothing else here does."""

    name: str
    title: str
    question: str
    asked_by: str
    explanation: str
    """For a student; paragraphs are parted by empty lines."""
    code: str
    """The heart of what is run, as one would write it."""
    mended: str
    """The same without the error; empty where there is none to mend."""
    run: Callable[[], Shown]


@functools.cache
def every_demonstration() -> dict[str, Demonstration]:
    """All demonstrations by name."""
    found = [
        importlib.import_module(f"{demonstrations.__name__}.{module.name}").DEMONSTRATION
        for module in pkgutil.iter_modules(demonstrations.__path__)
    ]
    return {entry.name: entry for entry in found}
