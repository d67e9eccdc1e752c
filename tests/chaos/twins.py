"""The undisturbed twins of the chaos's runs, as a process: each is trained in one go.

    python -m tests.chaos.twins RUNS

They have a folder and a SQLite database of their own, so that nothing that fails in the cluster reaches them.
"""

from __future__ import annotations

import os
import sys

from cnnviz import tracking
from cnnviz.tracking.database import URL_VARIABLE
from cnnviz.tracking.store import VARIABLE as STORE_VARIABLE
from cnnviz.training import Recipe
from tests.training.workers.test_soak import at_one_go

RECIPE = Recipe(dataset="digits", limit=640, epochs=12, batch_size=16, device="cpu", pad_crop=2, lr=0.02)


def recipes(runs: int) -> list[Recipe]:
    """What is trained: the same network from other seeds."""
    return [RECIPE.changed({"seed": number}) for number in range(runs)]


def main(runs: int) -> None:
    """Train the twins, in the order of their recipes: the first is run 1."""
    for name in (URL_VARIABLE, STORE_VARIABLE):
        os.environ.pop(name, None)
    with tracking.connect() as database:
        for recipe in recipes(runs):
            at_one_go(database, recipe)


if __name__ == "__main__":
    main(int(sys.argv[1]))
