"""Loops of `independent-4`, by an author who had read neither the rules nor their tests.

No diagnosis was run. Loops were run without cnnviz first (`python -m
benchmarks.watched.independent4.harm`): each faulty one as it stands and without its fault, and what it
reports differs by three points of accuracy or more (for `leakage` it flatters), or it fails. `measured`
holds these figures, and those of the correct loops.

Left out for want of harm: gradients never cleared under RMSprop, a ReLU at the end of rows of four classes,
a softmax before the loss of a GRU under Adam, recurrent weights all 0.05, shapes without augmentation, a
fully connected network of 900 pieces of cloth without augmentation (harmful with 150), dropout of 0.7 left
on while moons are judged. `over-fitting-model` and `one-class` have no loop of their own.

Loops repeat each other on purpose: each is a script of its own, as many people write them.
"""

from benchmarks.watched.independent4 import correct, faulty  # noqa: F401 loops register themselves
