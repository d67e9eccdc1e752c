"""Torchinfo summary of an architecture, and explanations of its differences from our table.

Torch is imported only when a table is computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cnnviz import models
from cnnviz.analysis.types import Analysis
from cnnviz.models.layers import LayerList
from cnnviz.models.library import spec_of
from cnnviz.models.user_code.registration import CLASSES_FROM_OUTPUT
from cnnviz.sentences import full_stop, percent

COLUMNS, COLUMN_WIDTH = ("output_size", "num_params", "mult_adds"), 18
"""Fits a page's column beside the inspector."""
DEPTH = 20
"""Maximum module depth with a line; torchinfo's default of 3 would hide the layers of blocks."""


@dataclass(frozen=True)
class TorchinfoTable:
    """Output of torchinfo, and sentences that explain its differences from our table."""

    text: str
    params: int
    macs: int
    """Total for one image."""
    differences: tuple[str, ...]


def torchinfo_table(
    model: str | models.ModelSpec | LayerList,
    analysis: Analysis,
    options: Mapping[str, Any] | None = None,
    batch: int = 1,
) -> TorchinfoTable:
    """Summarize the analyzed architecture with torchinfo, on the meta device.

    Args:
        model: Analyzed model: a name, a spec, or a layer list.
        analysis: Its analysis, which determines input shape and classes.
        options: Options of the model, as for `analyze`.
        batch: Batch size, which scales torchinfo's output sizes and memory.

    Returns:
        The table and the differences.

    Raises:
        ValueError: Where torchinfo does not support the network; one sentence.
    """
    import torchinfo

    from cnnviz.models.builder import on_meta

    spec = spec_of(model, model.name) if isinstance(model, LayerList) else model
    spec = models.get(spec) if isinstance(spec, str) else spec
    if spec.description is not None:
        raise ValueError(
            f"torchinfo follows a PyTorch module at work, and {spec.title} is read as data: the table of "
            "layers beside this one has its figures."
        )
    known = None if CLASSES_FROM_OUTPUT in spec.tags else analysis.classes or None
    classes, shape, chosen = models.resolve(spec, known, None, options)
    shape = analysis.input_shape if len(analysis.input_shape) == 3 else shape
    module = on_meta(lambda: spec.builder(classes, shape, chosen))
    try:
        statistics = torchinfo.summary(
            module, (batch, *shape), depth=DEPTH, verbose=0, device="meta", col_names=COLUMNS,
            col_width=COLUMN_WIDTH, row_settings=("var_names",),
        )  # fmt: skip
    except (RuntimeError, TypeError, ValueError, AssertionError) as error:
        reason = full_stop(next(iter(str(error).splitlines()), type(error).__name__))
        raise ValueError(f"torchinfo cannot follow {analysis.title}: {reason}") from None
    macs = statistics.total_mult_adds // batch
    text = "\n".join(line.rstrip() for line in str(statistics).splitlines())
    return TorchinfoTable(text, statistics.total_params, macs, _differences(analysis, statistics, macs))


def _differences(analysis: Analysis, statistics: Any, macs: int) -> tuple[str, ...]:
    """Explain the differences between the figures, with this network's numbers."""
    sentences = []
    more = macs - analysis.macs
    part = percent(abs(more) / max(analysis.macs, 1), 1)
    if more > 0:
        sentences.append(
            f"Multiply-adds: torchinfo counts {macs:,}, {more:,} ({part}) more than ours. It takes every "
            "value of a bias, and of the scale and shift of a normalization, for a multiply-add as well."
        )
    elif more < 0:
        sentences.append(
            f"Multiply-adds: torchinfo counts {macs:,}, {-more:,} ({part}) fewer than ours. It sees modules "
            "only: matrix products of attention, and functions called in a forward pass, are missing."
        )
    if statistics.total_params != analysis.total_params:
        sentences.append(
            f"Parameters: torchinfo counts {statistics.total_params:,}, ours are {analysis.total_params:,}: "
            "it counts what is shared, or no module's own, in another way."
        )
    sentences.append(
        "Memory: its forward/backward size holds the outputs of layers with parameters alone, in MB of 10⁶ "
        "bytes; ours holds the output of every layer, in MiB."
    )
    return tuple(sentences)
