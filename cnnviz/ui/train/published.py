"""What somebody published for the model that is trained, and in what this run is not the same."""

from __future__ import annotations

import re
from typing import NamedTuple

from cnnviz import models, training
from cnnviz.models import Published
from cnnviz.training import Recipe
from cnnviz.ui.train.plan import text_of

MOST_NAMED = 6


class Claim(NamedTuple):
    """A published accuracy and, in a sentence, what differs here; empty where nothing does."""

    figure: Published
    differs: str

    @property
    def label(self) -> str:
        """The figure as it stands at its line."""
        on = f" on {self.figure.on}" if self.figure.on else ""
        return f"published: {100 * self.figure.value:.2f} %{on}"


def claim(recipe: Recipe) -> Claim | None:
    """The published accuracy to hold a run of this recipe against, on the same data where there is one."""
    if recipe.layers is not None or recipe.model not in models.names():
        return None
    found = [figure for figure in models.get(recipe.model).published if figure.what == "accuracy"]
    found.sort(key=lambda figure: not _same(figure.on, recipe.dataset))
    return Claim(found[0], _differs(found[0], recipe)) if found else None


def _differs(figure: Published, recipe: Recipe) -> str:
    from cnnviz.tracking import data_name

    said = []
    if figure.on and not _same(figure.on, recipe.dataset):
        said.append(f"other data ({figure.on} there, {data_name(recipe.dataset)} here)")
    article = next((one for one in _articles(recipe.model) if _same(figure.on, one.dataset)), None)
    if article is not None:
        settings = [
            f"{field.replace('_', ' ')} {text_of(theirs)} there, {text_of(ours)} here"
            for field, (theirs, ours) in article.difference(recipe).items()
            if field not in ("dataset", "model", "device", "seed")
        ]
        said += settings[:MOST_NAMED]
        if len(settings) > MOST_NAMED:
            said.append(f"{len(settings) - MOST_NAMED} more")
    return f"What differs: {'; '.join(said)}." if said else ""


def _articles(model: str) -> list[Recipe]:
    known = training.all_recipes().values()
    return [recipe for recipe in known if recipe.model == model and recipe.name.startswith("article-")]


def _same(published: str, dataset: str) -> bool:
    """Whether a data set is the one that a publication names: `CIFAR-10` and `cifar10`."""
    first, second = (re.sub(r"[^a-z0-9]", "", name.lower()) for name in (published, dataset))
    return first == second
