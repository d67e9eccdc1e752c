"""Figures over a data set: top-activating images of each channel, and precomputed figures that ship.

Top-activating images are the images with the largest activation of a channel, and where it is.

Precomputed figures of bundled checkpoints, `finished/NAME.npz`, are over test images that cannot ship. Where
a data set's license is not stated, a network's outputs for its images may ship, the images may not:

    python -m cnnviz.interpret.dataset_figures small-googlenet-cifar10 CIFAR10 "CIFAR-10 (JPEG)"
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cnnviz.analysis.types import ReceptiveField
from cnnviz.datasets.spec import Progress, silent
from cnnviz.inference.weights import bundled
from cnnviz.interpret import cache
from cnnviz.interpret.cache import Batches, Stop, iterate_batches, never_stop
from cnnviz.interpret.embedding import Embedding, features_by_layer, pca
from cnnviz.interpret.hooks import reduce_activations
from cnnviz.interpret.mosaic import Floats, as_map_batch

if TYPE_CHECKING:
    from cnnviz.datasets import Dataset
    from cnnviz.inference.weights.loaded_model import Loaded

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
