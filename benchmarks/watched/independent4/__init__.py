"""x."""

from benchmarks.watched.independent4 import honest_recipes,picture_loops, sequence_loops, signal_loops, table_loops  # noqa: F401
