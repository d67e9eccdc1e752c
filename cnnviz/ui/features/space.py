"""The test images as a map in two dimensions, by what the layer makes of each; a click opens one."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import streamlit as st

from cnnviz.datasets import Progress
from cnnviz.figures.numbers import percent
from cnnviz.figures.scatter import scatter
from cnnviz.figures.sprite import Sprite, sprite
from cnnviz.interpret.maps import Floats
from cnnviz.ui.components.plot import plot
from cnnviz.ui.features import through
from cnnviz.ui.features.state import SOFTMAX, Asked
from cnnviz.ui.features.through import key_of
from cnnviz.ui.inside.weights import Network
from cnnviz.ui.pictures import state
from cnnviz.ui.result_cache import RESULTS

if TYPE_CHECKING:
    from cnnviz.datasets import Dataset
    from cnnviz.interpret.embedding import Embedding

METHOD, OPENED = "features-method", "features-space-opened"
METHODS = {"pca": "PCA", "tsne": "t-SNE"}
THUMB = 32
"""Pixels of an image at the pointer."""
POINTS = 1_000
"""Points that are drawn; t-SNE takes some seconds for them."""


def space(network: Network, asked: Asked) -> None:
    """Draw it."""
    if asked.layer.name == SOFTMAX:
        st.info("Choose a layer; probabilities are the answer itself.", icon=":material/info:")
        return
    method = st.segmented_control(
        "Method", list(METHODS), format_func=METHODS.__getitem__, key=METHOD, default="pca", required=True,
        label_visibility="collapsed",
    )  # fmt: skip
    layer = asked.layer.name
    found = through.offered(
        network,
        "The map",
        f"features-space-{layer}",
        (POINTS,),
        lambda data, count: _known(network, data, layer, str(method)),
        lambda data, count, progress: _work_out(network, data, layer, str(method), progress),
    )
    if found is not None:
        _draw(network, asked, *found)


def _draw(network: Network, asked: Asked, data: Dataset, found: Embedding) -> None:
    rows = through.some_rows(data, POINTS)
    labels = data.test.labels[rows]
    which, _ = state.read(st.query_params.get("picture"))
    chosen = int(which.detail) if which is not None and which.kind == "test" else None
    figure = scatter(found.points, labels, data.classes, rows, chosen)
    name = asked.layer.name or "the network"
    explained = (
        f" The axes hold {percent(found.explained[0])} and {percent(found.explained[1])} of the variance."
        if found.explained
        else " Only near neighbours mean something, not distances or sizes."
    )
    st.caption(
        f"{len(rows):,} test images, near each other where {name} makes the same of them. "
        f"Where classes lie apart, this layer tells them apart.{explained} "
        "Pointing at one shows the image, a click opens it."
    )
    picked = plot(
        figure, key=f"features-space-{found.method}", height=520, name=f"{asked.layer.name}-{found.method}",
        alt=f"{len(rows)} test images by what {asked.layer.name} makes of them, coloured by class",
        images=_images(data.fingerprint, POINTS, data),
    )  # fmt: skip
    if picked is not None and picked["customdata"] != st.session_state.get(OPENED):
        st.session_state[OPENED] = picked["customdata"]
        state.choose(f"test:{int(picked['customdata'][0])}")
        st.rerun()


@RESULTS.cached()
def _images(fingerprint: str, count: int, _data: Dataset) -> Sprite:
    return sprite(np.asarray(_data.test.pixels(through.some_rows(_data, count))), largest=THUMB)


def _known(network: Network, data: Dataset, layer: str, method: str) -> Embedding | None:
    from cnnviz.interpret import storage
    from cnnviz.interpret.embedding import Embedding

    kept = storage.load("embedding", key_of(network, data, layer, POINTS, method))
    if kept is None:
        return None
    explained = tuple(kept["explained"].tolist()) or None
    return Embedding(method, kept["points"], cast("tuple[float, float] | None", explained))  # type: ignore[arg-type]


def _work_out(network: Network, data: Dataset, layer: str, method: str, progress: Progress) -> Embedding:
    from cnnviz.interpret import embedding, storage

    values = _features(network, data, layer, progress)
    found = embedding.pca(values) if method == "pca" else embedding.tsne(values, progress=progress)
    kept = {"points": found.points, "explained": np.array(found.explained or (), np.float32)}
    storage.save("embedding", key_of(network, data, layer, POINTS, method), kept)
    return found


def _features(network: Network, data: Dataset, layer: str, progress: Progress) -> Floats:
    from cnnviz.interpret.embedding import features

    rows = through.some_rows(data, POINTS)
    batches = through.images_of(network, data, rows)
    return features(network.loaded.model, batches, layer, len(rows), progress)
