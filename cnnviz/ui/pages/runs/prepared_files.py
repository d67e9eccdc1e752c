"""Files of a run: written in a background job, then saved, or refused in a sentence.

A deferred download button has no place for the reason why there is no file, and logs a trace instead.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Collection
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import streamlit as st

from cnnviz.datasets.spec import Step
from cnnviz.figures import numbers
from cnnviz.ui.shared import notice
from cnnviz.ui.shared.background_job import BackgroundJob, redraw_until_ended
from cnnviz.ui.shared.runs import run_data

if TYPE_CHECKING:
    from cnnviz.tracking import Run

KEY = "run-file-job"
_TURNS = threading.Semaphore(1)
"""Only one file at a time is written in this process, for all visitors: a network lies in memory twice."""


class FileKind(NamedTuple):
    """A file that can be made of a run."""

    label: str
    about: str
    checkpoint: str
    form: str
    """Format of `cnnviz.inference.export`; "safetensors" for weights with a card; "html", "csv" or "json"
    for what the database holds."""
    ending: str


class WrittenFile(NamedTuple):
    """A written file, and what there is to say about it."""

    name: str
    content: bytes
    notes: tuple[str, ...] = ()


RECORDS = (
    FileKind("Report (HTML)", "One file: curves, matrix, recipe, hardware. Opens without a network.",
             "", "html", ".html"),
    FileKind("Metrics (CSV)", "Every value that was logged, a line each.", "", "csv", ".csv"),
    FileKind("Everything (JSON)", "Recipe, history, metrics and records.", "", "json", ".json"),
)  # fmt: skip
WEIGHTS = tuple(
    FileKind(
        f"Weights, {kind} (safetensors)",
        "The model's weights alone, with a card on how to use them; Feature maps and predict open it.",
        kind, "safetensors", ".safetensors",
    )
    for kind in ("last", "best")
)  # fmt: skip
ELSEWHERE = (
    FileKind("PyTorch source and weights (zip)",
             "A file that makes the network and loads the weights beside it.", "last", "python", ".zip"),
    FileKind("State dict (.pth)", "What torch.load(…, weights_only=True) reads.", "last", "pth", ".pth"),
    FileKind("Exported program (.pt2)", "What torch.export.load reads; holds the network too.",
             "last", "pt2", ".pt2"),
    FileKind("ONNX", "For onnxruntime and others; input 'image', output 'logits'.", "last", "onnx", ".onnx"),
)  # fmt: skip


class FileJob(BackgroundJob[WrittenFile]):
    """Background job that writes one file of a run."""

    def __init__(self, run: Run, kind: FileKind) -> None:
        self.state, self.kind = _state(run, kind), kind
        super().__init__(lambda _: write(run, kind), Step("Writing", 0, 0), "run-file", _TURNS)


def write(run: Run, kind: FileKind) -> WrittenFile:
    """Write a file of a run; several files of one export become a zip.

    Raises:
        ValueError: In one sentence, for a network that the format cannot represent, without a checkpoint, or
            for a run that was deleted meanwhile.
        OSError: For a checkpoint that cannot be read.
    """
    import io
    import zipfile

    from cnnviz.inference.export import export, export_weights, weights_name
    from cnnviz.inference.weights.loaders import from_run

    if kind in RECORDS:
        return _write_records(run, kind)
    if kind.form == "safetensors":
        content = export_weights(run_data.database(), run.id, kind.checkpoint)
        return WrittenFile(weights_name(run, kind.checkpoint), content)
    stem = re.sub(r"\W", "_", f"run-{run.id}-{run.model}")  # A Python file is imported by its name.
    exported = export(from_run(run_data.database(), run.id, kind.checkpoint), kind.form, stem)
    name = f"run-{run.id}{kind.ending}"
    if len(exported.files) == 1:
        return WrittenFile(name, next(iter(exported.files.values())), exported.notes)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for ending, content in exported.files.items():
            archive.writestr(f"{stem}{ending}", content)
    return WrittenFile(name, file.getvalue(), exported.notes)


def _write_records(run: Run, kind: FileKind) -> WrittenFile:
    """Write what the database holds of a run, as it is now."""
    from cnnviz import tracking
    from cnnviz.figures.report import html_report

    database = run_data.database()
    now = tracking.get_run(database, run.id)
    if kind.form == "html":
        text = html_report(database, run.id)
    else:
        text = "".join((tracking.to_csv if kind.form == "csv" else tracking.to_json)(database, run.id))
    notes = (f"The run goes on: this is what was recorded up to step {now.step:,}.",) if now.active else ()
    return WrittenFile(f"run-{run.id}{kind.ending}", text.encode(), notes)


def prepared_files(run: Run, checkpoints: Collection[str]) -> None:
    """Draw a button for each file that can be written; progress and the file stand where it was asked for."""
    job: FileJob | None = st.session_state.get(KEY)
    if job is not None and job.state != _state(run, job.kind):
        job = st.session_state.pop(KEY) and None
    for kind in RECORDS:
        _file(run, kind, job)
    for kind in WEIGHTS:
        if kind.checkpoint in checkpoints:
            _file(run, kind, job)
    if "last" in checkpoints:
        st.caption("For use without cnnviz:")
        for kind in ELSEWHERE:
            _file(run, kind, job)


def _file(run: Run, kind: FileKind, job: FileJob | None) -> None:
    asked = job if job is not None and job.kind == kind else None
    if asked is not None and asked.running:
        redraw_until_ended(asked, partial(_draw_progress, asked))
        return
    if asked is not None and asked.result is not None:
        _draw_file(asked.result)
        return
    st.button(
        kind.label, key=f"export-{kind.label}", help=kind.about, type="tertiary", icon=":material/draft:",
        disabled=job is not None and job.running, on_click=_begin, args=(run, kind),
    )  # fmt: skip
    if asked is not None:
        st.error(_reason(asked))


def _state(run: Run, kind: FileKind) -> tuple[int, int, int | bool]:
    """Return what a written file depends on: a run that goes on has another checkpoint.

    What the database holds grows all the time: a written file says up to which step, until the run has ended.
    """
    return run.id, run.attempt, run.active if kind in RECORDS else run.step


def _begin(run: Run, kind: FileKind) -> None:
    st.session_state[KEY] = FileJob(run, kind)


def _draw_progress(job: FileJob) -> None:
    text = "Waits for another file …" if job.waiting else f"Writing {job.kind.label} …"
    st.caption(notice.escape(text))


def _draw_file(file: WrittenFile) -> None:
    st.download_button(
        f"Save {file.name} ({numbers.size(len(file.content))})", file.content, file.name,
        "application/octet-stream",
        key="export-save", on_click="ignore", type="primary", icon=":material/download:",
    )  # fmt: skip
    for note in file.notes:
        st.caption(notice.escape(note))


def _reason(job: FileJob) -> str:
    """Return why there is no file, as escaped text."""
    error = job.error or ValueError("It ended without a file.")
    if isinstance(error, ValueError | OSError):
        return notice.error_text(error)
    return notice.escape(f"{job.kind.label} could not be written: {type(error).__name__}: {error}")
