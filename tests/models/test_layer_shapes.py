"""Shapes, parameters and misfits worked out without torch are those that torch finds."""

import math
import re
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from cnnviz.models.layers import (
    KINDS,
    Activation,
    BatchNorm,
    Conv,
    Dropout,
    Flatten,
    GlobalPool,
    Inception,
    Init,
    Layer,
    LayerList,
    Linear,
    LocalResponseNorm,
    MisfitError,
    NaiveInception,
    Pool,
    Residual,
    Resize,
    module_from,
)


def window(low: int, high: int) -> st.SearchStrategy[Any]:
    """One number, or one for height and one for width."""
    return st.integers(low, high) | st.tuples(st.integers(low, high), st.integers(low, high))


inits = st.builds(
    Init,
    weights=st.sampled_from(["default", "he", "glorot", "normal"]),
    std=st.floats(0.001, 1),
    bias=st.none() | st.floats(-2, 2),
)
norms = st.sampled_from(["none", "batch"])
functions = st.sampled_from(["relu", "tanh", "sigmoid", "leaky_relu", "gelu", "silu"])
small = st.integers(1, 6)
layers: st.SearchStrategy[Layer] = st.one_of(
    st.builds(Conv, out=small, kernel=window(1, 7), stride=window(1, 4), padding=window(0, 4),
              dilation=window(1, 3), groups=st.integers(1, 4), bias=st.booleans(), init=inits),
    st.builds(Pool, mode=st.sampled_from(["max", "average"]), kernel=window(1, 7),
              stride=st.none() | window(1, 5), padding=window(0, 4), ceil=st.booleans()),
    st.builds(GlobalPool),
    st.builds(BatchNorm, eps=st.floats(1e-6, 1e-2), momentum=st.floats(0, 1)),
    st.builds(LocalResponseNorm, size=st.integers(1, 9), alpha=st.floats(0, 1)),
    st.builds(Activation, function=functions),
    st.builds(Dropout, p=st.floats(0, 0.9), maps=st.booleans()),
    st.builds(Resize, size=window(1, 12)),
    st.builds(Inception, one=small, three_reduce=small, three=small, five_reduce=small, five=small,
              pool=small, norm=norms, init=inits),
    st.builds(NaiveInception, one=small, three=small, five=small),
    st.builds(Residual, out=small, stride=st.integers(1, 3)),
)  # fmt: skip
maps = st.tuples(st.integers(1, 8), st.integers(1, 14), st.integers(1, 14))


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@given(layers, maps)
def test_a_layer_gives_the_shape_and_the_parameters_that_torch_gives(
    layer: Layer, shape: tuple[int, int, int]
) -> None:
    try:
        expected = layer.output(shape)
    except MisfitError:
        with pytest.raises((RuntimeError, ValueError)):
            layer.module(shape, 10).eval()(torch.zeros(2, *shape))
        return
    module = layer.module(shape, 10).eval()
    assert tuple(module(torch.zeros(2, *shape)).shape[1:]) == expected
    assert layer.params(shape, 10) == parameters(module)


@given(maps, st.lists(layers, max_size=6), st.integers(1, 12), st.integers(0, 2))
def test_a_list_is_built_as_its_steps_say_or_refused(
    shape: tuple[int, int, int], middle: list[Layer], classes: int, hidden: int
) -> None:
    head = [Flatten(), *(Linear(out=3) for _ in range(hidden)), BatchNorm(), Linear()]
    document = LayerList(input=shape, classes=classes, layers=(*middle, *head))
    steps = list(document.steps())
    if document.problem():
        with pytest.raises(ValueError, match=f"^Layer '{next(s.name for s in steps if s.problem)}': "):
            module_from(document)
        return
    network = module_from(document).eval()
    assert [name for name, _ in network.named_children()] == document.names()
    values = torch.zeros(2, *shape)
    for step, part in zip(steps, network, strict=True):
        values = part(values)
        assert tuple(values.shape[1:]) == step.output_shape
    assert parameters(network) == sum(step.params for step in steps)


@given(maps, window(1, 20), window(0, 3), window(1, 3))
def test_what_a_misfit_says_would_fit_does(
    shape: tuple[int, int, int], kernel: Any, padding: Any, dilation: Any
) -> None:
    conv = Conv(kernel=kernel, padding=padding, dilation=dilation)
    try:
        conv.output(shape)
    except MisfitError as error:
        match = re.search(r"a kernel of at most (\d+) or a padding of at least (\d+) would\.$", str(error))
        assert match is not None
        smaller, wider = map(int, match.groups())
        assert min(conv.model_copy(update={"kernel": smaller}).output(shape)) >= 1
        assert min(conv.model_copy(update={"padding": wider}).output(shape)) >= 1
        with pytest.raises(MisfitError):
            conv.model_copy(update={"kernel": smaller + 1}).output(shape)


NEED_MAPS = {"conv", "pool", "global_pool", "lrn", "resize", "inception", "naive_inception", "residual"}


@pytest.mark.parametrize("kind", sorted(NEED_MAPS))
def test_kinds_that_need_maps_refuse_a_vector(kind: str) -> None:
    with pytest.raises(MisfitError, match=r"but a vector of 6 comes in; put it before the flatten layer\.$"):
        KINDS[kind].model_validate({}).output((6,))


@pytest.mark.parametrize("kind", sorted(set(KINDS) - NEED_MAPS))
def test_the_other_kinds_take_a_vector_as_torch_does(kind: str) -> None:
    layer = KINDS[kind].model_validate({})
    out = layer.module((6,), 10).eval()(torch.zeros(2, 6))
    assert tuple(out.shape[1:]) == tuple(10 if side == -1 else side for side in layer.output((6,)))


def test_dropping_whole_maps_needs_maps_and_linear_needs_a_vector() -> None:
    with pytest.raises(MisfitError, match="Dropout of maps needs maps"):
        Dropout(maps=True).output((6,))
    with pytest.raises(MisfitError, match="put a flatten or a global pooling layer before it"):
        Linear().output((6, 2, 2))


def test_groups_that_do_not_divide_are_told_which_would() -> None:
    with pytest.raises(
        MisfitError, match=r"4 groups must divide both the 6 maps .* the 9 that go out; 1, 3 would"
    ):
        Conv(out=9, groups=4).output((6, 8, 8))


def test_pooling_with_too_much_padding_is_told_how_much_is_allowed() -> None:
    with pytest.raises(MisfitError, match="pads by at most half its kernel: 1 here"):
        Pool(kernel=3, padding=2).output((1, 8, 8))


@given(maps, window(1, 5), window(1, 3))
def test_no_layer_fits_worse_when_the_input_grows(
    shape: tuple[int, int, int], kernel: Any, stride: Any
) -> None:
    layer = Pool(kernel=kernel, stride=stride, ceil=True)
    try:
        before = layer.output(shape)
    except MisfitError:
        return
    after = layer.output((shape[0], shape[1] + 1, shape[2] + 1))
    assert all(a <= b for a, b in zip(before, after, strict=True))
    assert math.prod(after) >= math.prod(before)
