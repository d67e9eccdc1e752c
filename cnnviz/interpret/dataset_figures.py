"""Precomputed figures of bundled checkpoints over test images that cannot ship: `finished/NAME.npz`.

Where a data set's license is not stated, a network's outputs for its images may ship, the images may not:

    python -m cnnviz.interpret.dataset_figures small-googlenet-cifar10 CIFAR10 "CIFAR-10 (JPEG)"
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cnnviz.inference.weights import bundled
from cnnviz.interpret.embedding import Embedding, features_by_layer, pca
from cnnviz.interpret.max_activations import find_max_activations
from cnnviz.interpret.mosaic import Floats

if TYPE_CHECKING:
    from cnnviz.datasets import Dataset
    from cnnviz.inference.weights.loaded_model import Loaded

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
