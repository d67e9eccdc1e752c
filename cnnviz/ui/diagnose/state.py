"""What the page's URL asks for: a run of the database (`run`), or one that ships (`recorded`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

from cnnviz.diagnosis import recorded
from cnnviz.ui import url_state
from cnnviz.ui.url_state import quoted

RUN, RECORDED = "run", "recorded"


@dataclass(frozen=True)
class Asked:
    """At most one of the two is given; neither means what ships, or the newest run where nothing does."""

    run: int | None = None
    recorded: str | None = None
    problems: tuple[str, ...] = ()


def current() -> Asked:
    """What the page's URL asks for."""
    return read(st.query_params.to_dict(), list(url_state.current().problems))


def read(parameters: Mapping[str, str], said: list[str]) -> Asked:
    """Validate the parameters; every fault becomes a sentence in `problems`."""
    name, number = parameters.get(RECORDED), parameters.get(RUN)
    if name is not None:
        if name in recorded.names():
            return Asked(recorded=name, problems=tuple(said))
        said.append(f"No run called {quoted(name)} ships with cnnviz.")
    if number is not None:
        if re.fullmatch(r"[0-9]{1,9}", number):
            return Asked(run=int(number), problems=tuple(said))
        said.append(f"“run” is the number of a run, not {quoted(number)}.")
    return Asked(problems=tuple(said))


def choose(run: int | None = None, name: str | None = None) -> None:
    """Go to another run, for use in callbacks."""
    url_state.change(run=None if run is None else str(run), recorded=name)
