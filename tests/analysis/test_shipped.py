"""What ships is what would be computed, and agrees with what others publish and count."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
import torchinfo

from cnnviz import models
from cnnviz.analysis import Analysis, analyze, overview, precompute, precomputed
from cnnviz.analysis.core import of_spec
from cnnviz.analysis.precomputed import decode, encode
from cnnviz.analysis.types import depth
from cnnviz.models.meta_device import on_meta
from tests.analysis.second_count import torch_macs

SPECS = {name: spec for name, spec in models.specs().items() if spec.source in precomputed.SOURCES}
OURS = [name for name, spec in SPECS.items() if spec.source == "cnnviz"]
THEIRS = [name for name, spec in SPECS.items() if spec.source == "torchvision"]


def computed(name: str) -> Analysis:
    spec = SPECS[name]
    return of_spec(spec, spec.classes, spec.input_shape, spec.options())


@pytest.mark.parametrize("name", SPECS)
def test_shipped_facts_are_what_is_computed(name: str) -> None:
    shipped = precomputed.load(name)
    assert shipped is not None, "run `make facts`"
    fresh = computed(name)
    assert json.loads(json.dumps(encode(fresh))) == json.loads(json.dumps(encode(shipped))), (
        "run `make facts`"
    )
    assert precompute.summarise(fresh, SPECS[name]) == next(line for line in overview() if line.name == name)


def test_overview_lists_every_default_once() -> None:
    assert [line.name for line in overview()] == list(SPECS)


@pytest.mark.parametrize("name", THEIRS)
def test_torchvision_publishes_the_same(name: str) -> None:
    result, spec = analyze(name), SPECS[name]
    macs = spec.published_value("macs")
    assert result.total_params == spec.published_value("params")
    assert macs is not None
    assert abs(result.macs - macs) <= max(0.01 * macs, 0.0005e9)


def test_there_are_eighty_of_torchvision() -> None:
    assert len(THEIRS) == 80


@pytest.mark.parametrize("name", OURS)
def test_torch_counts_the_same_multiply_adds(name: str) -> None:
    spec = SPECS[name]
    model = on_meta(lambda: spec.builder(spec.classes, spec.input_shape, spec.options()))
    assert analyze(name).macs == torch_macs(model, torch.empty((1, *spec.input_shape), device="meta"))


@pytest.mark.parametrize("name", OURS)
def test_torchinfo_sees_the_same_layers(name: str) -> None:
    """What torchinfo is good at: parameters and output shapes of plain layers."""
    spec = SPECS[name]
    model = on_meta(lambda: spec.builder(spec.classes, spec.input_shape, spec.options()))
    seen = torchinfo.summary(model, (1, *spec.input_shape), depth=9, verbose=0, device="meta")
    theirs = {info.var_name: info for info in seen.summary_list if info.depth == 1 and info.is_leaf_layer}
    result = analyze(name)
    ours = [row for row in result.rows if row.name in theirs and not row.training_only]
    assert seen.total_params == result.total_params
    assert ours
    for row in ours:
        assert tuple(theirs[row.name].output_size[1:]) == row.output_shape
        assert theirs[row.name].num_params == row.params


@pytest.mark.parametrize("name", SPECS)
def test_parts_add_up(name: str) -> None:
    result = analyze(name)
    model = on_meta(
        lambda: SPECS[name].builder(result.classes, SPECS[name].input_shape, SPECS[name].options())
    )
    kinds = (result.conv_params, result.fc_params, result.norm_params, result.other_params)
    assert sum(kinds) == result.total_params == sum(p.numel() for p in model.parameters())
    assert min(kinds) >= 0
    assert sum(row.buffers for row in result.rows) == sum(b.numel() for b in model.buffers())
    assert result.macs == sum(row.macs for row in result.rows if not row.training_only)
    names = [row.name for row in result.rows]
    assert len(set(names)) == len(names)
    assert result.notes == ()


@pytest.mark.parametrize("name", [*OURS, "torchvision/swin_v2_t", "torchvision/vit_b_16"])
def test_an_analysis_survives_its_codec(name: str) -> None:
    result = analyze(name)
    assert decode(json.loads(json.dumps(encode(result)))) == result


def test_facts_of_another_format_are_refused() -> None:
    with pytest.raises(ValueError, match="format 0"):
        decode(encode(analyze("lenet5")) | {"format": 0})


def test_facts_outside_the_folder_are_not_read() -> None:
    assert precomputed.load("../../../etc/passwd") is None
    assert precomputed.load("nothing") is None


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("lenet5", 5),
        ("alexnet", 8),
        ("torchvision/vgg16", 16),
        ("torchvision/resnet50", 50),
        ("googlenet-aux", 21),
    ],
)
def test_depth_counts_weight_layers_on_the_longest_path(name: str, layers: int) -> None:
    assert depth(analyze(name)) == layers


def test_depth_leaves_out_what_only_trains() -> None:
    result = analyze("googlenet-aux")
    late = replace(result.graph, nodes=tuple(replace(n, training_only=False) for n in result.graph.nodes))
    assert depth(result) == depth(analyze("googlenet"))
    assert depth(replace(result, graph=late)) >= depth(result)


def test_a_registered_default_needs_no_torch() -> None:
    code = (
        "import sys; from cnnviz.analysis import analyze, overview;"
        "analyze('torchvision/resnet50'); overview();"
        "sys.exit(any(name in sys.modules for name in ('torch', 'torchvision', 'pandas')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
