"""The answer with branches left out, beside the whole network's."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from cnnviz.figures import numbers
from cnnviz.figures.palette import COMPARED, Colour
from cnnviz.interpret.maps import Floats
from cnnviz.ui import notice
from cnnviz.ui.inception import seen
from cnnviz.ui.inception.shares import Bar, bars
from cnnviz.ui.inception.state import Asked, drop, short
from cnnviz.ui.inside.answers import TOP, shares
from cnnviz.ui.inside.weights import Network
from cnnviz.ui.pictures.prepared import Prepared

if TYPE_CHECKING:
    from cnnviz.interpret.branches import Block

WHOLE = Colour("#0b6472", "#5fb8c6")
"""The whole network, as its answers are drawn elsewhere on the page."""


def each_alone(network: Network, ready: Prepared, block: Block, left: Mapping[str, Floats]) -> None:
    """Draw the likeliest class's probability without each branch alone; `left` is the answers, by branch."""
    whole = shares(network, ready)
    classes, best = network.loaded.classes, int(whole.argmax())
    rows = [Bar("nothing", float(whole[best]), numbers.percent(float(whole[best]), 1), WHOLE)]
    for branch, hue in zip(block.branches, COMPARED, strict=True):
        found = left[branch.name]
        other = int(found.argmax())
        now = "" if other == best else f", now “{classes[other]}”"
        share = float(found[best])
        rows.append(Bar(branch.title, share, f"{numbers.percent(share, 1)}{now}", hue))
    st.markdown(f"**Probability of “{notice.plain(classes[best])}”, leaving out …**")
    words = ", ".join(f"without {row.title} {row.text}" for row in rows)
    st.html(bars(rows, f"Probability of {classes[best]}: {words}"))
    st.caption("A bar that falls is a branch that the answer hangs on. Leave out one below, or several.")


def compared(network: Network, ready: Prepared, block: Block, asked: Asked) -> None:
    """Draw the whole network's answer and the one without the branches that are left out."""
    names = tuple(block.branches[place].name for place in asked.dropped)
    titles = " and ".join(block.branches[place].title for place in asked.dropped)
    with st.spinner("The picture goes through what is left …"):
        left = seen.without(network, ready, names)
    with st.container(horizontal=True, gap="medium", vertical_alignment="center"):
        st.markdown(f"**The answer with block {short(block.name)} without {titles}**", width="content")
        st.button("Put all back", on_click=drop, args=((),), type="tertiary", key="inception-restore")
    whole = shares(network, ready)
    st.html(comparison(network.loaded.classes, whole, left))
    st.caption(_sentence(network.loaded.classes, whole, left))


def comparison(classes: tuple[str, ...], whole: Floats, left: Floats) -> str:
    """The likeliest classes of either answer, in pairs of bars: the whole network, what is left."""
    order = np.argsort(-np.maximum(whole, left), kind="stable")[: TOP + 1]
    rows = "".join(
        f"<div><span>{escape(classes[place])}</span><i>"
        f'<b style="width:{100 * whole[place]:.2f}%"></b><b style="width:{100 * left[place]:.2f}%"></b></i>'
        f"<em>{numbers.percent(float(whole[place]), 1)} → {numbers.percent(float(left[place]), 1)}</em></div>"
        for place in order
    )
    words = ", ".join(
        f"{classes[place]} from {numbers.percent(float(whole[place]), 1)} to "
        f"{numbers.percent(float(left[place]), 1)}"
        for place in order
    )
    return f'<div class="inception-bars pairs" role="img" aria-label="{escape(words)}">{rows}</div>'


def _sentence(classes: tuple[str, ...], whole: Floats, left: Floats) -> str:
    before, after = classes[int(whole.argmax())], classes[int(left.argmax())]
    moved = float(np.abs(whole - left).sum() / 2)
    answer = f"The answer stays {before}" if before == after else f"The answer turns from {before} to {after}"
    return (
        f"{answer}; {numbers.percent(moved, 1)} of the probability moves to other classes. Above in full "
        "colour the whole network, below it faintly what is left."
    )
