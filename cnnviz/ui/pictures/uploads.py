"""One's own files: read one after another in sight; what is refused is said while the rest goes on."""

from __future__ import annotations

import streamlit as st

from cnnviz.inference.picture import Refusal
from cnnviz.ui import notice
from cnnviz.ui.pictures import handed, state

COUNT, REFUSED = "pictures-uploads", "pictures-refused"
TOLD = 6
"""Refusals said one by one; the rest is counted."""


def uploads() -> None:
    """Draw the field for files, and what was wrong with those handed in last."""
    count = st.session_state.setdefault(COUNT, 0)
    given = st.file_uploader(
        "Pictures: PNG, JPEG, WebP, BMP, GIF, TIFF, or a zip of them",
        accept_multiple_files=True,
        max_upload_size=20,
        key=f"picture-upload-{count}",
        help="They stay with you: nobody else sees them, and they are forgotten when you close the page.",
    )
    if given:
        _take([(file.name, file.getvalue()) for file in given])
        st.session_state[COUNT] += 1
        st.rerun()
    _say(st.session_state.get(REFUSED, []))


def _take(files: list[tuple[str, bytes]]) -> None:
    from cnnviz.inference.gather import handed_in

    found = [one for name, data in files for one in handed_in(name, data)]
    refused: list[str] = []
    last = None
    if len(found) > handed.MOST:
        refused.append(f"{len(found):,} pictures are many: the first {handed.MOST} are kept here.")
    place = st.empty()
    some = found[: handed.MOST]
    for done, upload in enumerate(some):
        place.progress(done / len(some), text=f"Reading {done + 1} of {len(some)}")
        kept = upload if isinstance(upload, Refusal) else handed.add(upload)
        if isinstance(kept, Refusal):
            refused.append(kept.reason)
        else:
            last = last or kept
    place.empty()
    st.session_state[REFUSED] = refused
    if last is not None:
        state.choose(f"handed:{last.number}")


def _say(refused: list[str]) -> None:
    if not refused:
        return
    more = [f"… and {len(refused) - TOLD} more."] if len(refused) > TOLD else []
    text = "  \n".join(notice.plain(reason) for reason in [*refused[:TOLD], *more])
    st.warning(text, icon=":material/broken_image:")
