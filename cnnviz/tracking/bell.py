"""Rings where something was asked of runs in this process, so that its supervisor looks at once.

What other processes ask for is found by looking now and then. Nothing depends on a ring being heard.
"""

from __future__ import annotations

import threading

_rung = threading.Condition()
_rings = 0


def ring() -> None:
    """Wake whoever waits."""
    global _rings
    with _rung:
        _rings += 1
        _rung.notify_all()


def rings() -> int:
    """How often it has rung: ask before looking at the database, and give it to `wait` afterwards."""
    return _rings


def wait(heard: int, seconds: float) -> None:
    """Return after so many seconds, or as soon as it has rung more than `heard` times."""
    with _rung:
        _rung.wait_for(lambda: _rings > heard, seconds)
