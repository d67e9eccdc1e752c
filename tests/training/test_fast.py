"""The `fast-` recipes: one for each article, on its network as it is."""

import pytest

from cnnviz import models
from cnnviz.training import all_recipes, get

ARTICLES = [name.removeprefix("article-") for name in all_recipes() if name.startswith("article-")]


@pytest.mark.parametrize("name", ARTICLES)
def test_each_article_has_one_on_the_unchanged_network(name: str) -> None:
    article, fast = get(f"article-{name}"), get(f"fast-{name}")
    assert (fast.model, fast.dataset, fast.size) == (article.model, article.dataset, article.size)
    assert fast.epochs < article.epochs or name == "alexnet-stl10"
    assert fast.validation == 0
    before = models.resolve(models.get(article.model), 10, article.size, article.options)[2].model_dump()
    after = models.resolve(models.get(fast.model), 10, fast.size, fast.options)[2].model_dump()
    # How weights start, and which of two constants LRN takes, is no part of a layer table.
    assert {field for field in before if before[field] != after[field]} <= {"init", "normalisation"}
