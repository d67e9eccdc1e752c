"""Loops with a fault."""

from benchmarks.watched.independent4.faulty import (  # noqa: F401 loops register themselves
    beat,
    binary,
    cloth,
    mixed,
    mixed_pictures,
    moon,
    path,
    picture,
    sequence,
    signal,
    table,
)
