"""Branches of an inception block: their share of it, ablation, and feature maps side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from cnnviz.figures import numbers
from cnnviz.figures.plotly_theme import COMPARED, Color
from cnnviz.formats import csv_text
from cnnviz.interpret.mosaic import Floats, flag_channels
from cnnviz.ui.components.feature_maps import MosaicView, feature_mosaic, mosaic_packet
from cnnviz.ui.pages.inception.state import PageState, drop, short
from cnnviz.ui.shared import notice
from cnnviz.ui.shared.inspection.model_input import Network
from cnnviz.ui.shared.inspection.predictions import TOP, PreprocessedImage, class_probabilities
from cnnviz.ui.shared.result_cache import RESULTS

if TYPE_CHECKING:
    from cnnviz.interpret.branches import Block, BlockActivations, BranchActivations

# Activations of a block, and logits with ablated branches; cached.


def block_activations(network: Network, ready: PreprocessedImage, block: Block) -> BlockActivations:
    """Return the activations of the block's branches for the image."""
    return _activations(network.stamp, ready.digest, block.name, network, ready, block)


@RESULTS.cached()
def _activations(
    stamp: str, digest: str, name: str, _network: Network, _ready: PreprocessedImage, _block: Block
) -> BlockActivations:
    from cnnviz.interpret.branches import record_block

    return record_block(_network.loaded.model, _ready.tensor, _block)


def ablate_branches(network: Network, ready: PreprocessedImage, branches: tuple[str, ...]) -> Floats:
    """Return logits `(classes,)` with the outputs of these modules set to zero."""
    return _without(network.stamp, ready.digest, branches, network, ready)


@st.cache_data(max_entries=512, show_spinner=False)
def _without(
    stamp: str, digest: str, branches: tuple[str, ...], _network: Network, _ready: PreprocessedImage
) -> Floats:
    from cnnviz.interpret.branches import ablate_branches

    logits: Floats = ablate_branches(_network.loaded.model, _ready.tensor, branches)[0].float().numpy()
    return logits


def probabilities_without(network: Network, ready: PreprocessedImage, branches: tuple[str, ...]) -> Floats:
    """Return probabilities `(classes,)` with the outputs of these modules set to zero."""
    logits = ablate_branches(network, ready, branches).astype(np.float64)
    exponentials = np.exp(logits - logits.max())
    shares: Floats = (exponentials / exponentials.sum()).astype(np.float32)
    return shares


def lead(logits: Floats, target: int) -> float:
    """Return the margin: the logit of `target` minus the largest other one."""
    return float(logits[target] - np.delete(logits, target).max())


@st.cache_data(max_entries=64, show_spinner=False)
def branch_texts(stamp: str, name: str, _network: Network, _block: Block) -> tuple[str, ...]:
    """Describe the operations of each branch: `1×1 to 96 maps, 3×3 to 128`."""
    from torch import nn

    texts = []
    for branch in _block.branches:
        steps = []
        for part in _network.loaded.model.get_submodule(branch.name).modules():
            if isinstance(part, nn.Conv2d):
                steps.append(f"{numbers.shape(part.kernel_size)} to {part.out_channels}")
            elif isinstance(part, nn.MaxPool2d):
                steps.append("largest of 3×3")
        texts.append(", then ".join(steps))
    return tuple(texts)


# Bars in the branches' colors, as HTML.


@dataclass(frozen=True)
class Bar:
    """One bar: its title, its fraction of the longest one, and its value as text."""

    title: str
    part: float
    text: str
    hue: Color


def bars(rows: Sequence[Bar], alt: str) -> str:
    """Return bars below one another as HTML, with titles before and values behind."""
    markup = "".join(
        f"<div><span>{escape(row.title)}</span><i>{_filled(row)}</i><em>{escape(row.text)}</em></div>"
        for row in rows
    )
    return f'<div class="inception-bars" role="img" aria-label="{escape(alt)}">{markup}</div>'


def _filled(row: Bar) -> str:
    if not row.part:
        return ""
    return f'<b style="width:{100 * row.part:.2f}%;background:{row.hue.css}"></b>'


def split(title: str, total: str, parts: Sequence[Bar]) -> str:
    """Return one bar divided into parts that sum to 1."""
    words = ", ".join(f"{part.title} {numbers.percent(part.part)}" for part in parts)
    cut = "".join(
        f'<b style="flex-grow:{part.part:.4f};background:{part.hue.css}" '
        f'title="{escape(f"{part.title}: {part.text}, {numbers.percent(part.part)}")}"></b>'
        for part in parts
    )
    return (
        f'<div><span>{escape(title)}</span><i role="img" aria-label="{escape(f"{title}: {words}")}">{cut}</i>'
        f"<em>{escape(total)}</em></div>"
    )


def splits(rows: Sequence[str]) -> str:
    """Return several divided bars of equal length."""
    return f'<div class="inception-bars wide">{"".join(rows)}</div>'


# The prediction with ablated branches, beside the whole network's.

WHOLE = Color("#0b6472", "#5fb8c6")
"""Color of the whole network, as in its predictions on the page."""


def each_alone(network: Network, ready: PreprocessedImage, block: Block, left: Mapping[str, Floats]) -> None:
    """Draw the margin of the predicted class with each branch ablated alone.

    Args:
        network: The network.
        ready: The image.
        block: The block.
        left: Logits by name of the ablated branch.
    """
    whole = ablate_branches(network, ready, ())
    classes, best = network.loaded.classes, int(whole.argmax())
    logits = {"nothing": whole} | {branch.title: left[branch.name] for branch in block.branches}
    leads = {title: lead(values, best) for title, values in logits.items()}
    longest = max(*leads.values(), 1e-6)
    rows = []
    for (title, values), hue in zip(logits.items(), (WHOLE, *COMPARED), strict=True):
        other = int(values.argmax())
        now = "" if other == best else f", now “{classes[other]}”"
        text = f"{leads[title]:.1f}".replace("-", "−") + now
        rows.append(Bar(title, max(0.0, leads[title]) / longest, text, hue))
    st.markdown(f"**Lead of “{notice.escape(classes[best])}”, leaving out …**")
    words = ", ".join(f"without {row.title} {row.text}" for row in rows)
    st.html(bars(rows, f"Lead of {classes[best]} in logits: {words}"))
    st.caption(
        "Its logit minus the largest other one. A bar that falls is a branch that the answer depends on; "
        "below 0 the answer is another class. Leave out one below, or several."
    )


def compared(network: Network, ready: PreprocessedImage, block: Block, page_state: PageState) -> None:
    """Draw the whole network's prediction and that with the selected branches ablated."""
    names = tuple(block.branches[index].name for index in page_state.dropped)
    titles = " and ".join(block.branches[index].title for index in page_state.dropped)
    with st.spinner("The image goes through what is left …"):
        left = probabilities_without(network, ready, names)
    with st.container(horizontal=True, gap="medium", vertical_alignment="center"):
        st.markdown(f"**The answer with block {short(block.name)} without {titles}**", width="content")
        st.button("Put all back", on_click=drop, args=((),), type="tertiary", key="inception-restore")
    whole = class_probabilities(network, ready)
    st.html(comparison(network.loaded.classes, whole, left))
    st.caption(_message(network.loaded.classes, whole, left))


def comparison(classes: tuple[str, ...], whole: Floats, left: Floats) -> str:
    """Return pairs of bars of the top classes of both predictions: the whole network, the ablated one."""
    order = np.argsort(-np.maximum(whole, left), kind="stable")[: TOP + 1]
    rows = "".join(
        f"<div><span>{escape(classes[index])}</span><i>"
        f'<b style="width:{100 * whole[index]:.2f}%"></b><b style="width:{100 * left[index]:.2f}%"></b></i>'
        f"<em>{numbers.percent(float(whole[index]), 1)} → {numbers.percent(float(left[index]), 1)}</em></div>"
        for index in order
    )
    words = ", ".join(
        f"{classes[index]} from {numbers.percent(float(whole[index]), 1)} to "
        f"{numbers.percent(float(left[index]), 1)}"
        for index in order
    )
    return f'<div class="inception-bars pairs" role="img" aria-label="{escape(words)}">{rows}</div>'


def _message(classes: tuple[str, ...], whole: Floats, left: Floats) -> str:
    before, after = classes[int(whole.argmax())], classes[int(left.argmax())]
    moved = float(np.abs(whole - left).sum() / 2)
    answer = f"The answer stays {before}" if before == after else f"The answer turns from {before} to {after}"
    return (
        f"{answer}; {numbers.percent(moved, 1)} of the probability moves to other classes. Above in full "
        "color the whole network, below it faintly what is left."
    )


# The branches of a block as CSV.

COLUMNS = (
    *("branch", "title", "kernel", "first_channel", "channels", "parameters", "multiply_adds"),
    *("mean_magnitude", "share_of_magnitude", "zeros"),
)


def download(network: Network, block: Block, activations: BlockActivations) -> None:
    """Draw the download button."""
    name = f"{network.loaded.spec.name.replace('/', '-')}-{short(block.name)}-branches.csv"
    st.download_button(
        "Branches as CSV", partial(as_csv, activations), name, "text/csv", key="inception-csv",
        icon=":material/download:", on_click="ignore", type="tertiary",
    )  # fmt: skip


def as_csv(activations: BlockActivations) -> str:
    """Return one CSV line per branch, with exact values."""
    rows = (
        (part.branch.name, part.branch.title, part.branch.kernel, part.branch.first, part.branch.channels,
         part.branch.params, part.branch.macs, part.activity, part.share, part.zeros)
        for part in activations.branches
    )  # fmt: skip
    return csv_text(COLUMNS, rows)


Formatter = Callable[[float], str]


def branches(network: Network, ready: PreprocessedImage, block: Block, page_state: PageState) -> None:
    """Draw the branches' shares of the block, predictions with ablated branches, and a column per branch."""
    with st.spinner(f"The image goes through {network.loaded.name} …"):
        activations = block_activations(network, ready, block)
        left = {branch.name: ablate_branches(network, ready, (branch.name,)) for branch in block.branches}
    _input_words(block, activations)
    shares, answer = st.columns(2, gap="large")
    with shares:
        _overview(block, activations)
        download(network, block, activations)
    with answer:
        if page_state.dropped:
            compared(network, ready, block, page_state)
        else:
            each_alone(network, ready, block, left)
    kinds = branch_texts(network.stamp, block.name, network, block)
    for index, column in enumerate(st.columns(len(activations.branches), gap="medium")):
        with column:
            _branch(network, ready, activations, index, kinds[index], page_state)


def _input_words(block: Block, activations: BlockActivations) -> None:
    maps, height, width = activations.input.shape
    st.caption(
        f"All four branches read the same {numbers.exact(maps)} maps of {height}×{width}; their outputs are "
        f"concatenated, {block.channels} channels in all. Look for branches that cost much and "
        f"answer little to this image.{_torchvision_note(block)}"
    )


def _torchvision_note(block: Block) -> str:
    three = block.branches[2].kernel == 3
    return " torchvision's 5×5 branch has a 3×3 where the paper has a 5×5." if three else ""


def _overview(block: Block, activations: BlockActivations) -> None:
    st.markdown("**How the branches share the block**")
    params, macs = (
        sum(branch.params for branch in block.branches),
        sum(branch.macs for branch in block.branches),
    )
    rows: list[tuple[str, str, Sequence[float], Formatter]] = [
        ("Channels", f"{block.channels}", [branch.channels for branch in block.branches], numbers.exact),
        ("Parameters", numbers.short(params), [branch.params for branch in block.branches], numbers.exact),
        ("Multiply-adds", numbers.macs(macs), [branch.macs for branch in block.branches], numbers.exact),
        (
            "Mean activation",
            f"mean {_mean(activations)}",
            [part.share for part in activations.branches],
            numbers.percent,
        ),
    ]
    st.html(
        splits(
            [
                _split(title, total, values, format_value, activations)
                for title, total, values, format_value in rows
            ]
        )
    )


def _split(
    title: str, total: str, values: Sequence[float], format_value: Formatter, activations: BlockActivations
) -> str:
    whole = sum(values) or 1
    parts = [
        Bar(part.branch.title, value / whole, format_value(value), hue)
        for part, value, hue in zip(activations.branches, values, COMPARED, strict=True)
    ]
    return split(title, total, parts)


def _branch(
    network: Network,
    ready: PreprocessedImage,
    activations: BlockActivations,
    index: int,
    operations: str,
    page_state: PageState,
) -> None:
    branch = activations.branches[index]
    st.html(_head(branch, operations, index))
    key = f"inception-drop-{index}"
    st.session_state[key] = index in page_state.dropped
    st.toggle(
        "Ablate branch",
        key=key,
        help="Its maps become zeros, and the rest of the network goes on with that.",
        on_change=_dropped,
        args=(index, page_state.dropped),
    )
    st.html(_facts(activations, branch))
    if index in page_state.dropped:
        st.html(f"<style>.st-key-inception-maps-{index} {{ opacity: .25; }}</style>")
    feature_mosaic(
        _packet(network.stamp, ready.digest, activations.block.name, index, network, ready, activations),
        key=f"inception-maps-{index}",
    )


def _dropped(index: int, before: tuple[int, ...]) -> None:
    drop(tuple({*before} ^ {index}))


def _head(part: BranchActivations, operations: str, place: int) -> str:
    title = f"{part.branch.title} branch"
    return (
        f'<div class="inception-head"><b><i style="background:{COMPARED[place].css}"></i>{title}</b>'
        f"<span>{escape(operations)}</span></div>"
    )


def _facts(activations: BlockActivations, part: BranchActivations) -> str:
    branch, block = part.branch, activations.block
    last = branch.first + branch.channels - 1
    rows = [
        ("Kept as channels", f"{branch.first} … {last}", _share_text(branch.channels, block.channels)),
        (
            "Parameters",
            numbers.exact(branch.params),
            _share_text(branch.params, sum(b.params for b in block.branches)),
        ),
        (
            "Multiply-adds",
            numbers.exact(branch.macs),
            _share_text(branch.macs, sum(b.macs for b in block.branches)),
        ),
        ("Mean magnitude", f"{part.activity:.3g}", numbers.percent(part.share)),
        ("Exactly zero", "of its values", numbers.percent(part.zeros)),
    ]
    markup = "".join(
        f"<tr><th>{escape(title)}</th><td>{escape(text)}</td><td>{escape(part)}</td></tr>"
        for title, text, part in rows
    )
    return f'<table class="inception-facts">{markup}</table>'


def _mean(activations: BlockActivations) -> str:
    return f"{float(np.abs(activations.output).mean()):.3g}"


def _share_text(part: int, whole: int) -> str:
    return numbers.percent(part / whole) if whole else "0 %"


@RESULTS.cached()
def _packet(
    stamp: str,
    digest: str,
    block: str,
    index: int,
    _network: Network,
    _ready: PreprocessedImage,
    _found: BlockActivations,
) -> bytes:
    """Serialize a branch's mosaic; the whole block has one color scale, so that branches are comparable."""
    branch = _found.branches[index]
    low, high = float(np.nanmin(_found.output)), float(np.nanmax(_found.output))
    diverging = low < 0
    if diverging:
        high = max(-low, high)
        low = -high
    count = len(branch.maps)
    name = f"{_network.loaded.spec.name}-{short(block)}-{branch.branch.name.rpartition('.')[2]}-{_ready.name}"
    return mosaic_packet(
        MosaicView(
            branch.branch.name,
            branch.maps,
            np.arange(count),
            np.full(count, min(low, 0), np.float32),
            np.full(count, high, np.float32),
            diverging,
            flag_channels(branch.maps),
            "".join(letter if letter.isalnum() or letter in ".-" else "-" for letter in name),
            alone=True,
        )
    )
