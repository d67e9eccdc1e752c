"""Test images of what a network was trained on, and which of them it gets wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from cnnviz.ui.dataset.waiting import Progress
from cnnviz.ui.inside.weights import Network

if TYPE_CHECKING:
    from cnnviz.datasets import Dataset

Rows = NDArray[np.int64]


def data_of(network: Network) -> Dataset | None:
    """The data that the network was trained on, where they are ready to be opened; nothing is prepared."""
    from cnnviz import datasets

    name = network.loaded.dataset
    if not name:
        return None
    try:
        return datasets.prepared(name)
    except (ValueError, OSError):
        return None


def of_class(data: Dataset, label: int | None) -> Rows:
    """Rows of one class, or of all where None, in their order."""
    labels = data.test.labels
    return np.arange(len(labels)) if label is None else np.flatnonzero(labels == label)


def known_answers(network: Network, data: Dataset) -> Rows | None:
    """The class that the network says for every test image; None before it was asked."""
    found: dict[str, Rows] = _all_answers()
    return found.get(f"{network.stamp} {data.fingerprint}")


def ask_all(network: Network, data: Dataset) -> None:
    """Ask it about every test image, in sight, and keep the answers for all visitors."""
    import torch

    from cnnviz import datasets
    from cnnviz.inference.ask import BATCH, probabilities

    how, progress = network.loaded.preprocessing, Progress()
    said: list[Rows] = []
    done = 0
    for images, _ in data.test.iter_batches(BATCH):
        progress(datasets.Step("asking", done, len(data.test)))
        pixels = datasets.adapt(torch.from_numpy(np.array(images)), (how.channels, *how.stored))
        said.append(probabilities(network.loaded.model, how, pixels).argmax(1).numpy())
        done += len(images)
    progress.clear()
    _all_answers()[f"{network.stamp} {data.fingerprint}"] = np.concatenate(said)


@st.cache_resource(show_spinner=False)
def _all_answers() -> dict[str, Rows]:
    return {}
