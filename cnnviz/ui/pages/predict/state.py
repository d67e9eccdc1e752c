"""URL state of the Predict page: compared networks, order, page."""

from __future__ import annotations

import re
from dataclasses import dataclass

import streamlit as st

from cnnviz.ui.shared import url_state
from cnnviz.ui.shared.inspection import model_input
from cnnviz.ui.shared.inspection.model_input import Network
from cnnviz.ui.shared.url_state import quoted

MAX_NETWORKS = 4
"""Maximum number of networks side by side."""
ORDERS = {
    "unsure": "least sure first",
    "mistakes": "worst mistakes first",
    "disagreement": "disagreements first",
    "file": "upload order",
}
DEFAULT_ORDER = "unsure"
SEPARATOR = ","


@dataclass(frozen=True)
class PageState:
    """URL state of the page."""

    networks: tuple[Network, ...]
    """One to four networks, the page's own first."""
    order: str
    page: int
    problems: tuple[str, ...]


def current(first: Network) -> PageState:
    """Read the state from the page's URL; invalid parameters become problems."""
    problems: list[str] = []
    others = _others(st.query_params.get("against", ""), first, problems)
    order, wrong = url_state.choice("order", tuple(ORDERS), DEFAULT_ORDER)
    problems += [wrong] if wrong else []
    if page() is None:
        problems.append(f"“page” cannot be {quoted(st.query_params['page'])}, only a whole number from 1 on.")
    return PageState((first, *others), order, page() or 1, tuple(problems))


def page() -> int | None:
    """Return the page of the list; None if the URL's is invalid."""
    text = st.query_params.get("page", "1")
    return int(text) if re.fullmatch(r"[1-9][0-9]{0,4}", text) else None


def written(references: list[str]) -> str | None:
    """Format the compared networks for the URL; None if there are none."""
    return SEPARATOR.join(references) or None


def _others(text: str, first: Network, problems: list[str]) -> list[Network]:
    references = [part for part in dict.fromkeys(text.split(SEPARATOR)) if part and part != first.reference]
    if len(references) >= MAX_NETWORKS:
        problems.append(f"At most {MAX_NETWORKS} networks stand side by side; the first of them are shown.")
    networks = []
    for reference in references[: MAX_NETWORKS - 1]:
        network = model_input.model_to_compare(reference)
        if network is None:
            problems.append(f"There are no weights {quoted(reference)} to put beside.")
        else:
            networks.append(network)
    return networks
