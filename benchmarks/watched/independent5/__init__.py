"""Loops of `independent-5`, by an author who had read neither the rules nor their tests.

No diagnosis was run. Loops were run without cnnviz (`python -m benchmarks.watched.independent5.harm`): each
faulty one as it stands and without its fault, and without it the accuracy that it reports is three points
higher or more, or the fault ends it by an exception (counted as 0). `measured` holds these figures, of one
run each on one seed, and those of the correct loops. Loops without harm were changed or taken out.

Second names that are allowed were written down before any diagnosis. Loops repeat each other on purpose:
each is a script of its own, as many people write them.
"""

from benchmarks.watched.independent5 import correct, faulty  # noqa: F401 loops register themselves
