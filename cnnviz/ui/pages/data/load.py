"""The bar of the Data page: data set, upload, removal, share; and background jobs that prepare data."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.runtime.uploaded_file_manager import UploadedFile

from cnnviz import datasets
from cnnviz.datasets import DataError, Dataset, DatasetSpec, Progress, library
from cnnviz.datasets.spec import Step
from cnnviz.figures import numbers
from cnnviz.sentences import full_stop
from cnnviz.ui.pages.data import state
from cnnviz.ui.pages.data.state import PageState, facts_html
from cnnviz.ui.shared import model_picker, notice
from cnnviz.ui.shared.background_job import BackgroundJob, redraw_until_ended
from cnnviz.ui.shared.notice import download_text, error_text, prepare, progress_text

# This visitor's preparation jobs, which run while the page stays usable.

KEY = "data-jobs"
PATIENCE = 1.0
"""Seconds for which a short job is awaited without drawing progress."""
AT_ONCE = 2
"""Maximum number of concurrent jobs of all visitors; others wait for their turn."""
_TURNS = threading.BoundedSemaphore(AT_ONCE)


class Job(BackgroundJob["Dataset"]):
    """Background job that prepares a data set.

    Args:
        title: Name for messages: a file's or a data set's.
        work: Prepares the data set, calling its progress callback.
    """

    def __init__(self, title: str, work: Callable[[Progress], Dataset]) -> None:
        self.title = title
        super().__init__(work, Step(f"looking through {title}", 0, None), "prepare", _TURNS)


def job_of(subject: str) -> Job | None:
    """Return this visitor's job on a subject (`UPLOAD`, or a data set's name), in whatever state."""
    return _jobs().get(subject)


def begin(subject: str, title: str, work: Callable[[Progress], Dataset]) -> Job:
    """Start a job on a subject; the previous one's result is dropped."""
    job = _jobs()[subject] = Job(title, work)
    job.wait(PATIENCE)
    return job


def dismiss(subject: str) -> None:
    """Drop a job's result, for use in callbacks."""
    _jobs().pop(subject, None)


def draw(subject: str, job: Job) -> None:
    """Draw an unfinished or failed job: its progress, or why it ended."""
    if job.running:
        redraw_until_ended(job, partial(_draw_progress, subject, job))
    elif job.cancelled:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.info(
                notice.escape(f"{job.title} was canceled; nothing of it was kept."),
                icon=":material/block:",
            )
            _close(subject)
    elif job.error is not None:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.error(failure(job.error))
            _close(subject)


def failure(error: Exception) -> str:
    """Return why a job failed, in one sentence, as escaped Markdown."""
    if isinstance(error, (ValueError, OSError)):
        return error_text(error)
    return notice.escape(full_stop(f"It could not be prepared: {type(error).__name__}: {error}"))


def _draw_progress(subject: str, job: Job) -> None:
    with st.container(border=True, key=f"job-{_slug(subject)}"):
        st.markdown(f"**Preparing {notice.escape(job.title)}.** The page can be used meanwhile.")
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.progress(job.fraction, text=notice.escape(_text(job)))
            st.button(
                "Cancel", icon=":material/close:", key=f"{_slug(subject)}-cancel",
                on_click=job.cancel, disabled=job.stopping,
            )  # fmt: skip


def _text(job: Job) -> str:
    if job.stopping:
        return "Stopping …"
    if job.waiting:
        return "Waiting for other data sets that are being prepared …"
    return progress_text(job.step, job.stage_seconds)


def _close(subject: str) -> None:
    st.button("Close", key=f"{_slug(subject)}-close", type="tertiary", on_click=dismiss, args=(subject,))


def _slug(subject: str) -> str:
    return f"prepare-{subject.replace('/', '-')}"


def _jobs() -> dict[str, Job]:
    jobs: dict[str, Job] = st.session_state.setdefault(KEY, {})
    return jobs


CSS = Path(__file__).with_name("data.css")
NAME = "data-name"
MAX_MEGABYTES = 200
HANDED = "data-handed"
"""Session-state key of the upload counter: a new widget key clears the field for the next file."""
UPLOAD = "upload"
"""Subject of this visitor's upload job."""
POPOVER = "data-own"
SHOWN = "data-shown"
"""Session-state key of the data set that was shown when the upload job started."""


def data_bar(page_state: PageState) -> DeltaGenerator:
    """Draw the bar and a notice of URL errors; return the container for downloads."""
    st.html(model_picker.CSS)
    st.html(CSS)
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="what"):
        known = datasets.specs()
        st.session_state[NAME] = page_state.spec.name
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
        _own(page_state)
        if page_state.spec.name in library.user_datasets():
            _removal(library.user_datasets()[page_state.spec.name])
        with st.container(horizontal=True, gap="xsmall", width="content", key="what-actions"):
            model_picker.share_button(dataset=page_state.spec.name)
            downloads = st.container(width="content", key="data-downloads")
    notice.show([*page_state.problems, *datasets.problems(), *notice.pending_notices()])
    _upload(page_state)
    return downloads


def label(spec: DatasetSpec) -> str:
    """Format a data set for the list: title, number of images, and the download size if it is not here."""
    if spec.source == "yours":
        return f"{spec.name.removeprefix(library.PREFIX)} · yours · {spec.train + spec.test:,}"
    here = spec.offline or datasets.prepared(spec.name) is not None
    waits = "" if here else f" · download {notice.download_text(spec)}"
    return f"{spec.title} · {spec.train + spec.test:,}{waits}"


def _own(page_state: PageState) -> None:
    """Draw the upload of a user's own images."""
    with st.popover(
        "Your own", icon=":material/upload:", type="tertiary", key=POPOVER, on_change="rerun"
    ):  # its state is tracked so that it can be closed, since it would cover the progress
        count = st.session_state.setdefault(HANDED, 0)
        given = st.file_uploader(
            "A zip with one folder of images a class, or a Parquet file in the Hugging Face layout",
            type=["zip", "parquet"],
            max_upload_size=MAX_MEGABYTES,
            key=f"data-upload-{count}",
        )
        job = job_of(UPLOAD)
        busy = job is not None and job.running
        if given is not None:
            st.button(
                "Prepare it", type="primary", key="data-prepare",
                on_click=_begin, args=(given, page_state.spec.name), disabled=busy,
            )  # fmt: skip
        if busy:
            st.caption("One file at a time: another is being prepared.")
        st.caption(
            f"Up to {MAX_MEGABYTES} MB. Larger ones, and folders, by the command line: "
            "`python -m cnnviz data prepare PATH`; then they stand in this list too."
        )


def _begin(given: UploadedFile, shown: str) -> None:
    st.session_state[POPOVER], st.session_state[SHOWN] = False, shown
    begin(UPLOAD, given.name, partial(_keep_upload, given.name, given.getvalue()))


def _keep_upload(name: str, content: bytes, progress: Progress) -> Dataset:
    return library.save_upload(name, content, progress)


def _upload(page_state: PageState) -> None:
    """Draw the upload job; when it is done, show its data set unless another was selected meanwhile."""
    job = job_of(UPLOAD)
    if job is None:
        return
    if job.result is None:
        draw(UPLOAD, job)
        return
    name = job.result.name
    if page_state.spec.name == st.session_state.get(SHOWN) or page_state.spec.name == name:
        dismiss(UPLOAD)
        st.session_state[HANDED] += 1
        state.choose_data(name)
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.success(notice.escape(f"{job.title} is prepared, as {name}."), icon=":material/check:")
        st.button("Show it", key="data-show", on_click=_show, args=(name,))


def _show(name: str) -> None:
    dismiss(UPLOAD)
    st.session_state[HANDED] += 1
    state.choose_data(name)


def _removal(own: library.UserDataset) -> None:
    with st.popover("Remove", icon=":material/delete:", type="tertiary"):
        source = "The file that was handed in goes too." if own.uploaded else f"Its source stays: {own.path}"
        st.markdown(f"Takes {notice.escape(own.name)} out of the list and its decoded copy off the disk.")
        st.caption(notice.escape(source))
        st.button("Remove it", key="data-remove", on_click=partial(_remove, own.name))


def _remove(name: str) -> None:
    try:
        datasets.forget(name)
    except (ValueError, OSError) as error:
        notice.defer(str(error))
        return
    dismiss(name)
    notice.defer(f"{name} is taken out of the list.")
    state.choose_data(state.DEFAULT)


# Loading the data set: a prepared one opens at once, others are prepared in a job, or offered.


def load_dataset(spec: DatasetSpec) -> Dataset | None:
    """Return the data set.

    None if it is being prepared, must be downloaded first, or failed, which is drawn.
    """
    try:
        ready = datasets.prepared(spec.name)
    except (DataError, OSError) as error:
        st.error(error_text(error))
        return None
    if ready is not None:
        dismiss(spec.name)
        return ready
    if spec.source == "yours":
        # Its decoded copy is gone or outdated; a failed job is kept, so that no rerun retries it.
        job = job_of(spec.name) or _begin_upload(spec)
        if job.result is None:
            draw(spec.name, job)
        return job.result
    # Generated data sets take a second or two.
    return prepare(spec) if spec.offline else _offer_download(spec)


def _offer_download(spec: DatasetSpec) -> Dataset | None:
    """Draw facts and the download button; return the data set once its job is done."""
    job = job_of(spec.name)
    if job is not None and job.result is not None:
        return job.result
    with st.container(border=True, key="offer"):
        title, summary = notice.escape(spec.title), notice.escape(spec.summary)
        st.markdown(f"**{title} is not on this machine yet.** {summary}")
        st.html(facts_html(_known(spec)))
        if st.button(
            f"Download {download_text(spec)}",
            icon=":material/download:",
            type="primary",
            key="download",
            disabled=job is not None and job.running,
        ):
            _begin_upload(spec)
            st.rerun()
    if job is not None:
        draw(spec.name, job)
    return None


def _begin_upload(spec: DatasetSpec) -> Job:
    return begin(spec.name, spec.title, partial(_load, spec.name))


def _load(name: str, progress: Progress) -> Dataset:
    return datasets.load(name, progress=progress)


def _known(spec: DatasetSpec) -> list[tuple[str, str]]:
    decoded = (spec.train + spec.test) * spec.shape[0] * spec.shape[1] * spec.shape[2]
    return [
        ("Images", f"{spec.train:,} to train, {spec.test:,} to test, {numbers.shape(spec.shape)} each"),
        ("Classes", f"{len(spec.classes)}: {', '.join(spec.classes[:12])}{' …' * (len(spec.classes) > 12)}"),
        ("From", spec.origin),
        ("License", spec.licence),
        ("Described in", spec.citation),
        ("Takes", f"{download_text(spec)} to download; decoded, {numbers.size(decoded)} on disk"),
    ]
