"""Demos: questions answered at once, without training, by running real code.

Every `Demo` in a module of this package is found by itself.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass

# Demonstrations: questions whose answer is seen at once, without training, by running real code.


@dataclass(frozen=True)
class DemoResult:
    """What came of running a demonstration."""

    head: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    """What was tried, and what it did, as a table."""
    conclusion: str
    """One sentence, worked out from the lines."""
    message: str = ""
    """What torch said, word for word; empty where nothing was raised."""


@dataclass(frozen=True)
class Demo:
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
    """The same without the error; empty where there is none to fix."""
    run: Callable[[], DemoResult]


@functools.cache
def list_demos() -> dict[str, Demo]:
    """All demonstrations by name."""
    result = [
        value
        for module in pkgutil.iter_modules(__path__)
        for value in vars(importlib.import_module(f"{__name__}.{module.name}")).values()
        if isinstance(value, Demo)
    ]
    return {entry.name: entry for entry in result}
