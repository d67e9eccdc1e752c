"""1×1 bottleneck: one convolution with and without it, whole networks, and global average pooling."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from cnnviz.analysis.bottleneck import ARTICLE, ARTICLE_DENSE, Reduction, dense_weights, last_maps, stages
from cnnviz.analysis.types import Analysis, Shape
from cnnviz.figures import numbers
from cnnviz.figures.inception import NAIVE, REDUCED, growth, growth_alt
from cnnviz.ui.components.plot import plot
from cnnviz.ui.pages.inception.branches import Bar, bars
from cnnviz.ui.pages.inception.state import KERNELS, MAX_REDUCTION, reduce, short
from cnnviz.ui.shared import layout
from cnnviz.ui.shared.glossary import term_heading
from cnnviz.ui.shared.inspection.model_input import Network

if TYPE_CHECKING:
    from cnnviz.interpret.branches import Block

# Nine naive blocks against nine with bottlenecks, and global average pooling against a dense layer.

NAIVE_MODEL, REDUCED_MODEL = "inception-naive", "googlenet"


@st.cache_resource(max_entries=2, show_spinner=False)
def _analysis(model: str) -> Analysis:
    from cnnviz.analysis import analyze

    return analyze(model)


def growing() -> None:
    """Draw how channels and cost grow over nine blocks."""
    naive, reduced = _analysis(NAIVE_MODEL), _analysis(REDUCED_MODEL)
    without, having = stages(naive), stages(reduced)
    st.header("Nine blocks in a row", anchor=False)
    st.caption(
        "A naive block's pooling branch passes on every map that it is given, so each block is wider than "
        f"the last: {numbers.exact(without[0].channels)} maps leave the first and "
        f"{numbers.exact(without[-1].channels)} the last. In all that is {numbers.short(naive.total_params)} "
        f"parameters and {numbers.macs(naive.macs)}, against {numbers.short(reduced.total_params)} and "
        f"{numbers.macs(reduced.macs)} with reductions."
    )
    plot(
        growth(without, having), key="inception-growth", height=430, picks=False,
        alt=growth_alt(without, having), name="inception-growth",
    )  # fmt: skip
    layout.link(
        "compare", "Compare both, layer by layer", icon=":material/compare_arrows:",
        models=f"{REDUCED_MODEL},{NAIVE_MODEL}",
    )  # fmt: skip


def pooling(network: Network) -> None:
    """Draw the number of weights of a dense layer in place of global average pooling."""
    st.header("Global average pooling or a dense layer", anchor=False)
    st.caption(
        "Before the last layer every map becomes one number, its mean, which has no weights. A dense layer "
        "to as many numbers would have one for every value and every number."
    )
    own = last_maps(network.analysis)
    shapes = {"The article's": ARTICLE_DENSE} | ({network.loaded.name: own} if own is not None else {})
    for title, shape in shapes.items():
        _dense(title, shape)


def _dense(title: str, shape: Shape) -> None:
    channels, height, width = shape
    weights = dense_weights(shape)
    rows = [
        Bar("dense layer", 1, f"{numbers.short(weights)} weights", NAIVE),
        Bar("average pooling", 0, "0 weights", REDUCED),
    ]
    st.markdown(f"**{title}** · {height}·{width}·{channels} → {channels}")
    st.html(bars(rows, f"{title}: a dense layer has {numbers.exact(weights)} weights, average pooling 0"))


KEY = "inception-reduce"
SLIDERS = {
    "channels": ("Channels in", "Maps that the block is given."),
    "reduction": ("Reduced to", "Maps that the 1×1 leaves for the larger convolution."),
    "maps": ("Maps out", "Maps that the larger convolution gives."),
    "side": ("Size", "Height and width of every map, in cells."),
}


def reduction(network: Network, reduction: Reduction, block: Block | None) -> None:
    """Draw the view."""
    term_heading("One convolution, with a 1×1 before it and without", "1×1 bottleneck")
    st.caption(
        "A 1×1 convolution mixes channels and looks at no neighbors, so it is cheap; the larger one after "
        "it then reads few maps instead of many."
    )
    _presets(network, reduction, block)
    left, right = st.columns([0.42, 0.58], gap="large")
    with left:
        _sliders(reduction)
    with right:
        _costs(reduction)
    growing()
    pooling(network)


def _presets(network: Network, reduction: Reduction, block: Block | None) -> None:
    presets = {"The article's": ARTICLE} | ({} if block is None else of_block(network, block))
    with st.container(horizontal=True, gap="small"):
        for index, (title, preset) in enumerate(presets.items()):
            st.button(
                title,
                key=f"{KEY}-preset-{index}",
                on_click=reduce,
                args=(preset,),
                disabled=preset == reduction,
            )


def of_block(network: Network, block: Block) -> dict[str, Reduction]:
    """Return the block's bottlenecks by title; empty for a naive block."""
    reductions = {}
    for branch in block.branches[1:3]:
        rows = [
            row
            for row in network.analysis.rows
            if row.kind == "conv" and row.name.startswith(f"{branch.name}.")
        ]
        if len(rows) == 2 and branch.kernel in KERNELS:
            first, second = rows
            reductions[f"Block {short(block.name)}'s {branch.title}"] = Reduction(
                first.input_shape[0], first.output_shape[0], second.output_shape[0], branch.kernel,
                second.output_shape[1],
            )  # fmt: skip
    return reductions


def _sliders(reduction: Reduction) -> None:
    for name, (title, meaning) in SLIDERS.items():
        key = f"{KEY}-{name}"
        st.session_state[key] = getattr(reduction, name)
        st.slider(
            title,
            1,
            getattr(MAX_REDUCTION, name),
            key=key,
            help=meaning,
            on_change=_moved,
            args=(name, reduction),
        )
    st.session_state[f"{KEY}-kernel"] = reduction.kernel
    st.segmented_control(
        "Kernel", KERNELS, format_func=lambda side: f"{side}×{side}", key=f"{KEY}-kernel", required=True,
        on_change=_moved, args=("kernel", reduction),
    )  # fmt: skip


def _moved(name: str, reduction: Reduction) -> None:
    reduce(replace(reduction, **{name: int(st.session_state[f"{KEY}-{name}"])}))


def _costs(reduction: Reduction) -> None:
    naive, reduced = reduction.naive, reduction.reduced
    for title, values, formulas in (
        ("Multiply-adds", (naive.macs, reduced.macs), _macs(reduction)),
        ("Parameters", (naive.params, reduced.params), _params(reduction)),
    ):
        most = max(values)
        rows = [
            Bar(name, value / most, numbers.exact(value), hue)
            for name, value, hue in zip(("directly", "through 1×1"), values, (NAIVE, REDUCED), strict=True)
        ]
        alt = f"{title}: " + ", ".join(f"{row.title} {row.text}" for row in rows)
        st.markdown(f"**{title}** · {_text(*values)}")
        st.html(bars(rows, alt) + f'<p class="inception-sum">{formulas[0]}<br>{formulas[1]}</p>')
    if reduction == ARTICLE:
        st.caption(
            f"The article gives {numbers.significant(naive.macs / 1e6, 4)} M and "
            f"{numbers.significant(reduced.macs / 1e6, 2)} M and calls them parameters; they are "
            f"multiply-adds. The parameters are {numbers.exact(naive.params)} and "
            f"{numbers.exact(reduced.params)}."
        )


def _text(naive: int, reduced: int) -> str:
    if reduced >= naive:
        return f"the 1×1 saves nothing here: {numbers.significant(reduced / naive)} times as many"
    return f"{numbers.significant(naive / reduced)} times fewer through the 1×1"


def _macs(sizes: Reduction) -> tuple[str, str]:
    cells, kernel = f"{sizes.side}·{sizes.side}", f"{sizes.kernel}·{sizes.kernel}"
    return (
        f"directly: {sizes.channels} · {kernel} · {sizes.maps} · {cells} = {numbers.exact(sizes.naive.macs)}",
        f"through 1×1: {sizes.channels} · {sizes.reduction} · {cells} + {sizes.reduction} · "
        f"{kernel} · {sizes.maps} · {cells} = {numbers.exact(sizes.reduced.macs)}",
    )


def _params(sizes: Reduction) -> tuple[str, str]:
    kernel = f"{sizes.kernel}·{sizes.kernel}"
    return (
        f"directly: {sizes.maps} · ({sizes.channels} · {kernel} + 1) = {numbers.exact(sizes.naive.params)}",
        f"through 1×1: {sizes.reduction} · ({sizes.channels} + 1) + {sizes.maps} · ("
        f"{sizes.reduction} · {kernel} + 1) = {numbers.exact(sizes.reduced.params)}",
    )
