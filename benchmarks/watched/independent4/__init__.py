"""Loops of `independent-4`: by an author who has read neither the rules nor their tests, and ran no diagnosis.

Every loop was run without cnnviz first (`python -m benchmarks.watched.independent4.harm`): each faulty one as it
stands and mended, where what it reports had to differ by three points of accuracy or more, or it had to fail.
"""

from benchmarks.watched.independent4 import (
    beat_loops,
    cloth_loops,
    honest_digits,
    honest_objectives,
    honest_pictures,
    honest_recipes,
    honest_signals,
    honest_structures,
    mixed_loops,
    mixed_pictures,
    moon_loops,
    path_loops,
    picture_loops,
    sequence_loops,
    signal_loops,
    table_loops,
)

__all__ = [
    "beat_loops",
    "cloth_loops",
    "honest_digits",
    "honest_objectives",
    "honest_pictures",
    "honest_recipes",
    "honest_signals",
    "honest_structures",
    "mixed_loops",
    "mixed_pictures",
    "moon_loops",
    "path_loops",
    "picture_loops",
    "sequence_loops",
    "signal_loops",
    "table_loops",
]
