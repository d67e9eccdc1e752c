"""Network view of the Feature maps page: computed in the browser if the network is small, else here."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import streamlit as st

from cnnviz.inference import InferenceError
from cnnviz.inference.weights.layer_program import LayerProgram
from cnnviz.inference.weights.module_program import NetworkProgram, kernel, module_program
from cnnviz.interpret.mosaic import Floats
from cnnviz.ui.components.network import (
    NetworkView,
    kernel_slot,
    network_arrays,
    network_packet,
    network_view,
    weights_slot,
)
from cnnviz.ui.pages.features.state import SOFTMAX, PageState
from cnnviz.ui.shared import notice
from cnnviz.ui.shared.inspection.model_input import Network
from cnnviz.ui.shared.inspection.preprocessing import PreprocessedImage
from cnnviz.ui.shared.result_cache import RESULTS

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
