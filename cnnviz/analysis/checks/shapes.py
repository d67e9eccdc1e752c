"""Checks of sizes: windows and strides, pooling, flattening, and bottlenecks."""

from __future__ import annotations

import math
from collections.abc import Iterator

from cnnviz.analysis.checks.layers import NEURALINT, SUMS, _listed
from cnnviz.analysis.checks.network import INPUT, Network
from cnnviz.analysis.checks.registry import Violation, check
from cnnviz.analysis.types import Node, Row
from cnnviz.analysis.worked_numbers import pair
from cnnviz.sentences import percent

NARROW = 3
"""A bottleneck has at most the number of classes divided by this."""
LARGE_MAP = 10
"""Side from which on a flattened map is large: AlexNet's have 6, VGG's 7."""
MAX_OF_PARAMS = 0.8
SMALL_FIELD, SMALL_IMAGE = 0.25, 32
"""A receptive field is small below this fraction of the input's side.

On images with fewer pixels a side a few textures may be all there is.
"""


@check("bottleneck", title="Bottleneck narrower than the classes", reference=NEURALINT)
def bottleneck(network: Network) -> Iterator[Violation]:
    """Find a layer before the last, on every path, with far fewer outputs than there are classes."""
    classes = network.analysis.classes
    last = {node.id for node in network.output_path()}
    for node in network.chain():
        values = math.prod(node.output_shape)
        if node.kind in SUMS and node.id not in last and 0 < values * NARROW <= classes:
            message = (
                f"All that is known of an image passes '{node.row}' as {values:,} numbers, too few to tell "
                f"{classes:,} classes apart with ease."
            )
            yield Violation(
                "warning", (node.row,), message, f"Give '{node.row}' at least {classes:,} outputs."
            )


@check("flatten-large-map", title="A large map is flattened", reference=NEURALINT)
def flatten_large_map(network: Network) -> Iterator[Violation]:
    """Find a linear layer with most of the parameters that reads a large flattened map."""
    for node in network.layers():
        row = network.row(node)
        if node.kind != "fc" or row is None or len(row.input_shape) != 1:
            continue
        shape = _flattened(network, node)
        if shape is None or math.prod(shape) != row.input_shape[0] or min(shape[1:]) < LARGE_MAP:
            continue
        share = network.analysis.share_of_params(row)
        if share >= MAX_OF_PARAMS:
            sides = "×".join(map(str, shape))
            message = (
                f"'{row.name}' reads a flattened map of {sides}: it holds {row.params:,} parameters, "
                f"{percent(share)} of all, and learns every position anew."
            )
            fix = "Pool or stride more before it, or use global average pooling in place of the flatten."
            yield Violation("warning", (row.name,), message, fix)


def _flattened(network: Network, node: Node) -> tuple[int, ...] | None:
    """Return the shape of the maps that a linear layer reads as one vector, or None."""
    while len(sources := network.before(node)) == 1 and sources[0].id != INPUT:
        node = sources[0]
        if len(node.output_shape) == 3:
            return node.output_shape
        if node.kind in (*SUMS, "attention"):
            return None
    return None


@check("kernel-in-padding", title="A window that reaches into padding only", reference=NEURALINT)
def kernel_in_padding(network: Network) -> Iterator[Violation]:
    """Find convolutions with weights that never coincide with a pixel at any position of the window."""
    names, first = [], ""
    for row in network.analysis.predicting:
        if row.kind != "conv" or len(row.input_shape) != 3 or len(row.output_shape) != 3 or not _span(row):
            continue
        used = _used(row, 0) * _used(row, 1)
        if used < 1 and row.params:
            names.append(row.name)
            height, width = row.input_shape[1:]
            kernel = "×".join(map(str, pair(row.settings["kernel"])))
            first = first or (
                f"'{row.name}' moves a {kernel} window over a map of {height}×{width}: only "
                f"{percent(used)} of its weights ever meet a pixel, the others see padding alone"
            )
    if names:
        more = f", and so in {len(names) - 1:,} other layers" if len(names) > 1 else ""
        fix = "Use larger images, fewer strides and poolings before it, or a smaller window."
        yield Violation("warning", tuple(names), f"{first}{more}.", fix)


def _used(row: Row, axis: int) -> float:
    """Compute the fraction of a kernel's positions along one axis that ever coincide with a pixel."""
    settings, side, out = row.settings, row.input_shape[axis + 1], row.output_shape[axis + 1]
    if not isinstance(settings.get("padding", 0), int | list | tuple) or "Transpose" in row.type:
        return 1.0
    windows = (settings.get(name, default) for name, default in _DEFAULTS)
    kernel, stride, padding, dilation = (pair(window)[axis] for window in windows)
    starts = range(-padding, -padding + out * stride, stride)
    covered = sum(any(0 <= start + j * dilation < side for start in starts) for j in range(kernel))
    return covered / kernel


_DEFAULTS = (("kernel", 1), ("stride", 1), ("padding", 0), ("dilation", 1))


def _span(row: Row) -> tuple[int, int] | None:
    if "kernel" not in row.settings or not isinstance(row.settings["kernel"], int | list | tuple):
        return None
    kernel, dilation = pair(row.settings["kernel"]), pair(row.settings.get("dilation", 1))
    return dilation[0] * (kernel[0] - 1) + 1, dilation[1] * (kernel[1] - 1) + 1


@check("stride-skips-pixels", title="A stride that skips pixels", reference=NEURALINT)
def stride_skips_pixels(network: Network) -> Iterator[Violation]:
    """Find windows with a stride larger than their span, where no other path reads the skipped pixels."""
    for node in network.chain():
        row = network.row(node)
        if row is None or node.kind not in ("conv", "pool") or not network.is_layer(node):
            continue
        span, stride = _span(row), row.settings.get("stride", 1)
        if span is None or not isinstance(stride, int | list | tuple):
            continue
        step = pair(stride)
        if (step[0] > span[0] and row.input_shape[1] > 1) or (step[1] > span[1] and row.input_shape[-1] > 1):
            read = min(1.0, span[0] / step[0]) * min(1.0, span[1] / step[1])
            message = (
                f"'{row.name}' moves its {span[0]}×{span[1]} window by {step[0]}×{step[1]}: only "
                f"{percent(read)} of the positions are ever read."
            )
            fix = f"Use a stride of at most {min(span)}, or a window of at least {max(step)}."
            yield Violation("warning", (row.name,), message, fix)


@check("pooling-twice", title="Two poolings in a row", reference=NEURALINT)
def pooling_twice(network: Network) -> Iterator[Violation]:
    """Find pooling that directly follows pooling, where both downsample; adaptive pooling is excluded."""
    for node in network.layers():
        sources = network.before(node)
        if len(sources) == 1 and _shrinks(network, node) and _shrinks(network, sources[0]):
            names = (sources[0].row, node.row)
            message = (
                f"{_listed(list(names))} follow each other with no convolution that could use the detail."
            )
            yield Violation(
                "warning", names, message, "Put a convolution between them, or use one larger stride."
            )


def _shrinks(network: Network, node: Node) -> bool:
    row = network.row(node)
    if row is None or node.kind != "pool" or not network.is_layer(node) or "kernel" not in row.settings:
        return False
    return len(row.input_shape) == 3 and row.output_shape[1:] != row.input_shape[1:]


@check("channels-fall", title="Fewer channels in later layers", reference=NEURALINT)
def channels_fall(network: Network) -> Iterator[Violation]:
    """Find a convolution wider than 1×1, in a sequential part, that halves its channels or more."""
    path = [node for node in network.chain() if node.kind == "conv"]
    if len(path) != sum(node.kind == "conv" for node in network.layers()):
        return
    last = {node.id for node in network.output_path()}
    for node in path[1:]:
        row = network.row(node)
        settings = row.settings if row else {}
        if row is None or node.id in last or set(settings.get("kernel", [1])) == {1}:
            continue
        if 2 * settings.get("out", 0) < settings.get("in", 0):
            message = (
                f"'{row.name}' makes {settings['out']:,} maps of {settings['in']:,}: later layers usually "
                "have as many or more, as they tell more kinds of things apart."
            )
            yield Violation("note", (row.name,), message, f"Give it {settings['in']:,} maps or more.")


@check("receptive-field", title="Each position sees little", reference=NEURALINT)
def receptive_field(network: Network) -> Iterator[Violation]:
    """Find a network with a small receptive field before global pooling."""
    path = list(network.chain())
    pooled = [n for n in path if n.kind == "pool" and math.prod(n.output_shape[1:]) == 1]
    # A block of a layer list counts as one layer, with an unknown receptive field.
    convs = [n for n in network.layers() if network.is_weighted(n) and n.kind in ("conv", "other")]
    if not pooled or not convs or any(node.kind == "attention" for node in network.layers()):
        return
    row = network.row(convs[-1])
    side = min(network.analysis.input_shape[1:], default=0)
    if row is None or row.receptive_field.whole or len(row.output_shape) != 3:
        return
    seen = max(row.receptive_field.size)
    if side >= SMALL_IMAGE and 0 < seen < SMALL_FIELD * side:
        message = (
            f"Each position of '{row.name}' sees {row.receptive_field} of {side} pixels, and then all of "
            "them are averaged: the network cannot see how parts further apart belong together."
        )
        yield Violation("note", (row.name,), message, "Add pooling or strides between the convolutions.")
