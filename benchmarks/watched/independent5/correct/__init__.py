"""Loops without a fault."""

from benchmarks.watched.independent5.correct import objectives, recipes  # noqa: F401 loops register themselves
