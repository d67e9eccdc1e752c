"""The aligned difference of two of the models."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st

from cnnviz.analysis.diff import Diff, diff
from cnnviz.analysis.types import Analysis, Row
from cnnviz.ui.compare import state
from cnnviz.ui.compare.words import settings
from cnnviz.ui.data import Shown
from cnnviz.ui.diff_table import Side, Sides, diff_sentence, diff_table
from cnnviz.ui.url_state import Selection

KEPT = 48


def difference(shown: Sequence[Shown], names: Sequence[str], pair: tuple[int, int]) -> None:
    """Draw the two selectors, the difference in a sentence, and its table."""
    st.subheader("Layer by layer", anchor=False)
    entries = [one.selection for one in shown]
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="pair"):
        for side, label in enumerate(("Compare", "with")):
            key = f"pair-{side}"
            st.session_state[key] = pair[side]
            st.selectbox(
                label,
                range(len(names)),
                format_func=lambda place: names[place],
                key=key,
                width=280,
                on_change=partial(_choose, entries, pair, side, key),
            )
    a, b = (shown[place].analysis for place in pair)
    found, *_ = _diff(a, b)
    sides = Sides(names[pair[0]], names[pair[1]], _told)
    st.markdown(diff_sentence(found, sides))
    diff_table(found, sides, key="models-diff", file=f"{sides.a} and {sides.b}".replace("/", "-"))


def _choose(entries: list[Selection], pair: tuple[int, int], side: int, key: str) -> None:
    """Change one of the two; choosing the other one swaps them."""
    chosen: int = st.session_state[key]
    other = pair[1 - side] if pair[1 - side] != chosen else pair[side]
    state.put(entries, (chosen, other) if side == 0 else (other, chosen))


def _told(_side: Side, row: Row) -> str:
    return settings(row)


@st.cache_resource(max_entries=KEPT, show_spinner=False, hash_funcs={Analysis: id})
def _diff(a: Analysis, b: Analysis) -> tuple[Diff, Analysis, Analysis]:
    # The analyses are kept with their difference: else another could come to have the same id.
    return diff(a, b), a, b
