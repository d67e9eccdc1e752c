"""The run's line: what it is, how far it has come, and what can be done with it."""

from __future__ import annotations

import time
from html import escape

import streamlit as st

from cnnviz import tracking
from cnnviz.figures import measures, numbers
from cnnviz.tracking import ACTIVE, RESUMABLE, Command, Run, Status
from cnnviz.training import Recipe
from cnnviz.training.queue import UNNAMED
from cnnviz.ui import chrome, notice
from cnnviz.ui.runs import store
from cnnviz.ui.train import plan as plans
from cnnviz.ui.train.hint import hint_line
from cnnviz.ui.train.story import Story, seconds_left

MEANINGS = {
    Status.QUEUED: "It waits until its device is free.",
    Status.PAUSED: "It has written a checkpoint and gives the device free; it goes on exactly where it was.",
    Status.STOPPED: "It was stopped; its last checkpoint is kept, and it can go on from there.",
    Status.INTERRUPTED: "Its process ended before the run did; it can go on from its last checkpoint.",
    Status.FAILED: "It cannot go on like this. Find out why; then resume it, or change its recipe.",
    Status.STOPPING: "It finishes its step and writes a checkpoint.",
}


def headline(run: Run, story: Story, recipe: Recipe) -> None:
    """Draw the line, the bar of progress and the buttons."""
    with st.container(key="run-line", gap="small"):
        about = f"{run.model} on {run.data}, {_named(recipe)}, seed {run.seed}, {run.device}"
        more = f", from run {run.parent_id}" if run.parent_id else ""
        st.html(f'<p class="run-about"><b>Run {run.id} · {escape(run.name)}</b> — {escape(about + more)}</p>')
        st.html(f'<div class="run-figures">{"".join(_figures(run, story))}</div>')
        _progress(run)
        _reason(run)
        _buttons(run)
        with st.container(key=f"train-hint-room-{'live' if run.active else 'still'}"):
            hint_line(run)


def _figures(run: Run, story: Story) -> list[str]:
    """Each figure with what it is, in the order of what one looks for."""
    alive = " lives" if run.active else ""
    found = [
        f'<div><b class="run-state{alive}" role="status">{run.status}</b><span>{_since(run)}</span></div>'
    ]
    if run.total_steps:
        epochs = f"{run.epoch:.3g} of {run.total_epochs:g}" if run.total_epochs else f"{run.epoch:.3g}"
        found.append(_figure(epochs, f"epochs, step {run.step:,} of {run.total_steps:,}"))
    left = seconds_left(story, run.step, run.total_steps) if run.status is Status.RUNNING else None
    if left is not None:
        found.append(_figure(measures.duration(left), "left"))
    found.append(_figure(measures.duration(run.seconds), "in training"))
    for name, label in (
        ("test/accuracy", "test accuracy"),
        ("images_per_second", "images / s"),
        ("memory_bytes", "memory"),
    ):
        value = story.last(name)
        if value is not None:
            text = numbers.short(value) if name == "images_per_second" else measures.metric_text(name, value)
            found.append(_figure(text, label))
    return found


def _named(recipe: Recipe) -> str:
    return "a recipe of its own" if recipe.name == UNNAMED else f"recipe {recipe.name}"


def _since(run: Run) -> str:
    if run.status is Status.QUEUED:
        return _queue_place(run)
    if run.status is Status.STARTING:
        waited = time.time() - (run.heartbeat or run.queued)
        return f"imports torch, opens the images ({measures.duration(max(0.0, waited))})"
    if run.ended is not None:
        return f"since {measures.moment(run.ended)}"
    return f"begun {measures.moment(run.began)}" if run.began else ""


def _queue_place(run: Run) -> str:
    ahead = [
        other.id
        for other in tracking.list_runs(store.database(), statuses=[*ACTIVE, Status.QUEUED], metrics=[])
        if other.device == run.device
        and other.id != run.id
        and (other.status is not Status.QUEUED or (other.queued, other.id) < (run.queued, run.id))
    ]
    if not ahead:
        return f"next on {run.device}"
    named = ", ".join(f"run {number}" for number in sorted(ahead)[:3])
    return f"behind {named}" + (f" and {len(ahead) - 3} more" if len(ahead) > 3 else "")


def _figure(value: str, label: str) -> str:
    return f"<div><b>{escape(value)}</b><span>{escape(label)}</span></div>"


def _progress(run: Run) -> None:
    share = run.step / run.total_steps if run.total_steps else 0.0
    st.progress(min(1.0, share), width="stretch")


def _reason(run: Run) -> None:
    """Why it is as it is, where that is not plain; the last lines of a worker that died."""
    if run.deleted_at is not None:
        st.warning("This run is deleted; the Runs page brings it back.", icon=":material/delete:")
    if run.error and run.status is Status.FAILED:
        st.error(notice.plain(run.error), icon=":material/error:")
    elif run.error:
        st.warning(notice.plain(run.error), icon=":material/info:")
    if run.status in MEANINGS:
        st.caption(MEANINGS[run.status])
    if run.last_lines:
        with st.expander("Last lines of its output", key="run-last-lines"):
            st.code(run.last_lines[-6000:], language=None, wrap_lines=True)


def _buttons(run: Run) -> None:
    asked = tracking.pending(store.database(), run.id) if run.active else None
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="run-buttons"):
        if run.deleted_at is None:
            if run.status in (Status.RUNNING, Status.STARTING, Status.QUEUED):
                _button(run, "Pause", "pause", Command.PAUSE, disabled=asked is not None)
            if run.status in RESUMABLE:
                _button(run, "Resume", "play_arrow", Command.RESUME, primary=run.status is not Status.FAILED)
            if run.status in (Status.RUNNING, Status.STARTING, Status.QUEUED, Status.PAUSED):
                _button(run, "Stop", "stop", Command.STOP, disabled=asked is Command.STOP)
        if st.button("Change and run again", icon=":material/fork_right:", key="run-fork", type="tertiary",
                     help="A new run from this recipe, changed as you like."):  # fmt: skip
            plans.fork(run.id)
            st.rerun()
        if st.button("New run", icon=":material/add:", key="run-new", type="tertiary"):
            plans.put(run=None)
            st.rerun()
        chrome.link("runs", "Compare runs", icon=":material/table_chart:", runs=str(run.id), run=None)
        question = "Why did it fail?" if run.status is Status.FAILED else "Diagnose"
        chrome.link("diagnose", question, icon=":material/stethoscope:", run=str(run.id))
        if run.parent_id is not None:
            beside = f"Beside run {run.parent_id}"
            chrome.link("diagnose", beside, icon=":material/vertical_split:", run=str(run.parent_id))
        if asked is not None:
            st.caption(f"asked to {asked}: it finishes its step")


def _button(
    run: Run, label: str, icon: str, command: Command, *, primary: bool = False, disabled: bool = False
) -> None:
    if st.button(label, icon=f":material/{icon}:", key=f"run-{command}", disabled=disabled,
                 type="primary" if primary else "secondary"):  # fmt: skip
        try:
            tracking.request(store.database(), run.id, command)
        except (ValueError, OSError) as error:
            notice.later(str(error))
        st.rerun()
