"""All experiments with what each asks: those that were started here, the ready-made ones, demonstrations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import streamlit as st

from cnnviz.experiments import Stored
from cnnviz.experiments.catalogue import Ready, catalogue
from cnnviz.experiments.demonstrating import every_demonstration
from cnnviz.experiments.recorded import names, recording
from cnnviz.experiments.verdict import brief
from cnnviz.tracking import Status
from cnnviz.ui import chrome, notice


def listing(own: Sequence[Stored]) -> None:
    """Draw them, a link and a line each."""
    if own:
        _group("Started here", ((str(s.id), f"{s.id} · {s.experiment.name}", _state(s)) for s in own))
    _group("Ready-made", ((r.name, r.title, _answer(r)) for r in catalogue().values()))
    _group(
        "Seen at once", ((d.name, d.title, f"Asked by {d.asked_by}.") for d in every_demonstration().values())
    )


def _group(title: str, entries: Iterable[tuple[str, str, str]]) -> None:
    st.subheader(title, anchor=False)
    with st.container(key=f"experiments-list-{title.split()[0].lower()}"):
        for key, name, about in entries:
            with st.container(horizontal=True, gap="small"):
                chrome.link("experiments", name, experiment=key)
                st.caption(notice.plain(about))


def _answer(ready: Ready) -> str:
    """The answer that ships, else where the question comes from."""
    if ready.name not in names():
        return f"Asked by {ready.asked_by}."
    result = recording(ready.name).result
    told = "; ".join(brief(arm.name, arm.difference) for arm in result.arms[1:])
    pairs = [arm.difference.n for arm in result.arms[1:] if arm.difference is not None]
    return f"{told}. n = {' to '.join(map(str, dict.fromkeys((min(pairs), max(pairs)))))}."


def _state(stored: Stored) -> str:
    done = sum(run is not None and run.status is Status.FINISHED for run in stored.runs.values())
    return f"{stored.experiment.question} {done} of {len(stored.runs)} runs."
