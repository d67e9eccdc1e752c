"""The disk that a run holds, and how to have it back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import streamlit as st

from cnnviz.figures import measures
from cnnviz.ui import notice
from cnnviz.ui.runs import store

if TYPE_CHECKING:
    from cnnviz.tracking import Checkpoint, Run

LOST = {
    "last": "Without it the run cannot go on from where it is: resumed, it begins anew. Its curves stay.",
    "best": "The weights that did best on the validation images are gone then; the last ones stay.",
}


def keeping(run: Run, kept: Mapping[str, Checkpoint]) -> None:
    """Draw each checkpoint with its size and the way to delete it."""
    from cnnviz import tracking

    st.subheader("On disk", anchor=False)
    total = tracking.disk_bytes(run.id, run.key)
    st.caption(f"{measures.size(total)} in all. Rows in the database are not counted.")
    for kind, checkpoint in kept.items():
        with st.container(horizontal=True, gap="small", vertical_alignment="center", key=f"kept-{kind}"):
            st.markdown(
                f"**{kind}** · step {checkpoint.step:,} · {measures.size(checkpoint.bytes)}", width="stretch"
            )
            if not run.active:
                _delete(run, kind, checkpoint)
    if not kept:
        st.caption("No checkpoints.")


def _delete(run: Run, kind: str, checkpoint: Checkpoint) -> None:
    with st.popover("Delete", type="tertiary", key=f"reclaim-menu-{kind}"):
        size = measures.size(checkpoint.bytes)
        st.markdown(f"Frees {size}. {LOST.get(kind, '')} This cannot be undone.")
        st.button(
            f"Delete the {kind} checkpoint", key=f"reclaim-{kind}", type="primary", on_click=_deleted,
            args=(run.id, kind),
        )  # fmt: skip


def _deleted(run_id: int, kind: str) -> None:
    from cnnviz import tracking

    try:
        freed = tracking.remove_checkpoint(store.database(), run_id, kind)
    except (OSError, ValueError) as error:
        notice.later(str(error))
        return
    store.edited()
    notice.later(f"The {kind} checkpoint of run {run_id} is deleted; {measures.size(freed)} freed.")
