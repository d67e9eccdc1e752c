"""Files of runs: exports, checkpoints on disk, deletion and restoring, recorded runs to add."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import streamlit as st

from cnnviz.datasets.spec import Step
from cnnviz.figures import numbers
from cnnviz.tracking import recorded_runs
from cnnviz.ui.pages.runs import state
from cnnviz.ui.pages.runs.state import PageState
from cnnviz.ui.shared import notice
from cnnviz.ui.shared.background_job import BackgroundJob, redraw_until_ended
from cnnviz.ui.shared.runs import run_data

if TYPE_CHECKING:
    from cnnviz.tracking import Checkpoint, Database, Run, RunSummary


# Export of a run: written in a background job, then saved, or refused in a sentence. A deferred download
# button has no place for the reason why there is no file, and logs a trace instead.

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
    from cnnviz.figures.report.run import html_report

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


def exports(run: Run, kinds: Collection[str]) -> None:
    """Draw the menu; `kinds` are the available checkpoints."""
    with st.popover("Export", icon=":material/download:", key="run-export", type="tertiary"):
        prepared_files(run, kinds)


# Disk usage of a run.

DELETION_EFFECTS = {
    "last": "Without it the run cannot go on from where it is: resumed, it begins anew. Its curves stay.",
    "best": "The weights that did best on the validation images are gone then; the last ones stay.",
}


def disk_usage(run: Run, checkpoints: Mapping[str, Checkpoint]) -> None:
    """Draw each checkpoint with its size and a delete button."""
    from cnnviz import tracking

    st.header("On disk", anchor=False)
    total = tracking.disk_bytes(run.id, run.key)
    st.caption(f"{numbers.size(total)} in all. Rows in the database are not counted.")
    for kind, checkpoint in checkpoints.items():
        with st.container(horizontal=True, gap="small", vertical_alignment="center", key=f"kept-{kind}"):
            st.markdown(
                f"**{kind}** · step {checkpoint.step:,} · {numbers.size(checkpoint.bytes)}", width="stretch"
            )
            if not run.active:
                _delete(run, kind, checkpoint)
    if not checkpoints:
        st.caption("No checkpoints.")


def _delete(run: Run, kind: str, checkpoint: Checkpoint) -> None:
    with st.popover("Delete", type="tertiary", key=f"reclaim-menu-{kind}"):
        size = numbers.size(checkpoint.bytes)
        st.markdown(f"Frees {size}. {DELETION_EFFECTS.get(kind, '')} This cannot be undone.")
        st.button(
            f"Delete the {kind} checkpoint", key=f"reclaim-{kind}", type="primary", on_click=_deleted,
            args=(run.id, kind),
        )  # fmt: skip


def _deleted(run_id: int, kind: str) -> None:
    from cnnviz import tracking

    try:
        freed = tracking.remove_checkpoint(run_data.database(), run_id, kind)
    except (OSError, ValueError) as error:
        notice.defer(str(error))
        return
    run_data.invalidate()
    notice.defer(f"The {kind} checkpoint of run {run_id} is deleted; {numbers.size(freed)} freed.")


# Actions on selected runs: delete, restore, remove permanently.

JUST_DELETED = "runs-just-deleted"


def undo_line() -> None:
    """Draw which runs were just deleted, with an undo button."""
    deleted: tuple[int, ...] = st.session_state.get(JUST_DELETED, ())
    if not deleted:
        return
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="runs-undo-line"):
        st.markdown(f"{named(deleted).capitalize()} deleted. The files stay until it is removed for good.")
        st.button("Undo", key="runs-undo", icon=":material/undo:", on_click=restore, args=(deleted,))
        st.button(
            ":material/close:",
            key="runs-undo-close",
            type="tertiary",
            help="Hide this line",
            on_click=_forget,
        )


def chosen_line(page_state: PageState, known: Sequence[RunSummary], disk: dict[int, int]) -> None:
    """Draw which runs are selected, with their actions."""
    ids = tuple(run.id for run in known)
    if not ids:
        return
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="runs-chosen-line"):
        more = len(ids) - state.COMPARED_AT_ONCE
        note = (
            f"; the first {state.COMPARED_AT_ONCE} are compared"
            if more > 0 and not page_state.deleted
            else ""
        )
        st.markdown(f"**{named(ids).capitalize()}** chosen{note}", width="content")
        st.button("Choose none", key="runs-none", type="tertiary", on_click=_choose_none)
        if page_state.deleted:
            st.button("Bring back", key="runs-restore", icon=":material/undo:", on_click=restore, args=(ids,))
            _purge(ids, sum(disk.get(run_id, 0) for run_id in ids))
        else:
            st.button(
                "Delete", key="runs-delete", icon=":material/delete:", type="tertiary", on_click=delete,
                args=(ids,), help="Can be undone.",
            )  # fmt: skip


def named(ids: Sequence[int]) -> str:
    """Name runs in words: `run 7`, `runs 3, 7 and 9`, `12 runs`."""
    if len(ids) == 1:
        return f"run {ids[0]}"
    if len(ids) > 6:
        return f"{len(ids)} runs"
    return f"runs {', '.join(map(str, ids[:-1]))} and {ids[-1]}"


def delete(ids: Sequence[int]) -> None:
    """Delete runs (restorable), for use in callbacks; errors are reported, the others are deleted."""
    from cnnviz import tracking

    deleted = _each(ids, tracking.delete_run)
    if deleted:
        st.session_state[JUST_DELETED] = deleted
        state.change(runs=None, cell=None, pair=None, run=None)


def restore(ids: Sequence[int]) -> None:
    """Restore deleted runs, for use in callbacks."""
    from cnnviz import tracking

    back = _each(ids, tracking.restore_run)
    _forget()
    state.change(runs=state.listed(back), deleted=None)


def _purge(ids: tuple[int, ...], size: int) -> None:
    with st.popover(
        "Remove for good", icon=":material/delete_forever:", type="tertiary", key="runs-purge-menu"
    ):
        st.markdown(
            f"Removes {named(ids)} with every row and file and frees {numbers.size(size)}. "
            "This cannot be undone."
        )
        st.button("Remove for good", key="runs-purge", type="primary", on_click=_purged, args=(ids,))


def _purged(ids: tuple[int, ...]) -> None:
    from cnnviz import tracking
    from cnnviz.training.travel import prune_copies

    try:
        count, freed = tracking.purge_runs(run_data.database(), ids=ids)
        freed += prune_copies(run_data.database())[1]
    except (OSError, ValueError) as error:
        notice.defer(str(error))
        return
    _forget()
    left = f" {len(ids) - count} lie on another machine." if count < len(ids) else ""
    notice.defer(f"{count} run{'' if count == 1 else 's'} removed; {numbers.size(freed)} freed.{left}")
    state.change(runs=None)


def _each(ids: Sequence[int], action: Callable[[Database, int], None]) -> tuple[int, ...]:
    changed = []
    for run_id in ids:
        try:
            action(run_data.database(), run_id)
        except ValueError as error:
            notice.defer(str(error))
        else:
            changed.append(run_id)
    return tuple(changed)


def _choose_none() -> None:
    state.change(runs=None, cell=None, pair=None)


def _forget() -> None:
    st.session_state.pop(JUST_DELETED, None)


def offer(*, first: bool = False) -> None:
    """Draw the recorded runs that are not in the list, each with a button that adds it.

    Args:
        first: Whether nothing was trained here yet, so that they are shown prominently.
    """
    absent = recorded_runs.missing(run_data.database())
    if not absent:
        return
    if first:
        st.header("Recorded runs", anchor=False)
        st.caption(
            "Trained on real data, and shipped with cnnviz: curves, layer statistics, confusion matrix, "
            "recipe. In the list they are compared, diagnosed and cloned like your own."
        )
        _rows(absent)
    else:
        with st.expander("Recorded runs that ship with cnnviz", key="runs-recorded"):
            _rows(absent)


def _rows(names: tuple[str, ...]) -> None:
    for name in names:
        run = recorded_runs.describe(name)
        with st.container(border=True, key=f"recorded-{name}"):
            left, right = st.columns([0.8, 0.2], vertical_alignment="center")
            left.markdown(
                f"**{notice.escape(run.title)}** · {100 * run.accuracy:.2f} % of the test images  \n"
                f"{notice.escape(run.data)}; {run.epochs:g} epochs in {numbers.duration(run.seconds)} on "
                f"{notice.escape(run.hardware)}"
            )
            right.button(
                "Open", key=f"recorded-open-{name}", icon=":material/open_in_new:", on_click=_open,
                args=(name,), width="stretch", help="Puts the run into the list and shows it.",
            )  # fmt: skip
    if len(names) > 1:
        st.button(
            "Put all into the list", key="recorded-all", type="tertiary", icon=":material/playlist_add:",
            on_click=_add_all, args=(names,),
        )  # fmt: skip


def _open(name: str) -> None:
    try:
        run_id = recorded_runs.add(run_data.database(), name)
    except (ValueError, OSError) as error:
        notice.defer(str(error))
    else:
        run_data.invalidate()
        state.change(run=str(run_id))


def _add_all(names: tuple[str, ...]) -> None:
    try:
        for name in names:
            recorded_runs.add(run_data.database(), name)
    except (ValueError, OSError) as error:
        notice.defer(str(error))
    run_data.invalidate()
