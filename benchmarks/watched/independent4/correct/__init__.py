"""Loops without a fault, that look suspicious."""

from benchmarks.watched.independent4.correct import (  # noqa: F401 loops register themselves
    digits,
    objectives,
    pictures,
    recipes,
    signals,
    structures,
)
