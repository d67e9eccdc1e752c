"""Passes over the test images with one network: batched, with progress, over a subset or all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from cnnviz.ui.shared import notice
from cnnviz.ui.shared.inspection import image_input as its_data
from cnnviz.ui.shared.inspection.model_input import Network
from cnnviz.ui.shared.notice import Progress, error_text

if TYPE_CHECKING:
    from torch import Tensor

    from cnnviz.datasets import Dataset

T = TypeVar("T")
SOME, ALL = 2_000, 10**9
"""Images of a pass by default (evenly spaced), and of one over all."""
AT_ONCE = 2e10
"""Multiply-adds of a pass that starts without asking the user: some seconds."""
BATCH = 64


def iter_batches(network: Network, data: Dataset, rows: NDArray[np.int64]) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches as the network takes them, `(B, C, H, W)`, with their labels `(B,)`."""
    import torch

    from cnnviz.datasets import convert_images

    preprocessing = network.loaded.preprocessing.changed(ten_crop=False)
    for images, labels in data.test.iter_batches(BATCH, rows):
        pixels = convert_images(
            torch.from_numpy(np.array(images)), (preprocessing.channels, *preprocessing.stored)
        )
        yield preprocessing.inputs(pixels), torch.from_numpy(np.array(labels))


def cropped_images(network: Network, data: Dataset, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the images of `rows` as cropped for the network, before normalization, uint8 `(N, C, H, W)`."""
    import torch

    from cnnviz.datasets import convert_images

    preprocessing = network.loaded.preprocessing
    pixels = convert_images(
        torch.from_numpy(np.array(data.test.pixels(rows))), (preprocessing.channels, *preprocessing.stored)
    )
    return preprocessing.centred(pixels).round().clamp(0, 255).byte().numpy()


def sample_rows(data: Dataset, count: int) -> NDArray[np.int64]:
    """Return at most `count` row indices of the test images, evenly spaced."""
    every = len(data.test)
    return np.unique(np.linspace(0, every - 1, min(count, every)).astype(np.int64))


def result_or_offer(
    network: Network,
    what: str,
    key: str,
    counts: Sequence[int],
    known: Callable[[Dataset, int], T | None],
    work: Callable[..., T],
) -> tuple[Dataset, T] | None:
    """Return a result over the test images, cached or computed now; otherwise draw buttons that compute it.

    Args:
        network: The network.
        what: The result's name, for the text beside the buttons.
        key: Prefix of the buttons' keys.
        counts: Numbers of images to choose from.
        known: `known(data, count)` returns a cached result or None.
        work: `work(data, count, progress)` computes the result.

    Returns:
        The data set and the result; None if there is none yet.
    """
    data = its_data.data_of(network)
    if data is None:
        st.info(_missing(network), icon=":material/image_not_supported:")
        return None
    possible = sorted({min(count, len(data.test)) for count in counts})
    for count in reversed(possible):
        stored = known(data, count)
        if stored is not None:
            return data, stored
    least = possible[0]
    count_chosen = least if network.analysis.macs * least <= AT_ONCE else _draw_offer(what, key, possible)
    return None if count_chosen is None else _compute(data, count_chosen, work)


def _draw_offer(what: str, key: str, possible: Sequence[int]) -> int | None:
    st.caption(f"{what} takes going through test images once; the result is kept.")
    chosen = None
    with st.container(horizontal=True, gap="small"):
        for count in possible:
            kind: Literal["primary", "secondary"] = "primary" if count == possible[0] else "secondary"
            if st.button(f"Go through {count:,} images", key=f"{key}-{count}", type=kind):
                chosen = count
    return chosen


def _compute(data: Dataset, count: int, work: Callable[..., T]) -> tuple[Dataset, T] | None:
    progress = Progress()
    try:
        return data, work(data, count, progress)
    except (ValueError, OSError) as error:
        st.error(error_text(error))
        return None
    finally:
        progress.clear()


def _missing(network: Network) -> str:
    from cnnviz.tracking import data_name

    name = notice.escape(data_name(network.loaded.dataset))
    if not name:
        return "This needs test images, and this network was trained on none: choose a run."
    return f"This needs the test images of {name}; prepare them under “Test images” above."


@st.cache_resource(max_entries=64, show_spinner=False)
def _fingerprint(stamp: str, _network: Network) -> str:
    from cnnviz.interpret.cache import fingerprint

    return fingerprint(_network.loaded.model)


def key_of(network: Network, data: Dataset, layer: str, count: int, *more: str) -> str:
    """Return the cache key of a result over `count` test images."""
    from cnnviz.interpret import cache

    settings = network.loaded.preprocessing.model_dump_json()
    return cache.cache_key(
        _fingerprint(network.stamp, network), layer, data.fingerprint, settings, count, *more
    )
