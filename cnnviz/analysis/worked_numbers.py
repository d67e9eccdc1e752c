"""Worked calculations of a row's figures, as a student would write them."""

from __future__ import annotations

import math
from typing import Any, Protocol

from cnnviz.sentences import percent


class Counted(Protocol):
    """Fields of a `types.Row` that the calculations use; `Row` itself imports this module."""

    @property
    def type(self) -> str: ...  # noqa: D102
    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def settings(self) -> dict[str, Any]: ...  # noqa: D102
    @property
    def input_shape(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def output_shape(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def params(self) -> int: ...  # noqa: D102
    @property
    def macs(self) -> int: ...  # noqa: D102
    @property
    def calls(self) -> int: ...  # noqa: D102


def pair(value: Any) -> tuple[int, int]:
    """Convert a setting given as a number or a sequence to a pair (vertical, horizontal)."""
    return (value, value) if isinstance(value, int) else (value[0], value[-1])


def parameters(row: Counted) -> str:
    """Write out the parameter count, as `96·(3·4·4 + 1) = 4,704`; empty where the row has none."""
    if not row.params:
        return ""
    return f"{_parameter_terms(row)} = {row.params:,}"


def _parameter_terms(row: Counted) -> str:
    settings = row.settings
    bias_term = " + 1" if settings.get("bias") else ""
    if row.kind == "conv" and {"in", "out", "kernel", "groups"} <= settings.keys():
        inputs = _group_inputs(settings)
        window = "·".join(str(side) for side in settings["kernel"])
        return (
            f"{settings['out']:,}·({inputs}·{window}{bias_term})"
            if bias_term
            else f"{settings['out']:,}·{inputs}·{window}"
        )
    if row.kind == "fc" and {"in", "out"} <= settings.keys():
        return (
            f"{settings['out']:,}·({settings['in']:,}{bias_term})"
            if bias_term
            else f"{settings['out']:,}·{settings['in']:,}"
        )
    shapes = [shape for shape in settings.get("weights", []) if shape]
    if row.kind == "norm" and len(shapes) == 2 and shapes[0] == shapes[1]:
        return f"2·{math.prod(shapes[0]):,}"
    return " + ".join("·".join(f"{side:,}" for side in shape) for shape in shapes) or f"{row.params:,}"


def multiply_adds(row: Counted) -> str:
    """Write out the multiply-adds, as `96·29·29·(3·4·4) = 3,875,328`; empty where there are none."""
    settings = row.settings
    if not row.macs:
        return ""
    terms, count = "", 0
    if (
        row.kind == "conv"
        and {"in", "out", "kernel", "groups"} <= settings.keys()
        and len(row.output_shape) == 3
    ):
        cells = "·".join(f"{side:,}" for side in row.output_shape)
        terms = f"{cells}·({_group_inputs(settings)}·{'·'.join(str(side) for side in settings['kernel'])})"
        count = (
            math.prod(row.output_shape) * settings["in"] // settings["groups"] * math.prod(settings["kernel"])
        )
    elif row.kind == "fc" and {"in", "out"} <= settings.keys():
        terms = "·".join(f"{side:,}" for side in (*row.output_shape, settings["in"]))
        count = math.prod(row.output_shape) * settings["in"]
    if not terms:
        return f"{row.macs:,}"
    if row.calls > 1 and count * row.calls == row.macs:
        return f"{row.calls}·{terms} = {row.macs:,}"
    return f"{terms} = {row.macs:,}" if count == row.macs else f"{row.macs:,}"


def output_size(row: Counted) -> str:
    """Write out the output's height and width, as `(32 + 2·0 − 4)/1 + 1 = 29`; empty without a window.

    ⌊(n + 2p − d(k − 1) − 1)/s⌋ + 1, as in Dumoulin and Visin, "A guide to convolution arithmetic", 2016.
    """
    settings = row.settings
    has_maps = len(row.input_shape) == 3 and len(row.output_shape) == 3
    if not has_maps or "kernel" not in settings or row.kind not in ("conv", "pool"):
        return ""
    if isinstance(settings.get("padding"), str):
        return ""
    axes = []
    for axis in (0, 1):
        kernel, stride, padding, dilation = (
            pair(settings.get(k, default))[axis] for k, default in _WINDOW.items()
        )
        sides = row.input_shape[axis + 1], row.output_shape[axis + 1]
        span = dilation * (kernel - 1) + 1
        axes.append(_side(*sides, span, stride, padding, bool(settings.get("ceil"))))
    return axes[0] if axes[0] == axes[1] else f"height {axes[0]}; width {axes[1]}"


_WINDOW = {"kernel": 1, "stride": 1, "padding": 0, "dilation": 1}


def _side(n: int, out: int, span: int, stride: int, padding: int, ceil: bool) -> str:
    left, right = ("⌈", "⌉") if ceil else ("⌊", "⌋")
    exact = (n + 2 * padding - span) % stride == 0
    inner = f"{n} + 2·{padding} − {span}"
    return f"({inner})/{stride} + 1 = {out}" if exact else f"{left}({inner})/{stride}{right} + 1 = {out}"


def in_words(row: Counted) -> str:
    """Describe the row's settings in a sentence for students."""
    made = row.settings
    if row.kind == "conv" and {"in", "out", "kernel"} <= made.keys():
        return _convolution_in_words(row)
    if row.kind == "fc" and {"in", "out"} <= made.keys():
        return f"Each of {made['out']:,} units sums all {made['in']:,} inputs, each with its own weight."
    if row.kind == "pool" and "kernel" in made:
        height, width = pair(made["kernel"])
        stride = pair(made.get("stride", 1))
        overlap = ", so windows overlap" if stride[0] < height else ""
        operation = "largest value" if "Max" in row.type else "mean"
        move = f"moving by {stride[0]}{overlap}"
        return f"Keeps the {operation} of each {height}×{width} window, {move}. It has no weights."
    return _by_kind(row)


def _convolution_in_words(row: Counted) -> str:
    settings = row.settings
    height, width = pair(settings["kernel"])
    groups = settings.get("groups", 1)
    inputs_text = f"all {settings['in']:,} input maps" if settings["in"] > 1 else "the one input map"
    if groups == settings["in"] and groups > 1:
        inputs_text = "one input map each (a depthwise convolution)"
    elif groups > 1:
        inputs_text = f"{settings['in'] // groups:,} of {settings['in']:,} input maps, in {groups} groups"
    step = pair(settings.get("stride", 1))[0]
    edge = _edge_in_words(settings.get("padding", 0))
    move = f"moving by {_pixels(step)}"
    return (
        f"Each of {settings['out']:,} maps looks through a {height}×{width} window at {inputs_text}, "
        f"{move}, {edge}."
    )


def _edge_in_words(padding: Any) -> str:
    if padding in (0, [0, 0], "valid"):
        return "without padding"
    if padding == "same":
        return "with as many zeros around the edge as keep the size"
    return f"with zeros {_pixels(pair(padding)[0])} deep around the edge"


def _pixels(count: int) -> str:
    return f"{count} pixel{'s' if count > 1 else ''}"


def _by_kind(row: Counted) -> str:
    if row.type == "BatchNorm2d":
        return (
            "Shifts and scales each map by its running mean and standard deviation, then by a trained gain "
            "and shift."
        )
    if row.type == "LocalResponseNorm":
        maps = row.settings.get("size")
        return f"Divides each value by a sum over {maps} neighboring maps. It has no weights."
    if row.kind == "norm":
        return "Brings values to a common mean and standard deviation, then applies a trained gain and shift."
    if row.kind == "attention":
        return "Every position reads all others, weighted by how well they match."
    if row.kind == "activation":
        return f"Applies {row.type} to every value by itself. It has no weights." if not row.params else (
            f"Applies {row.type} to every value, with trained parameters."
        )  # fmt: skip
    if row.type.startswith("Dropout"):
        share = percent(row.settings.get("p", 0))
        return f"While training, zeroes {share} of its inputs at random; at prediction it passes them on."
    if row.type == "Flatten":
        return "Lays the maps out as one long vector."
    return "Joins or rearranges what its parts have made."


def _group_inputs(settings: dict[str, Any]) -> str:
    return f"{settings['in'] // settings['groups']:,}"
