"""Picture by picture: what each network says, with bars, and whether they agree."""

from __future__ import annotations

import base64
from html import escape

import streamlit as st

from cnnviz.figures import numbers
from cnnviz.figures.palette import COMPARED
from cnnviz.inference.picture import Refusal
from cnnviz.ui.inside.address import put
from cnnviz.ui.predict.judged import Judged
from cnnviz.ui.predict.reasons import reasons
from cnnviz.ui.predict.state import ORDERS, Asked
from cnnviz.ui.url_state import unless
from cnnviz.ui.why.drawing import png

ORDER = "predict-order"
AT_ONCE = 10
AGREE = {True: "all agree", False: "≠ they differ", None: ""}


def rows(judged: Judged, asked: Asked) -> None:
    """Draw one page of them, in the order that is asked for."""
    known = [
        name
        for name in ORDERS
        if (name != "mistakes" or judged.told) and (name != "disagreement" or len(asked.networks) > 1)
    ]
    order = asked.order if asked.order in known else "file"
    ordered = judged.ordered(order)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        _choose_order(known, order)
        shown = _paging(asked.page, ordered)
    for row in shown:
        _draw(judged, row, over=True)


def rows_so_far(judged: Judged, page: int) -> None:
    """Draw one page of what a job at work has answered, as it came."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        shown = _paging(page, judged.ordered("file"))
    for row in shown:
        _draw(judged, row, over=False)


def _choose_order(known: list[str], order: str) -> None:
    st.session_state[ORDER] = order
    st.selectbox(
        "Order", known, format_func=ORDERS.__getitem__, key=ORDER, width=230, label_visibility="collapsed",
        on_change=lambda: put(order=unless(st.session_state[ORDER], "file"), page=None),
    )  # fmt: skip


def _paging(asked: int, ordered: list[int]) -> list[int]:
    """Draw the steps to other pages; the rows of this one."""
    pages = max(1, -(-len(ordered) // AT_ONCE))
    page = min(asked, pages)
    for label, icon, to in (("before", "left", page - 1), ("after", "right", page + 1)):
        st.button(
            f":material/chevron_{icon}:", key=f"predict-{label}", type="tertiary", help=f"Pictures {label}",
            disabled=not 1 <= to <= pages, on_click=put, kwargs={"page": unless(str(to), "1")},
        )  # fmt: skip
    st.caption(f"{len(ordered):,} pictures, page {page:,} of {pages:,}", width="content")
    return ordered[(page - 1) * AT_ONCE : page * AT_ONCE]


def _draw(judged: Judged, row: int, *, over: bool) -> None:
    """One picture; before the job is `over` the page is drawn anew too often for a dialogue to stay open."""
    with st.container(key=f"predict-row-{row}"):
        left, right = st.columns([0.27, 0.73], gap="medium")
        refused = isinstance(judged.results(0)[row], Refusal)
        with left:
            st.html(_picture(judged, row))
            if over and not refused and st.button(
                "Where they look" if len(judged.job.networks) > 1 else "Where it looks",
                key=f"predict-why-{row}", type="tertiary", icon=":material/center_focus_strong:",
            ):  # fmt: skip
                reasons(judged.job, row)
        with right:
            cells = "".join(_answers(judged, place, row) for place in range(len(judged.job.networks)))
            st.html(f'<div class="said">{cells}</div>')


def _picture(judged: Judged, row: int) -> str:
    seen = judged.job.seen[row]
    name = escape(seen.file.name)
    image = ""
    if seen.thumb is not None:
        source = base64.b64encode(png(seen.thumb)).decode()
        image = f'<img src="data:image/png;base64,{source}" alt="{name}">'
    truth = f"<p>true class: <b>{escape(seen.file.truth)}</b></p>" if seen.file.truth is not None else ""
    agree = judged.agree[row]
    mark = f'<p class="{"" if agree else "differ"}">{AGREE[agree]}</p>' if agree is not None else ""
    return f'<div class="shown">{image}<div><b title="{name}">{name}</b>{truth}{mark}</div></div>'


def _answers(judged: Judged, place: int, row: int) -> str:
    result, network = judged.results(place)[row], judged.job.networks[place]
    named = f"<h4>{escape(network.loaded.name)}</h4>" if len(judged.job.networks) > 1 else ""
    if isinstance(result, Refusal):
        return f"<div>{named}<p>{escape(result.reason)}</p></div>" if place == 0 or named else ""
    mark = {True: " ✓", False: " ✗", None: ""}[judged.right[place][row]]
    hue = COMPARED[place].css
    bars = "".join(
        f'<span title="{escape(answer.name)}">{escape(answer.name)}{mark if first == 0 else ""}</span>'
        f'<i><b style="width:{100 * answer.probability:.1f}%;background:{hue}"></b></i>'
        f"<em>{numbers.percent(answer.probability, 1)}</em>"
        for first, answer in enumerate(result.top)
    )
    words = ", ".join(f"{answer.name} {numbers.percent(answer.probability, 1)}" for answer in result.top)
    label = escape(f"{network.loaded.name} says {words}")
    return f'<div>{named}<div class="bars" role="img" aria-label="{label}">{bars}</div></div>'
