"""Random small networks: what is said of them without running them is what running them shows."""

import math

import pytest
import torch
from hypothesis import assume, event, given
from hypothesis import strategies as st
from torch import nn

from cnnviz.analysis import Row, analyze
from tests.analysis.second_count import torch_macs

SIDES = st.integers(12, 24)


class Join(nn.Module):
    """Two branches of one input, added or concatenated."""

    def __init__(self, left: nn.Module, right: nn.Module, add: bool) -> None:
        super().__init__()
        self.left, self.right, self.add = left, right, add

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = self.left(x), self.right(x)
        return parts[0] + parts[1] if self.add else torch.cat(parts, 1)


@st.composite
def layer(draw: st.DrawFn, channels: int) -> tuple[nn.Module, int]:
    """One layer on `channels` maps, and how many leave it."""
    kernel, stride = draw(st.sampled_from([1, 2, 3, 5])), draw(st.integers(1, 2))
    padding = draw(st.integers(0, kernel // 2))
    what = draw(
        st.sampled_from(["conv", "depthwise", "dilated", "average", "norm", "relu", "branches", "resize"])
    )
    if what == "conv":
        out = draw(st.integers(1, 5))
        rectangle = (kernel, draw(st.sampled_from([1, 3])))
        return nn.Conv2d(channels, out, rectangle, stride, padding, bias=draw(st.booleans())), out
    if what == "depthwise":
        return nn.Conv2d(channels, 2 * channels, kernel, stride, padding, groups=channels), 2 * channels
    if what == "dilated":
        return nn.Conv2d(channels, 3, 3, stride, padding, dilation=2), 3
    if what == "average":
        return nn.AvgPool2d(kernel, stride, padding), channels
    if what == "branches":
        reach = draw(st.sampled_from([1, 3, 5]))
        same = nn.Conv2d(channels, channels, reach, padding=reach // 2)
        add = draw(st.booleans())
        return Join(nn.Identity(), same, add), channels if add else 2 * channels
    if what == "resize":
        return nn.Upsample(scale_factor=2, mode="nearest"), channels
    return (nn.BatchNorm2d(channels) if what == "norm" else nn.ReLU()), channels


@st.composite
def networks(draw: st.DrawFn) -> tuple[nn.Sequential, tuple[int, int, int]]:
    """A stack of layers and an input that passes through it."""
    channels = first = draw(st.integers(1, 3))
    shape = (first, draw(SIDES), draw(SIDES))
    layers: list[nn.Module] = []
    for _ in range(draw(st.integers(1, 5))):
        made, channels = draw(layer(channels))
        layers.append(made)
    network = nn.Sequential(*layers).eval()
    try:
        out = network(torch.zeros(1, *shape))
    except RuntimeError:
        assume(False)
    assume(out.numel() <= 40_000)
    return network, shape


@given(networks())
def test_shapes_parameters_and_multiply_adds(made: tuple[nn.Sequential, tuple[int, int, int]]) -> None:
    network, shape = made
    result = analyze(network, shape)
    assert result.total_params == sum(p.numel() for p in network.parameters())
    assert result.macs == torch_macs(network, torch.zeros(1, *shape))
    shapes = _run_shapes(network, shape)
    assert {row.name: row.output_shape for row in result.rows if row.name in shapes} == shapes
    assert result.graph.nodes[1].output_shape == list(shapes.values())[-1]


def _run_shapes(network: nn.Sequential, shape: tuple[int, int, int]) -> dict[str, tuple[int, ...]]:
    shapes, x = {}, torch.zeros(1, *shape)
    for name, part in network.named_children():
        x = part(x)
        shapes[name] = tuple(x.shape[1:])
    return shapes


@given(networks(), st.data())
def test_receptive_field_by_gradient(
    made: tuple[nn.Sequential, tuple[int, int, int]], data: st.DataObject
) -> None:
    """With every weight positive, a cell's gradient is not zero exactly where it sees the input."""
    network, shape = made
    for parameter in network.parameters():
        nn.init.constant_(parameter, 0.1)
    image = torch.ones(1, *shape, dtype=torch.float64, requires_grad=True)
    out = network.double()(image)
    cell = data.draw(st.integers(0, out.shape[2] - 1)), data.draw(st.integers(0, out.shape[3] - 1))
    out[0, :, cell[0], cell[1]].sum().backward()
    assert image.grad is not None
    seen = image.grad[0].abs().sum(0) > 0
    last = _last_row(network, shape)
    if last.receptive_field.whole:
        return
    top, left, bottom, right = last.receptive_field.box(cell, shape[1:])
    rows, columns = seen.any(1).nonzero().flatten().tolist(), seen.any(0).nonzero().flatten().tolist()
    if not rows:  # Nothing but padding is in sight.
        return
    outline = (rows[0], columns[0], rows[-1] + 1, columns[-1] + 1)
    rows_of_all = analyze(network, shape).rows
    resized = any(isinstance(part, nn.Upsample) for part in network)
    slack = max(max(row.receptive_field.jump) for row in rows_of_all) if resized else 0
    assert top <= outline[0] + slack
    assert left <= outline[1] + slack
    assert bottom >= outline[2] - slack
    assert right >= outline[3] - slack
    inside = outline == (top, left, bottom, right)
    event(f"resized {resized}, exact {inside}")
    if not resized and (not _leaves_pixels_out(network) or _clear_of_the_border(last, cell, shape)):
        assert inside


def _clear_of_the_border(row: Row, cell: tuple[int, int], shape: tuple[int, int, int]) -> bool:
    """Where no padding is in sight, the first and the last pixel of the field are always read."""
    field = row.receptive_field
    low = [start + i * jump for start, i, jump in zip(field.start, cell, field.jump, strict=True)]
    high = [a + size for a, size in zip(low, field.size, strict=True)]
    return min(low) >= 0 and all(b <= side for b, side in zip(high, shape[1:], strict=True))


def _leaves_pixels_out(network: nn.Sequential) -> bool:
    """A dilation or a stride can leave gaps, which show at the border of the input."""
    strides = [part.stride for part in network if isinstance(part, nn.Conv2d | nn.AvgPool2d)]
    dilated = any(part.dilation != (1, 1) for part in network if isinstance(part, nn.Conv2d))
    return dilated or any(stride not in (1, (1, 1)) for stride in strides)


def _last_row(network: nn.Sequential, shape: tuple[int, int, int]) -> Row:
    rows = analyze(network, shape).rows
    name = str(len(network) - 1)
    return [row for row in rows if row.name.split(".")[0] == name][-1]


@given(st.integers(1, 4), st.integers(1, 6), SIDES)
def test_global_pooling_and_flatten_see_everything(channels: int, out: int, side: int) -> None:
    pooled = analyze(
        nn.Sequential(nn.Conv2d(channels, out, 3), nn.AdaptiveAvgPool2d(1)), (channels, side, side)
    )
    flat = analyze(nn.Sequential(nn.Conv2d(channels, out, 3), nn.Flatten()), (channels, side, side))
    assert pooled.rows[0].receptive_field.size == (3, 3)
    assert pooled.rows[-1].receptive_field.whole
    assert flat.rows[-1].receptive_field.whole
    assert math.prod(flat.rows[-1].output_shape) == out * (side - 2) ** 2


def test_the_second_count_is_a_closed_form_where_there_is_one() -> None:
    plain = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.Flatten(), nn.Linear(4 * 6 * 6, 5))
    assert torch_macs(plain, torch.zeros(1, 3, 8, 8)) == 6 * 6 * 4 * 27 + 4 * 6 * 6 * 5


def test_the_second_count_refuses_what_some_versions_leave_out() -> None:
    class Attention(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.scaled_dot_product_attention(x, x, x)

    with pytest.raises(AssertionError, match="attention"):
        torch_macs(Attention().eval(), torch.zeros(1, 2, 4, 8))
