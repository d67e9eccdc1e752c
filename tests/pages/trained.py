"""A home with one small finished run, for pages that need a network that has learned something."""

from pathlib import Path

import pytest

from cnnviz import tracking
from cnnviz.training import Recipe
from cnnviz.training.queue import enqueue
from cnnviz.training.workers.worker import work

RECIPE = Recipe(dataset="digits", limit=600, epochs=4, batch_size=30, device="cpu")


def train_in(home: Path, recipe: Recipe = RECIPE) -> None:
    """Make run 1 in `home` and train it to its end, by default LeNet-5 on some of the digits: seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNVIZ_HOME", str(home))
        with tracking.connect() as database:
            run = enqueue(database, recipe)
            lease = tracking.claim(database, "cpu", only=run.id)
            assert lease is not None
            assert work(database, lease, lambda _: None, lambda: False) is tracking.Status.FINISHED
