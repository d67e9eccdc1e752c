"""The queue: what trains, what waits behind it, and in which order."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from cnnviz import tracking
from cnnviz.tracking import ACTIVE, Command, RunSummary, Status
from cnnviz.ui import notice
from cnnviz.ui.runs import store
from cnnviz.ui.train import plan as plans

MOST = 50


def queue(runs: list[RunSummary]) -> None:
    """Draw the runs that train and those that wait, each with what can be done about it."""
    waiting = [run for run in runs if run.status is Status.QUEUED]
    st.subheader("Queue", anchor=False)
    st.caption("Runs of one device train one after another. They go on without this page.")
    for run in runs:
        first = not waiting or run.id == waiting[0].id
        with st.container(
            horizontal=True, vertical_alignment="center", gap="small", key=f"train-queued-{run.id}"
        ):
            st.button(
                f"{run.id} · {notice.plain(run.name)}", key=f"train-watch-{run.id}", type="tertiary",
                on_click=plans.put, kwargs={"run": str(run.id)}, help="Watch it",
            )  # fmt: skip
            st.caption(_state(run), width="stretch")
            if run.status is Status.QUEUED:
                if not first:
                    _button("To the front", "vertical_align_top", "first", run.id, _to_front)
                _button("Remove", "close", "remove", run.id, _remove)


def in_queue(database: tracking.Database) -> list[RunSummary]:
    """What trains and what waits, in the order in which it is done."""
    found = tracking.list_runs(database, statuses=[*ACTIVE, Status.QUEUED], metrics=[], limit=MOST)
    return sorted(found, key=lambda run: (run.status is Status.QUEUED, run.queued, run.id))


def _button(label: str, icon: str, key: str, run: int, do: Callable[[int], None]) -> None:
    st.button(
        label, icon=f":material/{icon}:", key=f"train-{key}-{run}", type="tertiary", on_click=do, args=(run,)
    )


def _state(run: RunSummary) -> str:
    if run.status is Status.QUEUED:
        return f"waits for {run.device}"
    share = run.step / run.total_steps if run.total_steps else 0
    return f"{run.status} on {run.device}, {100 * share:.0f} %"


def _to_front(run: int) -> None:
    _ask(lambda database: tracking.first_in_queue(database, run))


def _remove(run: int) -> None:
    _ask(lambda database: tracking.request(database, run, Command.STOP))


def _ask(do: Callable[[tracking.Database], object]) -> None:
    try:
        do(store.database())
    except (ValueError, OSError) as error:
        notice.later(str(error))
