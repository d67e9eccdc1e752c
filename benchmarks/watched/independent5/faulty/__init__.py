"""Loops with a fault."""

from benchmarks.watched.independent5.faulty import (  # noqa: F401 loops register themselves
    gradients,
    graph,
    labels,
    modes,
    order,
    outputs,
    settings,
)
