"""ONNX files read as data: facts against another source, layers against torch, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch.nn import functional

from cnnviz import models
from cnnviz.analysis import analyze
from cnnviz.analysis.export import torchinfo_table
from cnnviz.interpret.hooks import activations
from cnnviz.models.external import onnx_network
from cnnviz.models.external.onnx_network import OnnxError, OnnxFile
from tests.models.external import onnx_files


def read(made: Any, **bounds: Any) -> models.ModelSpec:
    return onnx_network.spec_of(OnnxFile(onnx_files.content(made), "net.onnx", **bounds), "file/net", "net")


@pytest.fixture(scope="module")
def small() -> models.ModelSpec:
    return read(onnx_files.small())


def test_its_table_names_layers_as_torch_does(small: models.ModelSpec) -> None:
    rows = analyze(small).rows
    assert [(row.name, row.type, row.params, row.macs) for row in rows] == [
        ("conv1", "Conv2d", 4 * 9 + 4, 4 * 9 * 64),
        ("relu", "ReLU", 0, 0),
        ("maxpool", "MaxPool2d", 0, 0),
        ("fc", "Linear", 64 * 3 + 3, 64 * 3),
    ]
    assert [str(row.receptive_field) for row in rows] == ["3×3", "3×3", "4×4", "whole input"]
    assert rows[0].settings | {"dilation": 0} == {
        "in": 1, "out": 4, "kernel": [3, 3], "stride": [1, 1], "padding": [1, 1], "dilation": 0, "groups": 1,
        "bias": True,
    }  # fmt: skip
    assert analyze(small).graph.edges == ((0, 2), (2, 3), (3, 4), (4, 5), (5, 1))


def test_layers_and_logits_are_what_torch_computes(small: models.ModelSpec) -> None:
    made = onnx_files.small()
    w = {t.name: torch.from_numpy(np.array(numpy_helper.to_array(t))) for t in made.graph.initializer}
    images = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    conv = functional.conv2d(images, w["conv1.weight"], w["conv1.bias"], padding=1)
    pooled = functional.max_pool2d(conv.relu(), 2)
    logits = pooled.flatten(1) @ w["fc.weight"] + w["fc.bias"]
    network = models.build(small)
    seen = activations(network, images, ["conv1", "maxpool", "fc"])
    torch.testing.assert_close(seen["conv1"], conv)
    torch.testing.assert_close(seen["maxpool"], pooled)
    torch.testing.assert_close(seen["fc"], logits)
    torch.testing.assert_close(network(images), logits)
    assert sum(p.numel() for p in network.parameters()) == analyze(small).total_params
    torch.testing.assert_close(network.get_parameter("fc.weight"), w["fc.weight"].T)


@pytest.mark.parametrize("name", ["lenet5", "small-googlenet-32"])
def test_an_export_of_ours_has_the_figures_of_the_model(name: str) -> None:
    spec = models.get(name)
    module = models.build(spec).eval()
    image = (torch.zeros(1, *spec.input_shape),)
    exported: Any = torch.onnx.export(module, image, dynamo=True, verbose=False)
    there, here = analyze(read(exported.model_proto)), analyze(spec)
    assert there.macs == here.macs
    fields = {row.name: row.receptive_field for row in here.rows}
    assert {
        r.name: r.receptive_field for r in there.rows if r.kind in ("conv", "pool")
    }.items() <= fields.items()
    assert there.params_of("fc") == here.params_of("fc")


def test_a_batch_that_is_fixed_at_one_is_run_image_by_image() -> None:
    made = onnx_files.small()
    made.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    made.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 1
    images = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        models.build(read(made))(images), models.build(read(onnx_files.small()))(images)
    )


def test_channels_last_is_seen_by_its_shape() -> None:
    turn = helper.make_node("Transpose", ["image"], ["t"], perm=[0, 3, 1, 2])
    pool = helper.make_node("GlobalMaxPool", ["t"], ["g"])
    made = onnx_files.model([turn, pool, helper.make_node("Flatten", ["g"], ["y"])], shape=("n", 8, 6, 3))
    spec = read(made)
    assert spec.input_shape == (3, 8, 6)
    image = torch.arange(144.0).reshape(1, 3, 8, 6)
    assert models.build(spec)(image).tolist() == [[47.0, 95.0, 143.0]]


def test_sizes_that_the_file_leaves_open_can_be_chosen() -> None:
    pool = helper.make_node("GlobalAveragePool", ["image"], ["g"])
    made = onnx_files.model([pool, helper.make_node("Flatten", ["g"], ["y"])], shape=("n", 3, "h", "w"))
    assert read(made).input_shape == (3, 224, 224)
    assert read(made, wanted=(3, 40, 24)).input_shape == (3, 40, 24)
    with pytest.raises(OnnxError, match=r"its input is 3×any×any, not 1×40×40"):
        read(made, wanted=(1, 40, 40))


@pytest.mark.parametrize("place", ["weight", "constant", "subgraph", "function"])
def test_data_in_another_file_are_refused_wherever_they_stand(place: str) -> None:
    with pytest.raises(OnnxError, match="its weights lie in another file"):
        read(onnx_files.external(place))


def test_custom_operators_are_refused() -> None:
    node = helper.make_node("Run", ["image"], ["logits"], domain="com.evil")
    with pytest.raises(OnnxError, match=r"the operator Run of 'com.evil', which is not of the ONNX standard"):
        read(onnx_files.model([node], opsets=[helper.make_opsetid("com.evil", 1)]))


def test_functions_of_standard_operators_are_read_into() -> None:
    twice = helper.make_node("Relu", ["x"], ["y"])
    made = onnx_files.small()
    made.functions.append(
        helper.make_function("own", "F", ["x"], ["y"], [twice], [helper.make_opsetid("", 18)])
    )
    made.opset_import.append(helper.make_opsetid("own", 1))
    made.graph.node[1].op_type, made.graph.node[1].domain = "F", "own"
    assert [row.type for row in analyze(read(made)).rows] == ["Conv2d", "ReLU", "MaxPool2d", "Linear"]


def test_a_file_that_asks_for_40_gb_costs_its_own_process_alone() -> None:
    with pytest.raises(OnnxError, match=r"'net.onnx' (is not read: it takes more memory|made the process)"):
        read(onnx_files.greedy())


def test_an_endless_loop_is_ended() -> None:
    with pytest.raises(OnnxError, match="took more than 3 s, so it was ended"):
        read(onnx_files.endless(), seconds=3.0)


@pytest.mark.parametrize("data", [b"", b"\x08\x09", b"not ONNX at all", b"\x3a\xff\xff\xff\xff\x0f"])
def test_damaged_files_are_refused_in_a_sentence(data: bytes) -> None:
    with pytest.raises(OnnxError, match=r"'net.onnx' is not read: it "):
        onnx_network.spec_of(OnnxFile(data, "net.onnx"), "file/net", "net")


def test_what_reads_no_image_is_refused() -> None:
    with pytest.raises(OnnxError, match="not a batch of images"):
        read(onnx_files.model([helper.make_node("Relu", ["image"], ["y"])], shape=("n", 7)))
    two = onnx_files.small()
    two.graph.input.append(helper.make_tensor_value_info("other", TensorProto.FLOAT, [1]))
    with pytest.raises(OnnxError, match="it reads 2 inputs"):
        read(two)


def test_it_cannot_be_built_in_another_form(small: models.ModelSpec) -> None:
    with pytest.raises(ValueError, match="its classes cannot be chosen"):
        analyze(small, num_classes=7)
    with pytest.raises(ValueError, match="for an input of 1×8×8"):
        analyze(small, input_size=16)


def test_torchinfo_has_nothing_to_follow(small: models.ModelSpec) -> None:
    with pytest.raises(ValueError, match="torchinfo follows a PyTorch module at work, and net is"):
        torchinfo_table(small, analyze(small))


def test_without_onnx_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(OnnxError, match=r"pip install 'cnnviz\[onnx\]'"):
        OnnxFile(b"", "net.onnx")


def test_few_children_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    files = [
        OnnxFile(onnx_files.content(onnx_files.small()), "net.onnx")
        for _ in range(onnx_network.MAX_RUNNING + 1)
    ]
    for file in files:
        file.describe()
    file = files[-1]
    assert len(onnx_network._running) <= onnx_network.MAX_RUNNING
    assert file._child is not None
    file.close()
    assert file._child is None
    assert file.describe()["output"]["shape"] == [1, 3]


def test_the_child_works_in_an_empty_folder_of_its_own(tmp_path: Path) -> None:
    file = OnnxFile(onnx_files.content(onnx_files.small()), "net.onnx")
    file.describe()
    assert file._child is not None
    folder = file._child._folder.name
    assert os.listdir(folder) == ["network.onnx"]
    file.close()
    assert not Path(folder).exists()
