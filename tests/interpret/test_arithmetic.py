"""The working of any cell adds up to what the network gave, for every layer of every model of ours."""

import functools
import json
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor, nn

from cnnviz import models
from cnnviz.analysis import analyze
from cnnviz.interpret import InterpretError, NotCoveredError
from cnnviz.interpret.arithmetic import SOFTMAX, Inspection, inspect
from cnnviz.interpret.arithmetic.base import MODULES, arithmetic_of, is_covered
from cnnviz.interpret.hooks import ActivationRecorder, last_operations, record_layers, shared_copy
from cnnviz.interpret.layer_names import layers

OURS = [spec.name for spec in models.specs().values() if spec.source == "cnnviz"]
CLOSE = 1e-5
"""Of the layer's largest magnitude."""


@functools.lru_cache(maxsize=2)
def model_and_image(name: str) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    channels, *side = models.get(name).input_shape
    if name == "inception-naive":
        side = [193, 193]  # The smallest that works: at 224 it takes 12.6 thousand million multiply-adds.
    model = models.build(name, input_size=(side[0], side[1])).eval()
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean = torch.randn(part.num_features)
            part.running_var = 0.5 + torch.rand(part.num_features)
            nn.init.normal_(part.weight, 1, 0.2)
            nn.init.normal_(part.bias)
    return model, torch.randn(1, channels, *side)


def cells(found: Inspection, count: int, seed: int = 0) -> Iterator[tuple[int, int, int]]:
    """Random cells, and the corners, where padding matters."""
    random = np.random.default_rng(seed)
    shape = found.output.shape
    yield 0, 0, 0
    yield shape[0] - 1, shape[1] - 1, shape[2] - 1
    for _ in range(count):
        channel, y, x = (int(random.integers(side)) for side in shape)
        yield channel, y, x


def check(found: Inspection, count: int = 3) -> None:
    magnitude = float(np.abs(found.output).max())
    for channel, y, x in cells(found, count):
        working = found.at(channel, y, x)
        assert working.actual == found.output[channel, y, x]
        assert abs(working.result - working.actual) <= CLOSE * magnitude, (found.layer, working.cell)


@pytest.mark.parametrize("name", OURS)
def test_every_layer_of_every_model_of_ours_adds_up(name: str) -> None:
    model, image = model_and_image(name)
    rows = [layer.name for layer in layers(analyze(name))]
    modules = dict(model.named_modules())
    leaves = [row for row in rows if is_covered(modules[row])]
    for result in record_layers(model, image, leaves).values():
        check(Inspection(arithmetic_of(result)), 1)
    for result in last_operations(model, image, set(rows) - set(leaves)).values():
        check(Inspection(arithmetic_of(result)))
    assert all(is_covered(modules[row]) or modules[row]._modules for row in rows)


@pytest.mark.parametrize(
    ("name", "rows", "kind"),
    [
        ("googlenet-32", ["inception_3a", "inception_5b"], "concatenation"),
        ("resnet18-32", ["block2_1"], "sum"),
    ],
)
def test_containers_tell_of_their_join(name: str, rows: list[str], kind: str) -> None:
    model, image = model_and_image(name)
    for row in rows:
        result = inspect(model, image, row)
        assert result.kind == kind
        check(result)


def test_a_concatenation_says_which_branch_a_channel_comes_from() -> None:
    model, image = model_and_image("googlenet-32")
    result = inspect(model, image, "inception_3a")
    branch, within = result.at(64 + 5, 3, 3).windows[0].source, result.at(64 + 5, 3, 3).windows[0].channel
    assert (branch, within) == ("inception_3a.branch3", 5)
    assert result.at(63).windows[0].source == "inception_3a.branch1"
    assert result.at(255).windows[0].source == "inception_3a.branch_pool"
    assert "channel 5 of 'inception_3a.branch3'" in result.at(69).note


def test_a_sum_names_both_sides() -> None:
    model, image = model_and_image("resnet18-32")
    working = inspect(model, image, "block2_1").at(1, 2, 3)
    assert [w.source for w in working.windows] == ["block2_1.norm2", "block2_1.shortcut"]


def test_the_partial_c3_leaves_inputs_out() -> None:
    model, image = model_and_image("lenet5-1998")
    working = inspect(model, image, "c3").at(0, 2, 4)
    assert working.left_out == (3, 4, 5)
    assert [w.channel for w in working.windows] == [0, 1, 2]
    assert working.inputs == 75
    assert inspect(model, image, "c3").at(15).left_out == ()


def test_max_pooling_says_who_won() -> None:
    model, image = model_and_image("lenet5")
    result, pooled = inspect(model, image, "pool1"), record_layers(model, image, ["pool1"])["pool1"]
    for cell in cells(result, 20):
        winner = result.at(*cell).winner
        assert winner is not None
        assert float(pooled.inputs[0][0][winner]) == result.output[cell]


def test_units_tell_where_their_inputs_lay() -> None:
    model, image = model_and_image("lenet5")
    working = inspect(model, image, "fc1").at(7)
    flattened = record_layers(model, image, ["flatten"])["flatten"].inputs[0][0]
    assert len(working.contributions) == 24
    assert working.inputs == 400
    for one in working.contributions:
        assert one.cell is not None
        assert float(flattened[one.cell]) == one.value
    products = [abs(one.product) for one in working.contributions]
    assert products == sorted(products, reverse=True)
    assert working.steps[0].value + working.steps[1].value == pytest.approx(working.steps[2].value)
    assert inspect(model, image, "fc2").at(0).contributions[0].cell is None


def test_softmax_follows_every_model() -> None:
    model, image = model_and_image("lenet5")
    result = inspect(model, image, SOFTMAX)
    check(result)
    assert sum(result.at(k).result for k in range(10)) == pytest.approx(1)


def test_workings_are_plain_data() -> None:
    model, image = model_and_image("lenet5")
    for layer in ("conv1", "relu1", "pool1", "flatten", "fc1"):
        document = json.loads(json.dumps(inspect(model, image, layer).at(1).to_dict()))
        assert document["result"] == pytest.approx(document["actual"], abs=1e-5)
        assert document["layer"] == layer


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[nn.Conv2d, tuple[int, int]]:
    groups = draw(st.sampled_from([1, 2, 3]))
    sizes = st.integers(1, 3)
    inside, made = groups * draw(sizes), groups * draw(sizes)
    pairs = st.tuples(st.integers(1, 4), st.integers(1, 4))
    padding = draw(st.tuples(st.integers(0, 3), st.integers(0, 3)) | st.just("same"))
    stride = (1, 1) if padding == "same" else draw(pairs)
    layer = nn.Conv2d(
        inside, made, draw(pairs), stride, padding, draw(st.tuples(sizes, sizes)), groups, draw(st.booleans())
    )
    return layer, draw(st.tuples(st.integers(4, 11), st.integers(4, 11)))


@given(convolutions())
def test_any_convolution_adds_up(drawn: tuple[nn.Conv2d, tuple[int, int]]) -> None:
    layer, (height, width) = drawn
    reach = [d * (k - 1) + 1 for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
    room = [0, 0] if isinstance(layer.padding, str) else [2 * p for p in layer.padding]
    # torch warns of a copy that it makes for "same" with an even reach.
    assume(not isinstance(layer.padding, str) or all(n % 2 for n in reach))
    assume(isinstance(layer.padding, str) or (height + room[0] >= reach[0] and width + room[1] >= reach[1]))
    image = torch.randn(1, layer.in_channels, height, width)
    result = inspect(nn.Sequential(layer).eval(), image, "0")
    check(result)
    if not isinstance(layer.padding, str):
        payload = result.payload()
        assert payload.scope == "layer"
        assert payload.arrays["output"][0] == result.output.shape


@given(
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.integers(1, 4),
    padding=st.integers(0, 2),
    ceil=st.booleans(),
    count=st.booleans(),
    kind=st.sampled_from(["max", "average", "adaptive average", "adaptive max"]),
    size=st.tuples(st.integers(4, 9), st.integers(4, 9)),
)
def test_any_pooling_adds_up(
    kernel: tuple[int, int],
    stride: int,
    padding: int,
    ceil: bool,
    count: bool,
    kind: str,
    size: tuple[int, int],
) -> None:
    assume(padding <= min(kernel) // 2)
    layer: nn.Module
    if kind == "max":
        layer = nn.MaxPool2d(kernel, stride, padding, ceil_mode=ceil)
    elif kind == "average":
        layer = nn.AvgPool2d(kernel, stride, padding, ceil, count)
    else:
        layer = (nn.AdaptiveAvgPool2d if "average" in kind else nn.AdaptiveMaxPool2d)(kernel)
    check(inspect(nn.Sequential(layer).eval(), torch.randn(1, 2, *size), "0"), 8)


@given(size=st.integers(1, 9), old=st.tuples(st.integers(1, 7), st.integers(1, 7)), maps=st.integers(1, 6))
def test_normalisation_and_resizing_add_up(size: int, old: tuple[int, int], maps: int) -> None:
    stack = nn.Sequential(nn.LocalResponseNorm(size, 0.5, 0.75, 2), nn.Upsample((9, 11), mode="bilinear"))
    image = torch.randn(1, maps, *old)
    for layer in ("0", "1"):
        check(inspect(stack.eval(), image, layer), 8)


@pytest.mark.parametrize(
    "layer", [nn.ReLU(), nn.ReLU6(), nn.LeakyReLU(0.2), nn.Tanh(), nn.Sigmoid(), nn.GELU(), nn.SiLU(),
              nn.Hardswish(), nn.Hardsigmoid(), nn.ReLU(inplace=True), nn.Dropout(), nn.Dropout2d()]
)  # fmt: skip
def test_functions_of_one_value(layer: nn.Module) -> None:
    check(inspect(nn.Sequential(layer).eval(), torch.randn(1, 3, 4, 4) * 4, "0"), 10)


@pytest.mark.parametrize(
    ("name", "side", "names"),
    [
        ("torchvision/googlenet", 64, ["conv1", "conv1.conv", "inception3a", "avgpool", "maxpool1", "fc"]),
        ("torchvision/resnet18", 32, ["layer1.0:add", "layer1.0.relu@2", "layer2.0.bn1", "layer4.1"]),
        ("torchvision/densenet121", 32, ["features.denseblock1", ":relu", ":adaptive-pooling", "classifier"]),
        ("torchvision/mobilenet_v3_small", 32, ["features.0", "features.0.2", "features.1.block.1:multiply"]),
    ],
)
def test_what_torchvisions_models_share_with_ours(name: str, side: int, names: list[str]) -> None:
    torch.manual_seed(0)
    model = models.build(name, input_size=side).eval()
    image = torch.randn(1, 3, side, side)
    for layer in names:
        modules = dict(model.named_modules())
        if layer in modules and isinstance(modules[layer], nn.Sequential):
            with pytest.raises(NotCoveredError, match="look at the layers in it"):
                inspect(model, image, layer)
            continue
        check(inspect(model, image, layer))


def test_what_is_not_worked_out_says_so() -> None:
    stack = nn.Sequential(nn.LayerNorm(4), nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect")).eval()
    image = torch.randn(1, 1, 4, 4)
    with pytest.raises(NotCoveredError, match="LayerNorm"):
        inspect(stack, image, "0")
    with pytest.raises(NotCoveredError, match="zeros"):
        inspect(stack, image, "1")
    with pytest.raises(InterpretError, match="no cell"):
        inspect(*model_and_image("lenet5"), "conv1").at(6, 0, 0)
    with pytest.raises(InterpretError, match="one image"):
        inspect(stack, torch.randn(2, 1, 4, 4), "0")


def array(payload_array: tuple[tuple[int, ...], bytes]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    shape, data = payload_array
    return np.frombuffer(data, "<f4").reshape(shape)


@pytest.mark.parametrize(("limit", "scope"), [(10**7, "layer"), (12_000, "channel"), (1_000, "cell")])
def test_payloads_shrink_in_stages(limit: int, scope: str) -> None:
    model, image = model_and_image("lenet5")
    result = inspect(model, image, "conv2")
    payload = result.payload(3, limit)
    assert payload.scope == scope
    assert bool(payload.note) is (scope != "layer")
    output = array(payload.arrays["output"])
    assert (output == (result.output if scope == "layer" else result.output[3:4])).all()
    if scope != "cell":
        kernel = array(payload.arrays["weight"])[3 if scope == "layer" else 0]
        patch = array(payload.arrays["input"])[:, 2:7, 4:9]
        bias = array(payload.arrays["bias"])[3 if scope == "layer" else 0]
        assert float((patch * kernel).sum() + bias) == pytest.approx(float(result.output[3, 2, 4]), abs=1e-4)


def test_every_kind_hands_over_what_it_needs() -> None:
    assert {kind.kind for kind in MODULES.values()} >= {"convolution", "linear", "max pooling", "batch norm"}
    model, image = model_and_image("lenet5-1998")
    for name, layer in model.named_children():
        payload = inspect(model, image, name).payload()
        assert payload.scope == "layer", name
        assert "input" in payload.arrays
        json.dumps(payload.settings)
        assert is_covered(layer)


def test_watching_needs_no_wanted_operation() -> None:
    model, image = model_and_image("lenet5")
    assert not last_operations(model, image, [""])
    assert ActivationRecorder(shared_copy(model), ["conv1"]).run(image).keys() == {"conv1"}
