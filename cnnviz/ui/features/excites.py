"""Which test images excite a channel most, and the patch that did it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from cnnviz.datasets import Progress
from cnnviz.figures.sprite import Pixels, sprite
from cnnviz.ui.components.pictures import Cell, Line, pictures
from cnnviz.ui.features import through
from cnnviz.ui.features.state import SOFTMAX, Asked, field_of
from cnnviz.ui.inside.address import put
from cnnviz.ui.inside.weights import Network
from cnnviz.ui.pictures import state

if TYPE_CHECKING:
    from cnnviz.datasets import Dataset
    from cnnviz.interpret.exciting import Exciting

CHANNEL = "features-excites-channel"
SIDE, CELL = 96, 96
FRAME = (217, 72, 15)


def excites(network: Network, asked: Asked) -> None:
    """Draw them for the chosen channel; a click makes one the chosen picture."""
    if asked.layer.name == SOFTMAX:
        st.info("Probabilities are excited by what the last layer is; choose that.", icon=":material/info:")
        return
    layer = asked.layer.name
    found = through.offered(
        network,
        "What excites a channel",
        f"features-excites-{layer}",
        (through.SOME, through.ALL),
        lambda data, count: _known(network, data, layer, count),
        lambda data, count, progress: _work_out(network, data, layer, count, progress),
    )
    if found is None:
        return
    data, most = found
    channel = min(asked.channel or 0, len(most.images) - 1)
    _choose_channel(channel, len(most.images))
    _show(network, asked, data, most, channel)


def _choose_channel(channel: int, count: int) -> None:
    st.session_state[CHANNEL] = channel
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.caption("Map", width="content")
        st.number_input(
            "Map", 0, count - 1, key=CHANNEL, width=130, label_visibility="collapsed",
            on_change=lambda: put(channel=str(st.session_state[CHANNEL])),
        )  # fmt: skip
        st.caption("is excited most by these test images, and in them by the framed patch.")


def _show(network: Network, asked: Asked, data: Dataset, most: Exciting, channel: int) -> None:
    rows = most.images[channel]
    values = most.values[channel]
    names = [data.classes[data.test.labels[row]] for row in rows]
    cells = [
        Cell(f"{value:.3g} · {name}", f"test:{row}")
        for value, name, row in zip(values, names, rows, strict=True)
    ]
    whole, patches = _pictures(network, asked, data, most, channel)
    pictures(
        sprite(whole), [Line("", cells)], key="features-excites", cell=CELL, captions=True,
        on_choose=state.choose,
        alt=f"The test images that excite map {channel} of {asked.layer.name} most: {', '.join(names)}",
        name=f"{asked.layer.name}-{channel}-excited-by",
    )  # fmt: skip
    pictures(
        sprite(patches), [Line("", [Cell(cell.title) for cell in cells])], key="features-patches", cell=CELL,
        alt="The patches alone", name="",
    )  # fmt: skip


def _pictures(
    network: Network, asked: Asked, data: Dataset, most: Exciting, channel: int
) -> tuple[Pixels, Pixels]:
    """The images with the patch framed, and the patches, uint8 `(N, 3, SIDE, SIDE)` each."""
    field = field_of(network.analysis, asked.layer)
    seen = through.seen_of(network, data, most.images[channel])
    whole, patches = [], []
    for place, image in enumerate(seen):
        top, left, bottom, right = most.patch(channel, place, field, (image.shape[1], image.shape[2]))
        colour = np.broadcast_to(image, (3, *image.shape[1:]))
        whole.append(_framed(_enlarged(colour), colour.shape[1:], (top, left, bottom, right)))
        patches.append(_enlarged(colour[:, top : max(bottom, top + 1), left : max(right, left + 1)]))
    return np.stack(whole), np.stack(patches)


def _enlarged(image: Pixels) -> Pixels:
    rows, columns = (np.arange(SIDE) * length // SIDE for length in image.shape[1:])
    return np.ascontiguousarray(image[:, rows][:, :, columns])


def _framed(image: Pixels, size: tuple[int, ...], box: tuple[int, int, int, int]) -> Pixels:
    scale = (SIDE / size[0], SIDE / size[1])
    top, bottom = (min(SIDE - 1, round(box[edge] * scale[0])) for edge in (0, 2))
    left, right = (min(SIDE - 1, round(box[edge] * scale[1])) for edge in (1, 3))
    framed = image.copy()
    for wide in range(2):
        for place in (top + wide, max(top, bottom - wide)):
            framed[:, min(place, SIDE - 1), left : right + 1] = np.array(FRAME, np.uint8)[:, None]
        for place in (left + wide, max(left, right - wide)):
            framed[:, top : bottom + 1, min(place, SIDE - 1)] = np.array(FRAME, np.uint8)[:, None]
    return framed


def _known(network: Network, data: Dataset, layer: str, count: int) -> Exciting | None:
    from cnnviz.interpret.exciting import remembered

    return remembered(through.key_of(network, data, layer, count))


def _work_out(network: Network, data: Dataset, layer: str, count: int, progress: Progress) -> Exciting:
    from cnnviz.interpret.exciting import exciting, remember

    rows = through.some_rows(data, count)
    batches = through.images_of(network, data, rows)
    found = exciting(network.loaded.model, batches, [layer], total=len(rows), progress=progress)[layer]
    found = replace(found, images=rows[found.images])
    remember(through.key_of(network, data, layer, count), found)
    return found
