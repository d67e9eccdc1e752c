"""Correct loops of `independent-6`: right, though one may take them for wrong at first sight.

Their author had read neither the rules nor their tests nor other parts' loops, and no diagnosis was run
while they were written. They were run without cnnviz (`python -m benchmarks.watched.independent6.measured`),
and changed where they learned little, still improved fast at their end, or took long; `measured` holds what
they reach, of one run each on one seed. Some keep how they would be judged for `measured` alone and judge
nothing themselves.
"""

from benchmarks.watched.independent6 import objectives, phases, recipes  # noqa: F401 loops register themselves
