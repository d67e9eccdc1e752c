"""Figures of a network over a data set: embedding, top-activating images, and precomputed figures that ship.

Precomputed figures of bundled checkpoints, `finished/NAME.npz`, are over test images that cannot ship. Where
a data set's license is not stated, a network's outputs for its images may ship, the images may not:

    python -m cnnviz.interpret.dataset_figures small-googlenet-cifar10 CIFAR10 "CIFAR-10 (JPEG)"
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from cnnviz.analysis.types import ReceptiveField
from cnnviz.datasets.spec import Progress, Step, silent
from cnnviz.inference.weights import bundled
from cnnviz.interpret import InterpretError, cache
from cnnviz.interpret.cache import Batches, Stop, iterate_batches, never_stop
from cnnviz.interpret.hooks import reduce_activations
from cnnviz.interpret.mosaic import Floats, as_map_batch

if TYPE_CHECKING:
    from cnnviz.datasets import Dataset
    from cnnviz.inference.weights.loaded_model import Loaded


# Two-dimensional embedding of a data set by a layer's features: PCA, t-SNE, UMAP.

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


# Top-activating images: those with the largest activation of a channel, and where it is.

TOP = 9
"""Images per channel."""


_Best = tuple[Tensor, Tensor, Tensor, Tensor]
"""Values, image indices, rows and columns, `(k, C)` each."""


@dataclass(frozen=True)
class MaxActivations:
    """Top-activating images: for each of C channels the k images with the largest activation, descending."""

    images: NDArray[np.int64]
    """`(C, k)`: image indices, in the order of the data set."""
    values: Floats
    """`(C, k)`: the largest activation in the image."""
    cells: NDArray[np.int64]
    """`(C, k, 2)`: its position `(y, x)` on the map."""

    def patch(
        self, channel: int, rank: int, field: ReceptiveField, input_size: tuple[int, int]
    ) -> tuple[int, int, int, int]:
        """Return the receptive field `(top, left, bottom, right)` of the cell in pixels, ends excluded."""
        y, x = self.cells[channel, rank].tolist()
        return field.box((y, x), input_size)


def find_max_activations(
    model: nn.Module,
    batches: Batches,
    layers: Collection[str],
    top: int = TOP,
    total: int | None = None,
    progress: Progress = silent,
    stop: Stop = never_stop,
) -> dict[str, MaxActivations]:
    """Find the `top` images with the largest activation of every channel of each layer, in one pass.

    Several layers cost hardly more than the last of them. Of equal values the first image wins; of fewer than
    `top` images all are returned.

    Raises:
        UnknownLayerError: For a layer that does not exist.
        StoppedError: When stopped.
        InterpretError: Where there are no images.
    """
    best: dict[str, _Best] = {}
    images_done = 0
    for images, _ in iterate_batches(batches, total, "exciting images", progress, stop):
        maxima = functools.partial(_maxima_of, (images.shape[-2], images.shape[-1]))
        for layer, (values, rows, columns) in reduce_activations(model, images, layers, maxima).items():
            indices = torch.arange(images_done, images_done + len(images))[:, None].expand(values.shape)
            best[layer] = _merge(best.get(layer), (values, indices, rows, columns), top)
        images_done += len(images)
    return {layer: _to_arrays(strongest) for layer, strongest in best.items()}


def _to_arrays(best: _Best) -> MaxActivations:
    values, indices, rows, columns = (part.T.contiguous() for part in best)
    return MaxActivations(indices.numpy(), values.numpy(), torch.stack([rows, columns], dim=2).numpy())


def _maxima_of(size: tuple[int, int], layer: str, out: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return _maxima(as_map_batch(out, size))


def _maxima(maps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the maximum of maps `(N, C, H, W)`, its row and its column, `(N, C)` each."""
    values, cells = maps.flatten(2).float().max(dim=2)
    width = maps.shape[3]
    return values.cpu(), cells.cpu() // width, cells.cpu() % width


def _merge(best: _Best | None, new: _Best, top: int) -> _Best:
    """Merge two sets of candidates and return the `top` by value."""
    parts = new if best is None else tuple(torch.cat(pair) for pair in zip(best, new, strict=True))
    order = torch.sort(parts[0], dim=0, descending=True, stable=True).indices[:top]
    values, indices, rows, columns = (part.gather(0, order) for part in parts)
    return values, indices, rows, columns


def load_cached(key: str) -> MaxActivations | None:
    """Load the result cached under this key (see `cache.cache_key`); None where there is none."""
    stored = cache.load("exciting", key)
    if stored is None or stored.keys() != {"images", "values", "cells"}:
        return None
    return MaxActivations(stored["images"], stored["values"], stored["cells"])


def save_cached(key: str, strongest: MaxActivations) -> None:
    """Cache a result on disk; raises `DataError` where the disk is full or not writable."""
    cache.save(
        "exciting", key, {"images": strongest.images, "values": strongest.values, "cells": strongest.cells}
    )


FOLDER = Path(__file__).with_name("finished")
IMAGES, BATCH = 1_000, 50
"""Number of test images, evenly spaced, and the batch size."""


@dataclass(frozen=True)
class LayerFigures:
    """Precomputed figures of one layer."""

    embedding: Embedding
    """First two principal components, one point per image."""
    labels: NDArray[np.uint8]
    """`(C, k)`: the classes of the top-activating images of each channel, the strongest first."""
    values: Floats
    """`(C, k)`: their largest activation."""


@dataclass(frozen=True)
class DatasetFigures:
    """Precomputed figures of a checkpoint, by layer."""

    data: str
    """Title of the data set."""
    labels: NDArray[np.uint8]
    """Class of each image."""
    layers: Mapping[str, LayerFigures]


def figures_path(name: str) -> Path:
    """Return the file of a bundled checkpoint's figures; it need not exist."""
    return FOLDER / f"{name}.npz"


def read(name: str) -> DatasetFigures | None:
    """Load the figures that ship with a checkpoint; None where there are none."""
    path = figures_path(name)
    if not bundled.is_name(name) or not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files}
    layers = {
        layer: LayerFigures(
            Embedding(
                "pca",
                arrays[f"{layer}/points"].astype(np.float32),
                (float(arrays[f"{layer}/explained"][0]), float(arrays[f"{layer}/explained"][1])),
            ),
            arrays[f"{layer}/labels"],
            arrays[f"{layer}/values"].astype(np.float32),
        )
        for layer in arrays["layers"].tolist()
    }
    return DatasetFigures(str(arrays["data"]), arrays["labels"], layers)


def compute(
    loaded: Loaded, data: Dataset, layers: list[str], count: int = IMAGES
) -> dict[str, NDArray[np.generic]]:
    """Compute the file's arrays, except the data set's title, over `count` evenly spaced test images."""
    rows = np.unique(np.linspace(0, len(data.test) - 1, min(count, len(data.test))).astype(np.int64))
    labels = np.asarray(data.test.labels)[rows].astype(np.uint8)
    top = find_max_activations(loaded.model, _batches(loaded, data, rows), layers)
    features = features_by_layer(loaded.model, _batches(loaded, data, rows), layers)
    arrays: dict[str, NDArray[np.generic]] = {"labels": labels, "layers": np.array(layers)}
    for layer in layers:
        points = pca(features[layer])
        arrays |= {
            f"{layer}/points": points.points.astype(np.float16),
            f"{layer}/explained": np.array(points.explained, np.float32),
            f"{layer}/labels": labels[top[layer].images],
            f"{layer}/values": top[layer].values.astype(np.float16),
        }
    return arrays


def _batches(loaded: Loaded, data: Dataset, rows: NDArray[np.int64]) -> Iterator[tuple[Tensor, Tensor]]:
    from cnnviz.datasets import convert_images

    preprocessing = loaded.preprocessing
    for images, labels in data.test.iter_batches(BATCH, rows):
        pixels = convert_images(
            torch.from_numpy(np.array(images)), (preprocessing.channels, *preprocessing.stored)
        )
        yield preprocessing.inputs(pixels), torch.from_numpy(np.array(labels))


def main() -> None:
    """Compute and write the figures of a bundled checkpoint."""
    from cnnviz import datasets
    from cnnviz.analysis import analyze

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("dataset")
    parser.add_argument("title")
    arguments = parser.parse_args()
    loaded = bundled.load(arguments.checkpoint)
    options = None if loaded.options is None else loaded.options.changed()
    rows = analyze(loaded.spec, loaded.side, len(loaded.classes), options).predicting
    layers = [row.name for row in rows if row.outputs and row.name.isidentifier()]
    arrays = compute(loaded, datasets.load(arguments.dataset), layers)
    contents: dict[str, Any] = {"data": np.array(arguments.title)} | arrays
    figures_path(arguments.checkpoint).parent.mkdir(exist_ok=True)
    np.savez_compressed(figures_path(arguments.checkpoint), **contents)


if __name__ == "__main__":
    main()
