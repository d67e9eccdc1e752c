"""Putting a recipe into the queue. Importing this imports no torch."""

from __future__ import annotations

from cnnviz import datasets, tracking
from cnnviz.tracking import Database, Run
from cnnviz.training.recipe import Recipe
from cnnviz.training.target import spec_for

UNNAMED = "untitled"
"""A recipe of this name is called by its model and data in the list of runs."""


def enqueue(database: Database, recipe: Recipe, parent_id: int | None = None) -> Run:
    """Put a run of this recipe into the queue of its device, for whoever supervises there.

    Args:
        database: The run database.
        recipe: What to do.
        parent_id: The run that this one is a changed copy of.

    Raises `ValueError` for a model, a data set or a device that there is not, before anything is written.
    """
    from cnnviz.training.setup import device_of

    spec = spec_for(recipe)
    recipe = recipe.model_copy(update={"dataset": datasets.check(recipe.dataset)})
    return tracking.create_run(
        database,
        recipe.model_dump(mode="json"),
        model=spec.name,
        dataset=recipe.dataset,
        seed=recipe.seed,
        name="" if recipe.name == UNNAMED else recipe.name,
        device=str(device_of(recipe)),
        parent_id=parent_id,
        total_epochs=float(recipe.epochs),
    )
