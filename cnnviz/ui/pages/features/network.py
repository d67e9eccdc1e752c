"""Network view of the Feature maps page, and the weights of a layer as small images with their histogram.

The network view is computed in the browser if the network is small, else here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from cnnviz.figures import numbers
from cnnviz.figures.distributions import weight_histogram
from cnnviz.inference import InferenceError
from cnnviz.inference.weights.layer_program import LayerProgram
from cnnviz.inference.weights.module_program import NetworkProgram, kernel, module_program
from cnnviz.interpret.layer_names import SOFTMAX
from cnnviz.interpret.mosaic import ChannelFlags, Floats
from cnnviz.ui.components.feature_maps import MosaicView, feature_mosaic, mosaic_packet
from cnnviz.ui.components.images import Cell, Line, Sprite, pictures, sprite
from cnnviz.ui.components.networks import (
    NetworkView,
    kernel_slot,
    network_arrays,
    network_packet,
    network_view,
    weights_slot,
)
from cnnviz.ui.components.plot import plot
from cnnviz.ui.pages.features.state import PageState, choose_layer
from cnnviz.ui.shared import notice, url_state
from cnnviz.ui.shared.inspection import model_input
from cnnviz.ui.shared.inspection.model_input import Network, choices, model_to_compare
from cnnviz.ui.shared.inspection.predictions import PreprocessedImage
from cnnviz.ui.shared.result_cache import RESULTS
from cnnviz.ui.shared.url_state import change_without_model

if TYPE_CHECKING:
    from cnnviz.interpret.filters import Weights

CSS = Path(__file__).with_name("network.css")
MAX_MACS = 110_000_000
"""Maximum multiply-adds per image for which the browser computes; above, the server sends layer outputs."""
MAX_VALUES = 16_000_000
"""Maximum number of values of all layers that are sent, one byte each."""
WANTED = "network-kernel-wanted"


def whole_network(network: Network, ready: PreprocessedImage, page_state: PageState) -> None:
    """Draw the network, or a sentence on why it cannot be drawn."""
    st.html(CSS)
    try:
        program = drawable_program(network)
    except InferenceError as error:
        name = notice.escape(network.loaded.name)
        st.info(
            f"{name} cannot be drawn on one screen. {notice.escape(str(error))} Maps shows each layer.",
            icon=":material/info:",
        )
        return
    _parts(network, ready, page_state, program)


@st.fragment
def _parts(
    network: Network, ready: PreprocessedImage, page_state: PageState, program: NetworkProgram
) -> None:
    """Draw as a fragment, which is rerun alone when a kernel is requested."""
    with st.container(key="network-arrays"):
        network_arrays(
            weights_slot(network.stamp), {"weights": program.program.weights}, key="network-weights"
        )
        _send_kernel(network, program)
    packet = _packet(network.stamp, ready.digest, page_state.opened, network, ready, program)
    network_view(packet, key="network-view", on_kernel=_request_kernel)


def _request_kernel(layer: int, channel: int) -> None:
    st.session_state[WANTED] = (layer, channel)


def _send_kernel(network: Network, program: NetworkProgram) -> None:
    """Send the requested kernel, if the network's weights are not in the browser."""
    requested = st.session_state.get(WANTED)
    if program.has_kernels or requested is None:
        return
    try:
        values = kernel(program, *requested).numpy().ravel()
    except ValueError:  # a request for another network, or a forged one
        return
    network_arrays(kernel_slot(network.stamp, *requested), {"kernel": values}, key="network-kernel")


@RESULTS.cached()
def _packet(
    stamp: str,
    digest: str,
    opened: tuple[str, int | None] | None,
    _network: Network,
    _ready: PreprocessedImage,
    _program: NetworkProgram,
) -> bytes:
    loaded = _network.loaded
    view = NetworkView(
        name=loaded.name, stamp=stamp, program=with_softmax(_program.program), macs=_program.macs,
        classes=loaded.classes, image=_ready.tensor[0].numpy(), picture=_ready.seen, digest=digest,
        outputs=None if _program.has_kernels else _outputs(_program, _ready), opened=opened,
    )  # fmt: skip
    return network_packet(view)


def with_softmax(program: LayerProgram) -> LayerProgram:
    """Append softmax to the program, unless it ends in one."""
    last = program.layers[-1]
    if last["op"] == "softmax":
        return program
    softmax = {"name": SOFTMAX, "op": "softmax", "from": [len(program.layers) - 1], "shape": last["shape"]}
    return LayerProgram((*program.layers, softmax), program.weights, program.input_shape)


def _outputs(program: NetworkProgram, ready: PreprocessedImage) -> list[Floats]:
    """Return every layer's output, the probabilities last."""
    outputs = [values.float().numpy() for values in program.outputs(ready.tensor)]
    if program.program.layers[-1]["op"] != "softmax":
        outputs.append(np.exp(outputs[-1] - np.logaddexp.reduce(outputs[-1])))
    return outputs


def drawable_program(network: Network) -> NetworkProgram:
    """Return the network's program.

    Raises:
        InferenceError: The network has no program, or is too large; the message is one sentence.
    """
    program = _program_or_reason(network.stamp, network)
    if isinstance(program, str):
        raise InferenceError(program)
    return program


@RESULTS.cached(keep=2)
def _program_or_reason(stamp: str, _network: Network) -> NetworkProgram | str:
    loaded = _network.loaded
    try:
        program = module_program(loaded.model, loaded.input_shape, most_macs=MAX_MACS)
    except InferenceError as error:
        return str(error)
    values = sum(math.prod(layer["shape"]) for layer in program.program.layers)
    if values > MAX_VALUES:
        return (
            f"Its layers give {values:,} values for an image, and at most {MAX_VALUES:,} can be sent; "
            "a smaller network, or one for smaller images, can be drawn."
        )
    return program


NOTHING = ChannelFlags((), (), (), ())
AGAINST, FILTER = "features-against", "features-filter"
ENLARGED, CELL = 12, 64


def filters(network: Network, page_state: PageState) -> None:
    """Draw the filters; for a layer without weights, link to the nearest one before it."""
    from cnnviz.interpret.filters import layers_with_filters

    having = layers_with_filters(network.loaded.model)
    if page_state.layer.name not in having:
        _elsewhere(network, page_state, having)
        return
    shown = [(network, _weights(network.stamp, page_state.layer.name, network))]
    beside = _beside(network)
    if beside is not None and page_state.layer.name in layers_with_filters(beside.loaded.model):
        shown.append((beside, _weights(beside.stamp, page_state.layer.name, beside)))
    channel = min(page_state.channel or 0, len(shown[0][1].values) - 1)
    for index, (shown_network, weights) in enumerate(shown):
        if len(shown) > 1:
            st.markdown(f"**{notice.escape(shown_network.loaded.name)}**")
        _pictures(shown_network, weights, min(channel, len(weights.values) - 1), index)
    _histogram([(shown_network.loaded.name, weights) for shown_network, weights in shown])


def _beside(network: Network) -> Network | None:
    """Draw the choice of another network of the same model, and return it."""
    model, known = network.loaded.spec.name, choices()
    called = model_input.labels(known)
    named = {"": "nothing beside it"}
    named |= {choice.reference: called[choice.reference] for choice in known if choice.model == model}
    named |= {f"fresh:{model}": "fresh weights"}
    named.pop(network.reference, None)
    chosen = st.query_params.get("against", "")
    if chosen not in named:
        notice.show([f"There are no weights {url_state.quoted(chosen)} of this model to put beside."])
    shown = st.session_state[AGAINST] = chosen if chosen in named else ""
    st.selectbox(
        "Beside it", list(named), format_func=lambda name: named.get(name, name), key=AGAINST, width=320,
        label_visibility="collapsed",
        on_change=partial(url_state.pick, AGAINST, named, shown, _choose_beside),
    )  # fmt: skip
    return model_to_compare(st.session_state[AGAINST]) if st.session_state[AGAINST] else None


def _choose_beside(reference: str) -> None:
    change_without_model(against=reference or None)


def _pictures(network: Network, weights: Weights, channel: int, index: int) -> None:
    _, inputs, height, width = weights.values.shape
    if inputs == 3 and height * width > 1:
        _colours(network, weights, channel, index)
    _kernels(network, weights, channel, index)


def _elsewhere(network: Network, page_state: PageState, having: tuple[str, ...]) -> None:
    st.info("This layer has no weights of its own that make images.", icon=":material/info:")
    order = [row.name for row in network.analysis.rows]
    index = order.index(page_state.layer.row) if page_state.layer.row in order else len(order)
    before = [name for name in order[:index] if name in having][-1:]
    for name in before or having[:1]:
        st.button(f"Filters of {name}", on_click=choose_layer, args=(name,), key="features-filters-of")


def _colours(network: Network, weights: Weights, channel: int, index: int) -> None:
    cells = [Cell(f"filter {number}", str(number)) for number in range(len(weights.values))]
    st.caption("Every filter as a color image: gray is zero, full color the layer's largest weight.")
    pictures(
        _colour_sheet(network.stamp, weights.layer, weights), [Line("", cells)],
        key=f"features-colours-{index}",
        alt=f"The {len(cells)} filters of {weights.layer} in color", name=f"{weights.layer}-filters",
        cell=CELL, chosen=str(channel), on_choose=lambda number: change_without_model(channel=number),
    )  # fmt: skip


@RESULTS.cached()
def _colour_sheet(stamp: str, layer: str, _weights: Weights) -> Sprite:
    scaled = _weights.values / (2 * (_weights.magnitude or 1)) + 0.5
    colours = np.clip(np.nan_to_num(scaled) * 255, 0, 255).round().astype(np.uint8)
    return sprite(colours.repeat(ENLARGED, 2).repeat(ENLARGED, 3))


def _kernels(network: Network, weights: Weights, channel: int, index: int) -> None:
    """Draw one filter's kernels over its input maps; with a single input map, every filter."""
    if weights.values.shape[1] == 1:
        st.caption("Every filter: orange adds, blue takes away, on one scale for the layer.")
        packet = _filters_packet(network.stamp, weights.layer, None, weights)
        feature_mosaic(
            packet,
            key=f"features-kernels-{index}",
            on_select=lambda number: change_without_model(channel=str(number)),
        )
        return
    if index == 0:
        _choose(weights, channel)
    feature_mosaic(
        _filters_packet(network.stamp, weights.layer, channel, weights), key=f"features-kernels-{index}"
    )


def _choose(weights: Weights, channel: int) -> None:
    left_out = np.flatnonzero(~weights.present[channel])
    words = f" It does not see the maps {', '.join(map(str, left_out))}." if 0 < len(left_out) <= 32 else ""
    st.session_state[FILTER] = channel
    count = numbers.exact(int(weights.present[channel].sum()))
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.caption("Filter", width="content")
        st.number_input(
            "Filter", 0, len(weights.values) - 1, key=FILTER, width=130, label_visibility="collapsed",
            on_change=lambda: change_without_model(channel=str(st.session_state[FILTER])),
        )  # fmt: skip
        st.caption(
            f"has a kernel for each of the {count} maps that it reads: orange adds, blue takes away.{words}"
        )


@RESULTS.cached()
def _filters_packet(stamp: str, layer: str, channel: int | None, _weights: Weights) -> bytes:
    kernels = _weights.values[:, 0] if channel is None else _weights.values[channel]
    shown = np.arange(len(kernels)) if channel is None else np.flatnonzero(_weights.present[channel])
    ends = np.full(len(kernels), _weights.magnitude, np.float32)
    noun, name = ("filter", layer) if channel is None else ("input", f"{layer} filter {channel}")
    view = MosaicView(name, kernels, shown, -ends, ends, True, NOTHING, name.replace(" ", "-"), noun=noun)
    return mosaic_packet(view)


@RESULTS.cached()
def _weights(stamp: str, layer: str, _network: Network) -> Weights:
    from cnnviz.interpret.filters import weights_of

    return weights_of(_network.loaded.model, layer)


def _histogram(drawn: Sequence[tuple[str, Weights]]) -> None:
    """Draw the histogram of the weights, one line per network."""
    from cnnviz.interpret.filters import histogram

    layer, end = drawn[0][1].layer, max(weights.magnitude for _, weights in drawn)
    counted = [(name, histogram(weights, magnitude=end)) for name, weights in drawn]
    summary = "; ".join(
        f"{name}: mean {numbers.significant(counts.mean)}, "
        f"standard deviation {numbers.significant(counts.spread)}"
        for name, counts in counted
    )
    plot(
        weight_histogram(counted), key="features-histogram", height=260, name=f"{layer}-weights", picks=False,
        alt=f"Histogram of the weights of {layer}. {summary}",
    )  # fmt: skip
    st.caption(notice.escape(summary))
