"""The bar on top: which data set; one's own handed in; share and download."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.runtime.uploaded_file_manager import UploadedFile

from cnnviz import datasets
from cnnviz.datasets import Dataset, DatasetSpec, Progress, library
from cnnviz.ui import model_bar, notice
from cnnviz.ui.dataset import preparing, state, waiting
from cnnviz.ui.dataset.state import Asked

CSS = Path(__file__).with_name("dataset.css")
NAME = "data-name"
MOST_MEGABYTES = 200
HANDED = "data-handed"
"""Counts what was handed in: a new key empties the field for the next file."""
UPLOAD = "upload"
"""The subject of this visitor's job on what was handed in."""
POPOVER = "data-own"
SHOWN = "data-shown"
"""Which data set was shown when that job began."""


def data_bar(asked: Asked) -> DeltaGenerator:
    """Draw it, and a notice of what is wrong in the URL; return the place for downloads."""
    st.html(model_bar.CSS)
    st.html(CSS)
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="what"):
        known = datasets.specs()
        st.session_state[NAME] = asked.spec.name
        st.selectbox(
            "Data set",
            list(known),
            format_func=lambda name: label(known[name]) if name in known else name,
            key=NAME,
            on_change=lambda: state.choose_data(st.session_state[NAME]),
            required=True,
            label_visibility="collapsed",
            placeholder="Type to find a data set",
            width=380,
        )
        _own(asked)
        if asked.spec.name in library.kept():
            _removal(library.kept()[asked.spec.name])
        with st.container(horizontal=True, gap="xsmall", width="content", key="what-actions"):
            model_bar.share()
            downloads = st.container(width="content", key="data-downloads")
    notice.say([*asked.problems, *datasets.problems(), *notice.kept()])
    _upload(asked)
    return downloads


def label(spec: DatasetSpec) -> str:
    """A data set in the list: its title, how many images, and whether it is here."""
    if spec.source == "yours":
        return f"{spec.name.removeprefix(library.PREFIX)} · yours · {spec.train + spec.test:,}"
    here = spec.offline or datasets.prepared(spec.name) is not None
    waits = "" if here else f" · download {waiting.download_text(spec)}"
    return f"{spec.title} · {spec.train + spec.test:,}{waits}"


def _own(asked: Asked) -> None:
    """Where one's own pictures are handed in."""
    with st.popover(
        "Your own", icon=":material/upload:", type="tertiary", key=POPOVER, on_change="rerun"
    ):  # its state is followed so that it can be closed: it would cover the progress
        count = st.session_state.setdefault(HANDED, 0)
        given = st.file_uploader(
            "A zip with one folder of pictures a class, or a Parquet file in the Hugging Face layout",
            type=["zip", "parquet"],
            max_upload_size=MOST_MEGABYTES,
            key=f"data-upload-{count}",
        )
        job = preparing.job_of(UPLOAD)
        busy = job is not None and job.running
        if given is not None:
            st.button(
                "Prepare it", type="primary", key="data-prepare",
                on_click=_begin, args=(given, asked.spec.name), disabled=busy,
            )  # fmt: skip
        if busy:
            st.caption("One file at a time: another is being prepared.")
        st.caption(
            f"Up to {MOST_MEGABYTES} MB. Larger ones, and folders, by the command line: "
            "`python -m cnnviz data prepare PATH`; then they stand in this list too."
        )


def _begin(given: UploadedFile, shown: str) -> None:
    st.session_state[POPOVER], st.session_state[SHOWN] = False, shown
    preparing.begin(UPLOAD, given.name, partial(_keep, given.name, given.getvalue()))


def _keep(name: str, content: bytes, progress: Progress) -> Dataset:
    return library.keep_upload(name, content, progress)


def _upload(asked: Asked) -> None:
    """What became of the file that was handed in: its data open, unless others were chosen meanwhile."""
    job = preparing.job_of(UPLOAD)
    if job is None:
        return
    if job.result is None:
        preparing.draw(UPLOAD, job)
        return
    name = job.result.name
    if asked.spec.name == st.session_state.get(SHOWN) or asked.spec.name == name:
        preparing.dismiss(UPLOAD)
        st.session_state[HANDED] += 1
        state.choose_data(name)
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.success(notice.plain(f"{job.title} is prepared, as {name}."), icon=":material/check:")
        st.button("Show it", key="data-show", on_click=_show, args=(name,))


def _show(name: str) -> None:
    preparing.dismiss(UPLOAD)
    st.session_state[HANDED] += 1
    state.choose_data(name)


def _removal(own: library.Kept) -> None:
    with st.popover("Remove", icon=":material/delete:", type="tertiary"):
        source = "The file that was handed in goes too." if own.uploaded else f"Its source stays: {own.path}"
        st.markdown(f"Takes {notice.plain(own.name)} out of the list and its decoded copy off the disk.")
        st.caption(notice.plain(source))
        st.button("Remove it", key="data-remove", on_click=partial(_remove, own.name))


def _remove(name: str) -> None:
    try:
        datasets.forget(name)
    except (ValueError, OSError) as error:
        notice.later(str(error))
        return
    preparing.dismiss(name)
    notice.later(f"{name} is taken out of the list.")
    state.choose_data(state.DEFAULT)
