"""Keras 3 configurations become networks of torch's layers; what is not known is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnviz import models
from cnnviz.analysis import analyze
from cnnviz.models.external import keras_config
from cnnviz.models.external.keras_layers import KerasError
from tests.models.external.keras_files import archive, called, functional, layer, sequential, tensor

MNIST = sequential(
    layer("Conv2D", "conv", filters=32, kernel_size=[3, 3], activation="relu"),
    layer("MaxPooling2D", "pool", pool_size=[2, 2]),
    layer("Conv2D", "conv_1", filters=64, kernel_size=[3, 3], activation="relu"),
    layer("MaxPooling2D", "pool_1", pool_size=[2, 2]),
    layer("Flatten"),
    layer("Dropout", rate=0.5),
    layer("Dense", "dense", units=10, activation="softmax"),
)
"""Keras's own example `mnist_convnet`, whose summary says 34,826 parameters."""


def read(config: Any, **more: Any) -> models.ModelSpec:
    return keras_config.spec_of(archive(config), "net.keras", "file/net", "net", **more)


def test_keras_s_example_has_the_parameters_that_keras_says() -> None:
    spec = read(MNIST)
    assert (spec.input_shape, spec.classes) == ((1, 28, 28), 10)
    analysis = analyze(spec)
    assert analysis.total_params == 34_826
    # By hand: 32·9·26² + 64·32·9·11² + 1,600·10.
    assert analysis.macs == 32 * 9 * 26**2 + 64 * 32 * 9 * 11**2 + 1600 * 10
    names = [row.name for row in analysis.rows if row.params]
    assert names == ["conv", "conv_1", "dense"]
    assert "dense_activation" not in [row.name for row in analysis.rows], "logits are given"


def test_the_alexnet_of_227_is_that_of_the_tutorial_of_layers() -> None:
    # 96 kernels of 11 with stride 4 over 227: 55×55, as AlexNet's paper; by hand (227 − 11) / 4 + 1.
    spec = read(
        sequential(
            layer("Conv2D", "c", filters=96, kernel_size=[11, 11], strides=[4, 4], activation="relu"),
            layer("BatchNormalization", "bn"),
            layer("GlobalAveragePooling2D"),
            layer("Dense", "d", units=10),
            shape=(None, 227, 227, 3),
        )
    )
    rows = {row.name: row for row in analyze(spec).rows}
    assert rows["c"].output_shape == (96, 55, 55)
    assert (rows["c"].params, rows["bn"].trainable, rows["bn"].buffers) == (34_944, 192, 193)


@pytest.mark.parametrize(("side", "kernel", "stride"), [(28, 3, 2), (7, 2, 2), (8, 5, 3), (9, 4, 1)])
def test_same_padding_gives_the_side_divided_by_the_stride(side: int, kernel: int, stride: int) -> None:
    made = layer("Conv2D", "c", filters=2, kernel_size=kernel, strides=stride, padding="same")
    spec = read(sequential(made, layer("Flatten"), layer("Dense", "d", units=3), shape=(None, side, side, 1)))
    network = models.build(spec)
    assert network(torch.zeros(2, 1, side, side)).shape == (2, 3)
    assert network.get_submodule("d").in_features == 2 * (-(-side // stride)) ** 2


def test_branches_shared_layers_and_models_inside() -> None:
    shared = layer("Conv2D", "shared", filters=3, kernel_size=1)
    inner = sequential(layer("ReLU", "relu"), layer("DepthwiseConv2D", "dw", kernel_size=3, padding="same"))
    spec = read(
        functional(
            called(shared, tensor("image"), tensor("shared")),
            called({**inner, "config": {**inner["config"], "name": "block"}}, tensor("shared", 1)),
            called(layer("Add", "add"), [tensor("block"), tensor("shared")]),
            called(layer("Concatenate", "cat"), [tensor("add"), tensor("image")]),
            called(layer("GlobalMaxPooling2D", "gap"), tensor("cat")),
            called(layer("Dense", "out", units=5), tensor("gap")),
            output="out",
        )
    )
    analysis = analyze(spec)
    rows = {row.name: row for row in analysis.rows}
    assert rows["shared"].calls == 2
    assert rows["block.dw"].params == 3 * (9 + 1)
    assert rows["out"].settings["in"] == 6
    assert analysis.classes == 5


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (sequential(layer("Lambda", "mine", function="os.system")), "'mine' is a Lambda, which is not known"),
        (sequential({**layer("Mine"), "registered_name": "own>Mine", "module": None}), "class of its own"),
        (sequential(layer("Conv2D", filters=2, kernel_size=1, activation="own>act")), "unknown activation"),
        (sequential(layer("Dense", units=10**9)), "has units 1000000000|is Dense over maps"),
        (sequential(layer("Flatten"), *(layer("Dense", n, units=10**6) for n in "abc")), "parameters"),
        (sequential(layer("Flatten"), shape=(None, 10)), "does not say that it reads images"),
        (sequential(shape=(None, 8, 8, 3)), "gives 3×8×8, not logits"),
        ({"class_name": "Mine", "config": {"layers": []}}, "not as Keras 3 writes|does not say"),
        ([], "is no description"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_refused_in_a_sentence(config: Any, sentence: str) -> None:
    with pytest.raises(KerasError, match=sentence):
        read(config)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"\x89HDF\r\n", archive({})[:-30]])
def test_what_is_no_archive_is_refused(data: bytes) -> None:
    with pytest.raises(KerasError):
        keras_config.spec_of(data, "net.keras", "file/net", "net")


@settings(max_examples=60, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
            st.sampled_from(["class_name", "config", "layers", "name", "inbound_nodes"]), inner, max_size=4
        ),
        max_leaves=12,
    )
)  # fmt: skip
def test_any_configuration_is_a_network_or_one_sentence(config: Any) -> None:
    with pytest.raises(KerasError, match=r"'net\.keras' "):
        read(config)
    with pytest.raises(KerasError, match=r"'net\.keras' "):
        read({"class_name": "Sequential", "config": {"layers": [layer("InputLayer"), config]}})
