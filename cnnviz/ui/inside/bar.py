"""The bar on top of the pages that look inside: which network, then what a page adds; share."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping

import streamlit as st

from cnnviz.ui import model_bar
from cnnviz.ui.inside.chooser import weights_chooser
from cnnviz.ui.inside.weights import Network


@contextlib.contextmanager
def inside_bar(network: Network) -> Iterator[None]:
    """Draw it around what is drawn inside of the `with`."""
    st.html(model_bar.CSS)
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="what"):
        weights_chooser(network)
        yield
        with st.container(horizontal=True, gap="xsmall", width="content", key="what-actions"):
            model_bar.share()


def stepper(
    label: str, named: Mapping[str, str], chosen: str, *, key: str, width: int, choose: Callable[[str], None]
) -> None:
    """Draw a list with a step to either side; `named` is what each value is called, in order.

    `choose` is called, before the page runs again, with the value that was chosen.
    """
    names = list(named)
    place = names.index(chosen)
    _step(f"{label} before", f"{key}-before", "left", names[place - 1] if place else None, choose)
    st.session_state[key] = chosen
    st.selectbox(
        label,
        names,
        format_func=lambda name: named.get(name, name),
        key=key,
        on_change=lambda: choose(st.session_state[key]),
        required=True,
        label_visibility="collapsed",
        placeholder=f"Type to find a {label.lower()}",
        width=width,
    )
    _step(f"{label} after", f"{key}-after", "right", (*names[place + 1 :], None)[0], choose)


def _step(label: str, key: str, side: str, to: str | None, choose: Callable[[str], None]) -> None:
    st.button(
        f":material/chevron_{side}:",
        key=key,
        help=label if to is None else f"{label}: {to or '(model)'}",
        disabled=to is None,
        on_click=choose,
        args=(to or "",),
        type="tertiary",
    )
