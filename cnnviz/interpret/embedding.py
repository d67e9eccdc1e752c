"""Two-dimensional embedding of a data set by a layer's features: PCA, t-SNE, UMAP."""

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
from cnnviz.interpret.cache import Batches, Stop, iterate_batches, never_stop
from cnnviz.interpret.hooks import reduce_activations
from cnnviz.interpret.mosaic import Floats, as_map_batch

MAX_FEATURES = 2048
"""Most features per image: maps with more values are average-pooled down to this."""
COMPONENTS = 50
"""Principal components that t-SNE and UMAP work on, as their authors advise for many features."""
NO_UMAP = "UMAP is not installed; pip install 'cnnviz[umap]' brings it (about 210 MB, with numba)."


@dataclass(frozen=True)
class Embedding:
    """Points in two dimensions, in the order of the images."""

    method: Literal["pca", "tsne", "umap"]
    points: Floats
    """`(N, 2)`."""
    explained: tuple[float, float] | None = None
    """PCA: explained variance ratio of each axis, from 0 to 1."""


def features(
    model: nn.Module,
    batches: Batches,
    layer: str,
    total: int | None = None,
    progress: Progress = silent,
    stop: Stop = never_stop,
) -> Floats:
    """Compute the features of each image at `layer`, float32 `(N, D)`.

    Maps with more than `MAX_FEATURES` values are average-pooled to the largest grid that fits, at worst to
    one cell. Raises as `max_activations.find_max_activations` does.
    """
    return features_by_layer(model, batches, [layer], total, progress, stop)[layer]


def features_by_layer(
    model: nn.Module,
    batches: Batches,
    layers: Collection[str],
    total: int | None = None,
    progress: Progress = silent,
    stop: Stop = never_stop,
) -> dict[str, Floats]:
    """Compute the features of several layers in one pass over the images; otherwise as `features`."""
    rows: dict[str, list[Floats]] = {layer: [] for layer in layers}
    for images, _ in iterate_batches(batches, total, "features", progress, stop):
        pool = functools.partial(_pooled, (images.shape[-2], images.shape[-1]))
        for layer, values in reduce_activations(model, images, layers, pool).items():
            rows[layer].append(values)
    return {layer: np.concatenate(parts) for layer, parts in rows.items()}


def _pooled(size: tuple[int, int], layer: str, out: Tensor) -> Floats:
    maps = as_map_batch(out, size)
    channels, height, width = maps.shape[1:]
    side = max(1, int((MAX_FEATURES / channels) ** 0.5))
    if channels * height * width > MAX_FEATURES and height * width > 1:
        maps = functional.adaptive_avg_pool2d(maps, (min(side, height), min(side, width)))
    array: Floats = maps.flatten(1).float().cpu().numpy()
    return array


def pca(values: Floats, seed: int = 0) -> Embedding:
    """Project features `(N, D)` onto the two directions of most variance, the same for the same seed.

    Raises:
        InterpretError: For fewer than three images, or features that are not finite.
    """
    scores, explained = _components(values, 2, seed)
    return Embedding("pca", scores, (float(explained[0]), float(explained[1])))


def tsne(values: Floats, seed: int = 0, perplexity: float = 30.0, progress: Progress = silent) -> Embedding:
    """Embed features by t-SNE (van der Maaten and Hinton, 2008; scikit-learn), initialized with PCA.

    Args:
        values: Features `(N, D)`, reduced to `COMPONENTS` principal components.
        seed: The same seed gives the same points.
        perplexity: About how many neighbors count; lowered to a third of the images.
        progress: Called once before it begins: scikit-learn reports no progress.

    Raises:
        InterpretError: As `pca`.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    components, _ = _components(values, COMPONENTS, seed)
    progress(Step("t-SNE", 0, None, ""))
    fitted = min(perplexity, (len(components) - 1) / 3)
    # The first two components, scaled as scikit-learn scales its own initialization.
    initial = components[:, :2] / (components[:, 0].std() or 1.0) * 1e-4
    # Its parallel loop is short: on a busy machine threads that wait for each other take ten times as long.
    with threadpool_limits(1, user_api="openmp"):
        points = TSNE(perplexity=fitted, init=initial, random_state=seed).fit_transform(components)
    return Embedding("tsne", points.astype(np.float32))


def has_umap() -> bool:
    """Return whether the extra `umap` is installed, without importing it."""
    return importlib.util.find_spec("umap") is not None


def umap(values: Floats, seed: int = 0, neighbors: int = 15, progress: Progress = silent) -> Embedding:
    """Embed features by UMAP (McInnes, Healy and Melville, 2018; umap-learn), on t-SNE's components.

    The first call in a process takes up to a minute more: numba compiles it.

    Args:
        values: Features `(N, D)`.
        seed: The same seed gives the same points, which makes UMAP single-threaded.
        neighbors: Neighbors per point; lowered to the number of other images.
        progress: Called once before it begins: umap-learn reports no progress.

    Raises:
        InterpretError: As `pca`, and where the extra is not installed.
    """
    if not has_umap():
        raise InterpretError(NO_UMAP)
    components, _ = _components(values, COMPONENTS, seed)
    progress(Step("UMAP", 0, None, ""))
    from umap import UMAP

    if not np.ptp(components):
        return Embedding("umap", components[:, :2])  # All points are equal: UMAP has no neighbors to find.
    fitted = max(2, min(neighbors, len(components) - 1))
    initial = "spectral" if len(components) > 10 else "random"  # The spectral layout needs a larger graph.
    reducer = UMAP(n_neighbors=fitted, init=initial, random_state=seed, n_jobs=1)
    return Embedding("umap", np.asarray(reducer.fit_transform(components), np.float32))


def _components(values: Floats, count: int, seed: int) -> tuple[Floats, Floats]:
    from sklearn.decomposition import PCA

    if len(values) < 3:
        raise InterpretError(f"A map needs at least three images, not {len(values)}.")
    if not np.isfinite(values).all():
        raise InterpretError("The layer gives values that are not numbers; a diverged network has no map.")
    available = min(count, *values.shape)
    solver = "randomized" if min(values.shape) > 500 else "full"
    pca = PCA(available, svd_solver=solver, random_state=seed)
    with np.errstate(invalid="ignore", divide="ignore"):
        scores = pca.fit_transform(values.astype(np.float64))
    missing = max(2 - available, 0)
    scores = np.pad(scores, ((0, 0), (0, missing))).astype(np.float32)
    explained = np.pad(np.nan_to_num(pca.explained_variance_ratio_), (0, missing)).astype(np.float32)
    return scores, explained


def class_centers(points: Floats, labels: Tensor, classes: int) -> Floats:
    """Compute the mean point of each class, `(classes, 2)`, for its label; NaN for a class without images."""
    sums = torch.zeros(classes, 2).index_add_(0, labels, torch.from_numpy(points))
    counts = torch.bincount(labels, minlength=classes)
    array: Floats = (sums / counts[:, None]).numpy()
    return array
