"""One network's reasons: the map over the picture, and the same question without a region of it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from cnnviz.figures import numbers
from cnnviz.interpret.maps import Floats
from cnnviz.sentences import percent
from cnnviz.ui import notice
from cnnviz.ui.why.drawing import covered, enlarged, figure, legend, painted
from cnnviz.ui.why.found import Found, where
from cnnviz.ui.why.state import Asked

if TYPE_CHECKING:
    from cnnviz.interpret.attribution import Method

TELLING = 0.005
"""Differences of probability below this say nothing."""


def panel(found: Found, asked: Asked, named: bool) -> None:
    """Draw it; `named` where there is another beside it."""
    attribution = found.attribution
    at = f" at {notice.plain(attribution.layer)}" if attribution.layer else ""
    whose = f"**{notice.plain(found.network.loaded.name)}** · " if named else ""
    share = numbers.percent(attribution.probability, 1)
    st.markdown(f"{whose}**{notice.plain(found.target)}**, {share}{at}")
    if named and asked.target_name is not None and found.target.casefold() != asked.target_name.casefold():
        st.caption(f"It has no class {notice.plain(asked.target_name)}; this is for its own answer.")
    parts = (pictures_of(found, asked.method, asked.opacity), _without(found))
    st.html(f'<div class="why">{"".join(f"<div>{part}</div>" for part in parts)}</div>')
    if attribution.blank:
        st.caption(f":material/info: {notice.plain(attribution.blank)}")
    elif not (attribution.values > 0).any():
        st.caption("Nothing at this layer speaks for the class, so the map is empty. Try another layer.")
    st.caption(_verdict(found))


def pictures_of(found: Found, method: Method, opacity: int) -> str:
    """What the network sees, the map over it and the map alone, as HTML."""
    from cnnviz.interpret.attribution import TITLES

    title = TITLES[method]
    strongest = where(found.attribution.values)
    over = f"{title} for {found.target} over the picture, strongest {strongest}"
    alone = f"{title} for {found.target} alone, strongest {strongest}"
    return (
        figure(enlarged(found.ready.seen), "The picture as the network sees it", "what it sees")
        + figure(painted(found, opacity), over, f"{title}, strongest {strongest}")
        + figure(painted(found, 100), alone, legend(found.attribution.signed))
    )


def _without(found: Found) -> str:
    sides = (("most", found.check.most), ("least", found.check.least))
    return "".join(
        figure(
            covered(found.ready.seen, removed.box),
            f"The picture with what helps {found.target} {word} covered",
            _answered(found, word, removed.probabilities),
        )
        for word, removed in sides
    )


def _answered(found: Found, word: str, now: Floats) -> str:
    target, before = found.check.target, found.check.before
    said = int(now.argmax())
    other = "" if said == target else f"; it says <b>{escape(found.network.loaded.classes[said])}</b>"
    shares = f"{percent(before[target], 1)} → {percent(now[target], 1)}".replace(" %", "\N{NO-BREAK SPACE}%")
    return f"without what helps {word}: <b>{escape(found.target)}</b> {shares}{other}"


def _verdict(found: Found) -> str:
    check = found.check
    lost = [
        float(check.before[check.target] - one.probabilities[check.target])
        for one in (check.most, check.least)
    ]
    most, least = (_moved(one) for one in lost)
    said = (
        f"Covering the region that the map calls most helpful, {notice.plain(found.target)} {most}; "
        f"covering the least helpful, it {least}."
    )
    return f"{said} {_held(*lost)}"


def _held(most: float, least: float) -> str:
    if abs(most - least) < TELLING:
        return "That is no difference, so it says nothing about the map."
    return "The map holds." if most > least else "The map does not hold: do not trust it here."


def _moved(lost: float) -> str:
    points = f"{100 * abs(lost):.1f}"
    if points == "0.0":
        return "stays as it is"
    return f"{'loses' if lost > 0 else 'gains'} {points} points"
