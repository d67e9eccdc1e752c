"""What the view of a whole network is sent."""

import base64

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cnnviz.inference.weights.layer_program import LayerProgram
from cnnviz.ui.components.networks import NetworkView, network_packet, quantized, weights_slot
from tests.ui.components.test_packet import unpacked

shapes = st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5))
values = hnp.arrays(np.float32, shapes, elements=st.floats(-99, 99, width=32))


@given(st.lists(values, min_size=1, max_size=3))
def test_eight_bits_are_at_most_half_a_step_off(outputs: list[np.ndarray]) -> None:
    sent = quantized(outputs)
    at = channel = 0
    for maps in outputs:
        for one in maps:
            back = sent["low"][channel] + sent["step"][channel] * sent["bytes"][at : at + one.size].astype(
                np.float64
            )
            half = (float(one.max()) - float(one.min())) / 255 / 2
            assert np.abs(back - one.ravel()).max() <= half * 1.001 + 1e-4
            at, channel = at + one.size, channel + 1
    assert at == sent["bytes"].size


def test_values_that_are_no_numbers_do_not_stop_it() -> None:
    assert quantized([np.array([[[np.nan, 1]]], np.float32)])["bytes"].tolist() == [0, 255]


def view(outputs: list[np.ndarray] | None) -> NetworkView:
    layers = ({"name": "softmax", "op": "softmax", "from": [-1], "shape": [2]},)
    program = LayerProgram(layers, np.zeros(0, np.float32), (1, 1, 2))
    picture = np.zeros((1, 2, 1), np.uint8)
    return NetworkView(
        "Net", "run:1 abc", program, 7, ("a", "b"), np.zeros((1, 1, 2), np.float32), picture, "d", outputs
    )


def test_values_come_only_where_the_server_works_them_out_and_weights_never() -> None:
    facts, arrays = unpacked(network_packet(view(None)))
    assert facts["mode"] == "browser"
    assert "onmessage" in str(facts["worker"])
    assert base64.b64decode(str(facts["kernel"])).startswith(b"\0asm")
    assert {"bytes", "weights"}.isdisjoint(arrays)
    assert facts["weights"] == weights_slot("run:1 abc")
    assert "run:1" not in str(facts), "the address of weights says nothing of where they are"
    facts, arrays = unpacked(network_packet(view([np.ones((2,), np.float32)])))
    assert facts["mode"] == "server"
    assert not {"worker", "kernel"} & facts.keys()
    assert arrays["bytes"].size == 2
