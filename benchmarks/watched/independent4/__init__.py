"""Loops of `independent-4`, by an author who had read neither the rules nor their tests.

No diagnosis was run. Loops were run without cnnviz first (`python -m
benchmarks.watched.independent4.harm`): each faulty one as it stands and mended, and what it reports differs
by three points of accuracy or more (for `leakage` it flatters), or it fails. `measured` holds these
figures, and those of the correct loops.

Left out for want of harm: gradients never cleared under RMSprop, a ReLU at the end of rows of four classes,
a softmax before the loss of a GRU under Adam, recurrent weights all 0.05, shapes without augmentation, a
fully connected network of 900 pieces of cloth without augmentation (harmful with 150), dropout of 0.7 left
on while moons are judged. `over-fitting-model` and `one-class` have no loop of their own.
"""

from benchmarks.watched.independent4 import (
    beat_loops,
    binary_loops,
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
    "binary_loops",
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
