"""What can be done with the runs that are ticked: delete, bring back, remove for good."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from cnnviz.figures import measures
from cnnviz.ui import notice
from cnnviz.ui.runs import state, store
from cnnviz.ui.runs.state import Asked

if TYPE_CHECKING:
    from cnnviz.tracking import Database, RunSummary

JUST_DELETED = "runs-just-deleted"


def undo_line() -> None:
    """Draw what was just deleted, and the button that brings it back, until something else is deleted."""
    gone: tuple[int, ...] = st.session_state.get(JUST_DELETED, ())
    if not gone:
        return
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="runs-undo-line"):
        st.markdown(f"{named(gone).capitalize()} deleted. The files stay until it is removed for good.")
        st.button("Undo", key="runs-undo", icon=":material/undo:", on_click=restore, args=(gone,))
        st.button(
            ":material/close:",
            key="runs-undo-close",
            type="tertiary",
            help="Hide this line",
            on_click=_forget,
        )


def chosen_line(asked: Asked, known: Sequence[RunSummary], disk: dict[int, int]) -> None:
    """Draw what is ticked and what can be done with it."""
    ids = tuple(run.id for run in known)
    if not ids:
        return
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="runs-chosen-line"):
        more = len(ids) - state.COMPARED_AT_ONCE
        rest = f"; the first {state.COMPARED_AT_ONCE} are compared" if more > 0 and not asked.deleted else ""
        st.markdown(f"**{named(ids).capitalize()}** chosen{rest}", width="content")
        st.button("Choose none", key="runs-none", type="tertiary", on_click=_choose_none)
        if asked.deleted:
            st.button("Bring back", key="runs-restore", icon=":material/undo:", on_click=restore, args=(ids,))
            _purge(ids, sum(disk.get(run_id, 0) for run_id in ids))
        else:
            st.button(
                "Delete", key="runs-delete", icon=":material/delete:", type="tertiary", on_click=delete,
                args=(ids,), help="Can be undone.",
            )  # fmt: skip


def named(ids: Sequence[int]) -> str:
    """Runs in words: `run 7`, `runs 3, 7 and 9`, `12 runs`."""
    if len(ids) == 1:
        return f"run {ids[0]}"
    if len(ids) > 6:
        return f"{len(ids)} runs"
    return f"runs {', '.join(map(str, ids[:-1]))} and {ids[-1]}"


def delete(ids: Sequence[int]) -> None:
    """Hide runs, for callbacks; one that cannot be is said, the others go."""
    from cnnviz import tracking

    gone = _each(ids, tracking.delete_run)
    if gone:
        st.session_state[JUST_DELETED] = gone
        state.change(runs=None, cell=None, pair=None, run=None)


def restore(ids: Sequence[int]) -> None:
    """Bring deleted runs back, for callbacks."""
    from cnnviz import tracking

    back = _each(ids, tracking.restore_run)
    _forget()
    state.change(runs=state.listed(back), deleted=None)


def _purge(ids: tuple[int, ...], size: int) -> None:
    with st.popover(
        "Remove for good", icon=":material/delete_forever:", type="tertiary", key="runs-purge-menu"
    ):
        st.markdown(
            f"Removes {named(ids)} with every row and file and frees {measures.size(size)}. "
            "This cannot be undone."
        )
        st.button("Remove for good", key="runs-purge", type="primary", on_click=_purged, args=(ids,))


def _purged(ids: tuple[int, ...]) -> None:
    from cnnviz import tracking

    try:
        count, freed = tracking.purge_runs(store.database(), ids=ids)
    except (OSError, ValueError) as error:
        notice.later(str(error))
        return
    _forget()
    left = f" {len(ids) - count} lie on another machine." if count < len(ids) else ""
    notice.later(f"{count} run{'' if count == 1 else 's'} removed; {measures.size(freed)} freed.{left}")
    state.change(runs=None)


def _each(ids: Sequence[int], deed: Callable[[Database, int], None]) -> tuple[int, ...]:
    done = []
    for run_id in ids:
        try:
            deed(store.database(), run_id)
        except ValueError as error:
            notice.later(str(error))
        else:
            done.append(run_id)
    return tuple(done)


def _choose_none() -> None:
    state.change(runs=None, cell=None, pair=None)


def _forget() -> None:
    st.session_state.pop(JUST_DELETED, None)
