"""The four branches of a block side by side, from the same input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from cnnviz.figures import numbers
from cnnviz.figures.palette import COMPARED
from cnnviz.interpret.marks import marks
from cnnviz.ui.components.mosaic import MosaicView, feature_mosaic, mosaic_packet
from cnnviz.ui.inception import seen
from cnnviz.ui.inception.dropped import compared, each_alone
from cnnviz.ui.inception.shares import Bar, split, splits
from cnnviz.ui.inception.state import Asked, drop, short
from cnnviz.ui.inception.table import download
from cnnviz.ui.inside.weights import Network
from cnnviz.ui.pictures.prepared import Prepared
from cnnviz.ui.result_cache import RESULTS

if TYPE_CHECKING:
    from cnnviz.interpret.branches import Block, BlockLook, BranchLook

Tell = Callable[[float], str]


def branches(network: Network, ready: Prepared, block: Block, asked: Asked) -> None:
    """Draw how they share the block, the answer without those that are left out, and each in a column."""
    with st.spinner(f"The picture goes through {network.loaded.name} …"):
        found = seen.look(network, ready, block)
        left = {branch.name: seen.without(network, ready, (branch.name,)) for branch in block.branches}
    _input_words(block, found)
    shares, answer = st.columns(2, gap="large")
    with shares:
        _overview(block, found)
        download(network, block, found)
    with answer:
        if asked.dropped:
            compared(network, ready, block, asked)
        else:
            each_alone(network, ready, block, left)
    kinds = seen.ways(network.stamp, block.name, network, block)
    for place, column in enumerate(st.columns(len(found.branches), gap="medium")):
        with column:
            _branch(network, ready, found, place, kinds[place], asked)


def _input_words(block: Block, found: BlockLook) -> None:
    maps, height, width = found.input.shape
    st.caption(
        f"All four branches read the same {numbers.exact(maps)} maps of {height}×{width}; their outputs are "
        f"laid one after another, {block.channels} channels in all. Look for branches that cost much and "
        f"answer little to this picture.{_stands_in(block)}"
    )


def _stands_in(block: Block) -> str:
    three = block.branches[2].kernel == 3
    return " torchvision's 5×5 branch has a 3×3 where the paper has a 5×5." if three else ""


def _overview(block: Block, found: BlockLook) -> None:
    st.markdown("**How the branches share the block**")
    params, macs = (sum(one.params for one in block.branches), sum(one.macs for one in block.branches))
    rows: list[tuple[str, str, Sequence[float], Tell]] = [
        ("Channels", f"{block.channels}", [one.channels for one in block.branches], numbers.exact),
        ("Parameters", numbers.short(params), [one.params for one in block.branches], numbers.exact),
        ("Multiply-adds", numbers.macs(macs), [one.macs for one in block.branches], numbers.exact),
        ("Activity", f"mean {_mean(found)}", [one.share for one in found.branches], numbers.percent),
    ]
    st.html(splits([_split(title, total, values, tell, found) for title, total, values, tell in rows]))


def _split(title: str, total: str, values: Sequence[float], tell: Tell, found: BlockLook) -> str:
    whole = sum(values) or 1
    parts = [
        Bar(one.branch.title, value / whole, tell(value), hue)
        for one, value, hue in zip(found.branches, values, COMPARED, strict=True)
    ]
    return split(title, total, parts)


def _branch(network: Network, ready: Prepared, found: BlockLook, place: int, way: str, asked: Asked) -> None:
    one = found.branches[place]
    st.html(_head(one, way, place))
    key = f"inception-drop-{place}"
    st.session_state[key] = place in asked.dropped
    st.toggle(
        "Leave it out",
        key=key,
        help="Its maps become zeros, and the rest of the network goes on with that.",
        on_change=_dropped,
        args=(place, asked.dropped),
    )
    st.html(_facts(found, one))
    if place in asked.dropped:
        st.html(f"<style>.st-key-inception-maps-{place} {{ opacity: .25; }}</style>")
    feature_mosaic(
        _packet(network.stamp, ready.digest, found.block.name, place, network, ready, found),
        key=f"inception-maps-{place}",
    )


def _dropped(place: int, before: tuple[int, ...]) -> None:
    drop(tuple({*before} ^ {place}))


def _head(one: BranchLook, way: str, place: int) -> str:
    title = f"{one.branch.title} branch"
    return (
        f'<div class="inception-head"><b><i style="background:{COMPARED[place].css}"></i>{title}</b>'
        f"<span>{escape(way)}</span></div>"
    )


def _facts(found: BlockLook, one: BranchLook) -> str:
    branch, block = one.branch, found.block
    last = branch.first + branch.channels - 1
    rows = [
        ("Kept as channels", f"{branch.first} … {last}", _of(branch.channels, block.channels)),
        (
            "Parameters",
            numbers.exact(branch.params),
            _of(branch.params, sum(b.params for b in block.branches)),
        ),
        ("Multiply-adds", numbers.exact(branch.macs), _of(branch.macs, sum(b.macs for b in block.branches))),
        ("Mean magnitude", f"{one.activity:.3g}", numbers.percent(one.share)),
        ("Exactly zero", "of its values", numbers.percent(one.zeros)),
    ]
    told = "".join(
        f"<tr><th>{escape(title)}</th><td>{escape(text)}</td><td>{escape(part)}</td></tr>"
        for title, text, part in rows
    )
    return f'<table class="inception-facts">{told}</table>'


def _mean(found: BlockLook) -> str:
    return f"{float(np.abs(found.output).mean()):.3g}"


def _of(part: int, whole: int) -> str:
    return numbers.percent(part / whole) if whole else "0 %"


@RESULTS.cached()
def _packet(
    stamp: str,
    digest: str,
    block: str,
    place: int,
    _network: Network,
    _ready: Prepared,
    _found: BlockLook,
) -> bytes:
    """One scale of colours for the block, so that its branches can be compared."""
    one = _found.branches[place]
    low, high = float(np.nanmin(_found.output)), float(np.nanmax(_found.output))
    diverging = low < 0
    if diverging:
        high = max(-low, high)
        low = -high
    count = len(one.maps)
    name = f"{_network.loaded.spec.name}-{short(block)}-{one.branch.name.rpartition('.')[2]}-{_ready.name}"
    return mosaic_packet(
        MosaicView(
            one.branch.name,
            one.maps,
            np.arange(count),
            np.full(count, min(low, 0), np.float32),
            np.full(count, high, np.float32),
            diverging,
            marks(one.maps),
            "".join(letter if letter.isalnum() or letter in ".-" else "-" for letter in name),
            alone=True,
        )
    )
