"""A data set as a map in two dimensions, by what a layer makes of each image."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from cnnviz.datasets.spec import Progress, Step, silent
from cnnviz.interpret import InterpretError
from cnnviz.interpret.activations import reduced
from cnnviz.interpret.cache import Batches, Stop, never, stepped
from cnnviz.interpret.mosaic import Floats, as_map_batch

WIDEST = 2048
"""Features of an image that maps are pooled down to, where they hold more."""
COMPONENTS = 50
"""Principal components that t-SNE and UMAP are given, as their authors advise for many features."""
NO_UMAP = "UMAP is not installed; pip install 'cnnviz[umap]' brings it (about 210 MB, with numba)."


@dataclass(frozen=True)
class Embedding:
    """Points in two dimensions, in the order of the images."""

    method: Literal["pca", "tsne", "umap"]
    points: Floats
    """`(N, 2)`."""
    explained: tuple[float, float] | None = None
    """PCA: each axis's part of the variance, from 0 to 1."""


def features(
    model: nn.Module,
    batches: Batches,
    layer: str,
    total: int | None = None,
    progress: Progress = silent,
    stop: Stop = never,
) -> Floats:
    """What `layer` makes of each image, float32 `(N, D)`.

    Maps that hold more than `WIDEST` values are averaged over as many equal parts of their cells as fit,
    over all of them at worst. Raises as `exciting.exciting` does.
    """
    return features_by_layer(model, batches, [layer], total, progress, stop)[layer]


def features_by_layer(
    model: nn.Module,
    batches: Batches,
    layers: Collection[str],
    total: int | None = None,
    progress: Progress = silent,
    stop: Stop = never,
) -> dict[str, Floats]:
    """As `features`, of several layers: going through the images once costs hardly more than the last."""
    rows: dict[str, list[Floats]] = {layer: [] for layer in layers}
    for images, _ in stepped(batches, total, "features", progress, stop):
        keep = functools.partial(_pooled, (images.shape[-2], images.shape[-1]))
        for layer, values in reduced(model, images, layers, keep).items():
            rows[layer].append(values)
    return {layer: np.concatenate(parts) for layer, parts in rows.items()}


def _pooled(size: tuple[int, int], layer: str, out: Tensor) -> Floats:
    maps = as_map_batch(out, size)
    channels, height, width = maps.shape[1:]
    side = max(1, int((WIDEST / channels) ** 0.5))
    if channels * height * width > WIDEST and height * width > 1:
        maps = functional.adaptive_avg_pool2d(maps, (min(side, height), min(side, width)))
    array: Floats = maps.flatten(1).float().cpu().numpy()
    return array


def pca(values: Floats, seed: int = 0) -> Embedding:
    """The two directions of most variance, of features `(N, D)`; the same seed gives the same points.

    Raises `InterpretError` for fewer than three images, or features that are not numbers.
    """
    scores, explained = _components(values, 2, seed)
    return Embedding("pca", scores, (float(explained[0]), float(explained[1])))


def tsne(values: Floats, seed: int = 0, perplexity: float = 30.0, progress: Progress = silent) -> Embedding:
    """t-SNE (van der Maaten and Hinton, 2008) by scikit-learn, begun at the principal components.

    Args:
        values: Features `(N, D)`, of which `COMPONENTS` principal components are used.
        seed: The same seed gives the same points.
        perplexity: About how many neighbors count; lowered to a third of the images.
        progress: Called before it begins; scikit-learn reports nothing on its way.

    Raises:
        InterpretError: As `pca` does.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    components, _ = _components(values, COMPONENTS, seed)
    progress(Step("t-SNE", 0, None, ""))
    fitting = min(perplexity, (len(components) - 1) / 3)
    # The first two components, scaled as scikit-learn scales its own start.
    start = components[:, :2] / (components[:, 0].std() or 1.0) * 1e-4
    # Its loop is short: on a machine that is busy, threads that wait for each other take ten times as long.
    with threadpool_limits(1, user_api="openmp"):
        points = TSNE(perplexity=fitting, init=start, random_state=seed).fit_transform(components)
    return Embedding("tsne", points.astype(np.float32))


def has_umap() -> bool:
    """Whether the extra `umap` is installed; imports nothing of it."""
    return importlib.util.find_spec("umap") is not None


def umap(values: Floats, seed: int = 0, neighbors: int = 15, progress: Progress = silent) -> Embedding:
    """UMAP (McInnes, Healy and Melville, 2018) by umap-learn, of the same components as t-SNE.

    The first call in a process takes up to a minute more: numba compiles it.

    Args:
        values: Features `(N, D)`.
        seed: The same seed gives the same points, which costs UMAP its threads.
        neighbors: How many neighbors count; lowered to those there are.
        progress: Called before it begins; umap-learn reports nothing on its way.

    Raises:
        InterpretError: As `pca` does, and where the extra is not installed.
    """
    if not has_umap():
        raise InterpretError(NO_UMAP)
    components, _ = _components(values, COMPONENTS, seed)
    progress(Step("UMAP", 0, None, ""))
    from umap import UMAP

    if not np.ptp(components):
        return Embedding("umap", components[:, :2])  # It would look for neighbors among equals.
    fitting = max(2, min(neighbors, len(components) - 1))
    start = "spectral" if len(components) > 10 else "random"  # It takes eigenvectors of a graph that large.
    reducer = UMAP(n_neighbors=fitting, init=start, random_state=seed, n_jobs=1)
    return Embedding("umap", np.asarray(reducer.fit_transform(components), np.float32))


def _components(values: Floats, count: int, seed: int) -> tuple[Floats, Floats]:
    from sklearn.decomposition import PCA

    if len(values) < 3:
        raise InterpretError(f"A map needs at least three images, not {len(values)}.")
    if not np.isfinite(values).all():
        raise InterpretError("The layer gives values that are not numbers; a diverged network has no map.")
    fits = min(count, *values.shape)
    solver = "randomized" if min(values.shape) > 500 else "full"
    pca = PCA(fits, svd_solver=solver, random_state=seed)
    with np.errstate(invalid="ignore", divide="ignore"):
        scores = pca.fit_transform(values.astype(np.float64))
    missing = max(2 - fits, 0)
    scores = np.pad(scores, ((0, 0), (0, missing))).astype(np.float32)
    explained = np.pad(np.nan_to_num(pca.explained_variance_ratio_), (0, missing)).astype(np.float32)
    return scores, explained


def centres(points: Floats, labels: Tensor, classes: int) -> Floats:
    """The mean point of each class, `(classes, 2)`, where its name may stand; NaN for one without images."""
    sums = torch.zeros(classes, 2).index_add_(0, labels, torch.from_numpy(points))
    counts = torch.bincount(labels, minlength=classes)
    array: Floats = (sums / counts[:, None]).numpy()
    return array
