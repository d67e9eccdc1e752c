"""Loops of `independent`: `faulty`, and those without a fault in `correct` and `steps`; see `faulty`."""

from benchmarks.watched.independent import correct, faulty, steps  # noqa: F401 loops register themselves
