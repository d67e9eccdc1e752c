"""Facts and arrays in one piece of bytes, as the browser reads them."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnviz.analysis.types import ReceptiveField
from cnnviz.interpret.mosaic import flag_channels
from cnnviz.ui.components import ALIGNED, packet
from cnnviz.ui.components.feature_maps import MosaicView, mosaic_packet


def unpacked(data: bytes) -> tuple[dict[str, object], dict[str, np.ndarray]]:
    """What packet.js does, in Python."""
    length = int.from_bytes(data[:4], "little")
    head = json.loads(data[4 : 4 + length])
    arrays = {}
    for name, entry in head["arrays"].items():
        start = 4 + length + entry["at"]
        assert start % ALIGNED == 0
        raw = data[start : start + entry["bytes"]]
        arrays[name] = np.frombuffer(raw, np.dtype(entry["kind"])).reshape(entry["shape"])
    return head["facts"], arrays


@given(
    st.dictionaries(st.text(max_size=20), st.integers() | st.text(max_size=9), max_size=4),
    st.lists(st.sampled_from(["uint8", "int32", "float16", "float32"]), max_size=4),
    st.integers(0, 7),
)
def test_everything_comes_back(facts: dict[str, object], kinds: list[str], count: int) -> None:
    arrays = {f"a{i}": np.arange(count).astype(kind) for i, kind in enumerate(kinds)}
    result, back = unpacked(packet(facts, arrays))
    assert result == facts
    assert back.keys() == arrays.keys()
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype
        assert np.array_equal(back[name], array)


def test_other_values_make_another_packet() -> None:
    def head(value: float) -> bytes:
        data = packet({"same": 1}, {"values": np.array([value], np.float32)})
        return data[: 4 + int.from_bytes(data[:4], "little")]

    assert head(1.0) == head(1.0)
    assert head(1.0) != head(2.0)


def test_what_a_browser_cannot_read_is_refused() -> None:
    with pytest.raises(TypeError, match="float64"):
        packet({}, {"values": np.zeros(3)})
    with pytest.raises(ValueError, match="JSON"):
        packet({"value": float("nan")}, {})


def test_a_large_layer_is_sent_thinned_out_and_says_so() -> None:
    maps = np.random.default_rng(0).standard_normal((64, 200, 200)).astype(np.float32)
    ends = np.ones(64, np.float32)
    picture = np.zeros((200, 200, 1), np.uint8)
    view = MosaicView(
        "conv1", maps, np.arange(64), -ends, ends, True, flag_channels(maps), "x", picture, ReceptiveField()
    )
    data = mosaic_packet(view)
    assert len(data) < 3_200_000
    facts, arrays = unpacked(data)
    assert facts["step"] == 2
    assert not facts["rounded"]
    assert np.array_equal(arrays["values"], maps[:, ::2, ::2])
    assert arrays["picture"].shape == (200, 200, 3)
