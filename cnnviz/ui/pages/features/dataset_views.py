"""Views over the test images: top-activating images of a channel, and an embedding."""

from __future__ import annotations

from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING, cast

import numpy as np
import streamlit as st

from cnnviz.datasets import Progress
from cnnviz.figures.distributions import scatter
from cnnviz.figures.numbers import percent
from cnnviz.interpret.layer_names import SOFTMAX, field_of
from cnnviz.interpret.mosaic import Floats
from cnnviz.ui.components.images import Cell, Line, Pixels, Sprite, pictures, sprite
from cnnviz.ui.components.plot import plot
from cnnviz.ui.pages.features.state import PageState
from cnnviz.ui.shared.inspection import dataset_pass, image_input
from cnnviz.ui.shared.inspection.dataset_pass import key_of
from cnnviz.ui.shared.inspection.model_input import Network
from cnnviz.ui.shared.result_cache import RESULTS
from cnnviz.ui.shared.url_state import change_without_model

if TYPE_CHECKING:
    from cnnviz.datasets import Dataset
    from cnnviz.interpret.dataset_figures import DatasetFigures, Embedding, MaxActivations

CHANNEL = "features-excites-channel"
SIDE, CELL = 96, 96
FRAME = (217, 72, 15)


def top_activating_images(network: Network, page_state: PageState) -> None:
    """Draw the top-activating images of the selected channel; a click selects one as the image."""
    if page_state.layer.name == SOFTMAX:
        st.info("Probabilities are excited by what the last layer is; choose that.", icon=":material/info:")
        return
    layer = page_state.layer.name
    finished = _precomputed(network)
    if finished is not None and layer in finished.layers:
        _show_classes(network, page_state, finished)
        return
    result = dataset_pass.result_or_offer(
        network,
        "Top-activating images of a channel",
        f"features-excites-{layer}",
        (dataset_pass.SOME, dataset_pass.ALL),
        lambda data, count: _known_activations(network, data, layer, count),
        lambda data, count, progress: _compute_activations(network, data, layer, count, progress),
    )
    if result is None:
        return
    data, activations = result
    channel = min(page_state.channel or 0, len(activations.images) - 1)
    _choose_channel(channel, len(activations.images))
    _show(network, page_state, data, activations, channel)


FRAMED = "is excited most by these test images, and in them by the framed patch."


def _choose_channel(channel: int, count: int, words: str = FRAMED) -> None:
    st.session_state[CHANNEL] = channel
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.caption("Map", width="content")
        st.number_input(
            "Map", 0, count - 1, key=CHANNEL, width=130, label_visibility="collapsed",
            on_change=lambda: change_without_model(channel=str(st.session_state[CHANNEL])),
        )  # fmt: skip
        st.caption(words)


def _show(
    network: Network, page_state: PageState, data: Dataset, activations: MaxActivations, channel: int
) -> None:
    rows = activations.images[channel]
    values = activations.values[channel]
    names = [data.classes[data.test.labels[row]] for row in rows]
    cells = [
        Cell(f"{value:.3g} · {name}", image_input.address_of(data, int(row)))
        for value, name, row in zip(values, names, rows, strict=True)
    ]
    whole, patches = _pictures(network, page_state, data, activations, channel)
    pictures(
        sprite(whole), [Line("", cells)], key="features-excites", cell=CELL, captions=True,
        on_choose=image_input.choose,
        alt=f"Top-activating test images of map {channel} of {page_state.layer.name}: {', '.join(names)}",
        name=f"{page_state.layer.name}-{channel}-excited-by",
    )  # fmt: skip
    pictures(
        sprite(patches), [Line("", [Cell(cell.title) for cell in cells])], key="features-patches", cell=CELL,
        alt="The patches alone", name="",
    )  # fmt: skip


# Precomputed figures of shipped networks whose test images do not ship: classes and points, no images.


def _precomputed(network: Network) -> DatasetFigures | None:
    """Return the figures that ship with the network, if its data set is not on this machine."""
    shipped = network.reference.removeprefix("checkpoint:")
    if shipped == network.reference or image_input.data_of(network) is not None:
        return None
    from cnnviz.interpret import dataset_figures

    return dataset_figures.read(shipped)


def _without_images(figures: DatasetFigures) -> str:
    return (
        f"Worked out on {len(figures.labels):,} test images of {figures.data}, which do not ship, since "
        "their license is not stated; prepare them under “Test images” above to see them."
    )


def _show_classes(network: Network, page_state: PageState, figures: DatasetFigures) -> None:
    """Draw the classes of the top-activating images of the selected channel, with their activations."""
    layer, classes = figures.layers[page_state.layer.name], network.loaded.classes
    channel = min(page_state.channel or 0, len(layer.labels) - 1)
    _choose_channel(channel, len(layer.labels), "is excited most by images of these classes.")
    strongest = max(float(layer.values[channel].max()), 1e-6)
    rows = [
        (classes[label], float(value))
        for label, value in zip(layer.labels[channel], layer.values[channel], strict=True)
    ]
    words = ", ".join(f"{name} {value:.3g}" for name, value in rows)
    items = "".join(
        f'<li><b>{escape(name)}</b><i><span style="width:{100 * max(0.0, value) / strongest:.1f}%"></span>'
        f"</i><em>{value:.3g}</em></li>"
        for name, value in rows
    )
    label = escape(f"Map {channel} of {page_state.layer.name} is excited most by images of {words}")
    st.html(f'<ol class="excited" role="img" aria-label="{label}">{items}</ol>')
    st.caption(f"A bar is the map's strongest cell in one image. {_without_images(figures)}")


def _pictures(
    network: Network, page_state: PageState, data: Dataset, activations: MaxActivations, channel: int
) -> tuple[Pixels, Pixels]:
    """Return the images with the patch framed, and the patches, uint8 `(N, 3, SIDE, SIDE)` each."""
    field = field_of(network.analysis, page_state.layer)
    seen = dataset_pass.cropped_images(network, data, activations.images[channel])
    whole, patches = [], []
    for index, image in enumerate(seen):
        top, left, bottom, right = activations.patch(channel, index, field, (image.shape[1], image.shape[2]))
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
    for offset in range(2):
        for position in (top + offset, max(top, bottom - offset)):
            framed[:, min(position, SIDE - 1), left : right + 1] = np.array(FRAME, np.uint8)[:, None]
        for position in (left + offset, max(left, right - offset)):
            framed[:, top : bottom + 1, min(position, SIDE - 1)] = np.array(FRAME, np.uint8)[:, None]
    return framed


def _known_activations(network: Network, data: Dataset, layer: str, count: int) -> MaxActivations | None:
    from cnnviz.interpret.dataset_figures import load_cached

    return load_cached(dataset_pass.key_of(network, data, layer, count))


def _compute_activations(
    network: Network, data: Dataset, layer: str, count: int, progress: Progress
) -> MaxActivations:
    from cnnviz.interpret.dataset_figures import find_max_activations, save_cached

    rows = dataset_pass.sample_rows(data, count)
    batches = dataset_pass.iter_batches(network, data, rows)
    activations = find_max_activations(
        network.loaded.model, batches, [layer], total=len(rows), progress=progress
    )[layer]
    activations = replace(activations, images=rows[activations.images])
    save_cached(dataset_pass.key_of(network, data, layer, count), activations)
    return activations


# Embedding of the test images by the layer's features; a click selects one.

METHOD, OPENED = "features-method", "features-space-opened"
METHODS = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}
THUMB = 32
"""Side of the image shown on hover, in pixels."""
POINTS = 1_000
"""Number of points; t-SNE and UMAP take some seconds for them."""


def space(network: Network, page_state: PageState) -> None:
    """Draw the embedding."""
    if page_state.layer.name == SOFTMAX:
        st.info("Choose a layer; probabilities are the answer itself.", icon=":material/info:")
        return
    from cnnviz.interpret.dataset_figures import NO_UMAP, has_umap

    finished = _precomputed(network)
    if finished is not None and page_state.layer.name in finished.layers:
        _draw_precomputed(network, page_state, finished)
        return
    methods = [name for name in METHODS if name != "umap" or has_umap()]
    method = st.segmented_control(
        "Method", methods, format_func=METHODS.__getitem__, key=METHOD, default="pca", required=True,
        label_visibility="collapsed",
    )  # fmt: skip
    layer = page_state.layer.name
    result = dataset_pass.result_or_offer(
        network,
        "The map",
        f"features-space-{layer}",
        (POINTS,),
        lambda data, count: _known_embedding(network, data, layer, str(method)),
        lambda data, count, progress: _compute_embedding(network, data, layer, str(method), progress),
    )
    if result is not None:
        _draw(network, page_state, *result)
    if "umap" not in methods:
        st.caption(NO_UMAP)


def _draw(network: Network, page_state: PageState, data: Dataset, embedding: Embedding) -> None:
    rows = dataset_pass.sample_rows(data, POINTS)
    labels = data.test.labels[rows]
    figure = scatter(embedding.points, labels, data.classes, rows, image_input.chosen_row(data))
    name = page_state.layer.name or "the network"
    variance = embedding.explained
    explained = (
        f" The axes hold {percent(variance[0])} and {percent(variance[1])} of the variance."
        if variance
        else " Only near neighbors mean something, not distances or sizes."
    )
    st.caption(
        f"{len(rows):,} test images, near each other where {name} makes the same of them. "
        f"Where classes lie apart, this layer tells them apart.{explained} "
        "Pointing at one shows the image, a click opens it."
    )
    picked = plot(
        figure, key=f"features-space-{embedding.method}", height=520,
        name=f"{page_state.layer.name}-{embedding.method}",
        alt=f"{len(rows)} test images by what {page_state.layer.name} makes of them, colored by class",
        images=_images(data.fingerprint, POINTS, data),
    )  # fmt: skip
    if picked is not None and picked["customdata"] != st.session_state.get(OPENED):
        st.session_state[OPENED] = picked["customdata"]
        image_input.choose(image_input.address_of(data, int(picked["customdata"][0])))
        st.rerun()


def _draw_precomputed(network: Network, page_state: PageState, figures: DatasetFigures) -> None:
    embedding = figures.layers[page_state.layer.name].embedding
    count, name = len(figures.labels), page_state.layer.name
    rows = np.arange(count)
    figure = scatter(embedding.points, figures.labels.astype(np.int64), network.loaded.classes, rows, None)
    explained = [percent(part) for part in embedding.explained or (0.0, 0.0)]
    st.caption(
        f"{count:,} test images by PCA, near each other where {name} makes the same of them. Where classes "
        f"lie apart, this layer tells them apart. The axes hold {explained[0]} and {explained[1]} of the "
        f"variance. {_without_images(figures)}"
    )
    plot(
        figure, key="features-space-finished", height=520, name=f"{name}-pca", picks=False,
        alt=f"{count} test images by what {name} makes of them, colored by class",
    )  # fmt: skip


@RESULTS.cached()
def _images(fingerprint: str, count: int, _data: Dataset) -> Sprite:
    return sprite(np.asarray(_data.test.pixels(dataset_pass.sample_rows(_data, count))), largest=THUMB)


def _known_embedding(network: Network, data: Dataset, layer: str, method: str) -> Embedding | None:
    from cnnviz.interpret import cache
    from cnnviz.interpret.dataset_figures import Embedding

    arrays = cache.load("embedding", key_of(network, data, layer, POINTS, method))
    if arrays is None:
        return None
    explained = tuple(arrays["explained"].tolist()) or None
    return Embedding(method, arrays["points"], cast("tuple[float, float] | None", explained))  # type: ignore[arg-type]


def _compute_embedding(
    network: Network, data: Dataset, layer: str, method: str, progress: Progress
) -> Embedding:
    from cnnviz.interpret import cache, dataset_figures

    values = _features(network, data, layer, progress)
    if method == "pca":
        result = dataset_figures.pca(values)
    elif method == "tsne":
        result = dataset_figures.tsne(values, progress=progress)
    else:
        result = dataset_figures.umap(values, progress=progress)
    arrays = {"points": result.points, "explained": np.array(result.explained or (), np.float32)}
    cache.save("embedding", key_of(network, data, layer, POINTS, method), arrays)
    return result


def _features(network: Network, data: Dataset, layer: str, progress: Progress) -> Floats:
    from cnnviz.interpret.dataset_figures import features

    rows = dataset_pass.sample_rows(data, POINTS)
    batches = dataset_pass.iter_batches(network, data, rows)
    return features(network.loaded.model, batches, layer, len(rows), progress)
