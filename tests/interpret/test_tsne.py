"""t-SNE and UMAP: neighbors stay neighbors, whatever there is; UMAP is an extra, and a sentence says so."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.manifold import trustworthiness

from cnnviz.datasets import Step
from cnnviz.interpret import InterpretError, dataset_figures
from cnnviz.interpret.mosaic import Floats

DIGITS: Floats = load_digits().data[:150].astype(np.float32)


def test_tsne_keeps_neighbors_better_than_principal_components() -> None:
    steps: list[Step] = []
    embedded = dataset_figures.tsne(DIGITS, perplexity=12.0, progress=steps.append)
    assert embedded.method == "tsne"
    assert trustworthiness(DIGITS, embedded.points) > max(
        0.95, trustworthiness(DIGITS, dataset_figures.pca(DIGITS).points)
    )
    assert [step.stage for step in steps] == ["t-SNE"]


@pytest.mark.parametrize("values", [np.zeros((6, 3), np.float32), DIGITS[:3], DIGITS[:7, :1]])
def test_few_images_and_images_in_one_place_do_no_harm(values: Floats) -> None:
    embedded = dataset_figures.tsne(values)
    assert embedded.points.shape == (len(values), 2)
    assert np.isfinite(embedded.points).all()


def test_without_the_extra_umap_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset_figures, "has_umap", lambda: False)
    with pytest.raises(InterpretError, match=r"pip install 'cnnviz\[umap\]'"):
        dataset_figures.umap(DIGITS)


@pytest.mark.parametrize(("count", "neighbors", "start"), [(150, 15, "spectral"), (7, 6, "random")])
def test_umap_gets_components_a_seed_and_neighbors_that_there_are(
    monkeypatch: pytest.MonkeyPatch, count: int, neighbors: int, start: str
) -> None:
    """With a stand-in for umap-learn, which is an extra; the real one keeps neighbors in the test below."""
    asked: dict[str, Any] = {}

    class UMAP:
        def __init__(self, **settings: Any) -> None:
            asked.update(settings)

        def fit_transform(self, values: Floats) -> Floats:
            asked["width"] = values.shape[1]
            return values[:, :2]

    module = ModuleType("umap")
    module.UMAP = UMAP  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "umap", module)
    monkeypatch.setattr(dataset_figures, "has_umap", lambda: True)
    embedded = dataset_figures.umap(DIGITS[:count], seed=3)
    assert (embedded.method, embedded.points.shape) == ("umap", (count, 2))
    assert asked["width"] <= dataset_figures.COMPONENTS
    del asked["width"]
    assert asked == {"n_neighbors": neighbors, "init": start, "random_state": 3, "n_jobs": 1}


@pytest.mark.slow
@pytest.mark.skipif(
    not dataset_figures.has_umap(), reason="umap-learn is an extra; pip install 'cnnviz[umap]'"
)
def test_umap_keeps_neighbors() -> None:
    embedded = dataset_figures.umap(DIGITS)
    assert trustworthiness(DIGITS, embedded.points) > 0.9
    assert (dataset_figures.umap(DIGITS).points == embedded.points).all()
