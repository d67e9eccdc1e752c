"""The pictures to ask about: what this visitor handed in, or the bundled ones."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Literal

import streamlit as st

from cnnviz.ui.inside.address import put

if TYPE_CHECKING:
    from cnnviz.inference.picture import Refusal
    from cnnviz.inference.uploads import Upload

    Files = Sequence[Upload | Refusal]

KEY, COUNT, HOW = "predict-files", "predict-uploads", "predict-how"
MOST = 5_000
"""Pictures at a time."""
WAYS = {"files": "Pictures or zips", "folder": "A folder"}


def chosen() -> Files:
    """The very same list until others are handed in."""
    found: Files = st.session_state.get(KEY) or _bundled()
    return found


def bundled() -> bool:
    """Whether nothing was handed in."""
    return not st.session_state.get(KEY)


def upload() -> None:
    """Draw the field for files."""
    count = st.session_state.setdefault(COUNT, 0)
    st.segmented_control(
        "Hand in", list(WAYS), format_func=WAYS.__getitem__, key=HOW, default="files", required=True,
        label_visibility="collapsed",
    )  # fmt: skip
    folder = st.session_state[HOW] == "folder"
    many: Literal["directory"] | bool = "directory" if folder else True
    given = st.file_uploader(
        "Class folders give the true classes: one folder a class, in a zip or as they are.",
        accept_multiple_files=many,
        key=f"predict-upload-{count}-{'folder' if folder else 'files'}",
        max_upload_size=500,
        help="PNG, JPEG, WebP, BMP, GIF, TIFF, or zips of them. They stay yours alone.",
    )
    if isinstance(given, list) and given:
        _take([(file.name, file.getvalue()) for file in given], folder=folder)
        st.rerun()
    if not bundled():
        st.button("Back to the bundled pictures", type="tertiary", icon=":material/undo:", on_click=_clear)


def gathered(files: Sequence[tuple[str, bytes]], *, folder: bool) -> tuple[list[Upload | Refusal], int]:
    """Single files, at most `MOST`, and how many there were."""
    from cnnviz.inference.gather import from_named, handed_in

    if folder:
        found = from_named(dict(files))
    else:
        found = [one for name, data in files for one in handed_in(name, data)]
    return found[:MOST], len(found)


def _take(files: Sequence[tuple[str, bytes]], *, folder: bool) -> None:
    from cnnviz.ui import notice

    found, count = gathered(files, folder=folder)
    if count > MOST:
        notice.later(f"{count:,} pictures are many: the first {MOST:,} are asked about.")
    st.session_state[KEY] = found
    st.session_state[COUNT] += 1
    put(page=None)


def _clear() -> None:
    st.session_state.pop(KEY, None)
    put(page=None)


@cache
def _bundled() -> Files:
    from cnnviz.inference.samples import all_samples

    return tuple(sample.upload() for sample in all_samples().values())
