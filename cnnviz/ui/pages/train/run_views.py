"""Views of a run: headline with actions, event log, confusion matrix and sample predictions."""

from __future__ import annotations

import json
import time
from html import escape

import streamlit as st

from cnnviz import datasets, models, tracking
from cnnviz.figures import numbers
from cnnviz.figures.confusion import confusion, confusion_alt
from cnnviz.tracking import Command, Kind, Run, Status
from cnnviz.training import Recipe
from cnnviz.training.estimate import place_in_queue
from cnnviz.training.fine_tuning import start_title
from cnnviz.training.queue import UNNAMED, has_default_name
from cnnviz.ui.components.plot import plot
from cnnviz.ui.pages.train.jobs import hint_line
from cnnviz.ui.shared import layout, notice, visitors
from cnnviz.ui.shared.glossary import term_heading
from cnnviz.ui.shared.runs import recipe_plan as plans
from cnnviz.ui.shared.runs import run_data
from cnnviz.ui.shared.runs.live_run import RunData, seconds_left

UNKNOWN = "not known"
"""Model of an imported history that nobody named."""
IMPORTED = "a history, imported from a file"
MEANINGS = {
    Status.QUEUED: "It starts by itself when its turn comes; you need not stay on this page.",
    Status.PAUSED: "It has written a checkpoint and gives the device free; it goes on exactly where it was.",
    Status.STOPPED: "It was stopped; its last checkpoint is kept, and it can go on from there.",
    Status.INTERRUPTED: "Its process ended before the run did; it can go on from its last checkpoint.",
    Status.FAILED: "It cannot go on like this. Find out why; then resume it, or change its recipe.",
    Status.STOPPING: "It finishes its step and writes a checkpoint.",
}
WATCHED_MEANINGS = {
    Status.RUNNING: "A training loop in a process of its own, watched by cnnviz.watch.",
    Status.STOPPING: "It was asked to stop: the loop ends once it reads run.should_stop, and only then.",
    Status.STOPPED: "Its loop ended because it was asked to. To train on, run your script again.",
    Status.INTERRUPTED: "Its process ended without finishing the run. To train on, run your script again.",
    Status.FAILED: "Its loop ended with an error.",
}


def headline(run: Run, run_log: RunData, recipe: Recipe) -> None:
    """Draw the run's description, figures, progress bar and buttons."""
    with st.container(key="run-line", gap="small"):
        about = [_origin(run, recipe), run.device_text] if run.timed else [_origin(run, recipe)]
        if run.timed and not has_default_name(run):
            about.insert(0, f"{models.title_of(run.model)} on {datasets.title_of(run.data)}")
        if run.parent_id:
            about.append(f"copy of run {run.parent_id}")
        if run.has_recipe:
            about += _fine_tuning(recipe)
        title = f"Run {run.id} · {escape(run.name)}"
        st.html(f'<p class="run-about"><b>{title}</b> · {escape(", ".join(about))}</p>')
        st.html(f'<div class="run-figures">{"".join(_figures(run, run_log))}</div>')
        if run.total_steps:
            _progress(run)
        _reason(run, run_log)
        _buttons(run)
        with st.container(key=f"train-hint-room-{'live' if run.active else 'still'}"):
            hint_line(run)


def _fine_tuning(recipe: Recipe) -> list[str]:
    """Describe the weights that the run began with, and up to where they are frozen."""
    began = [f"began with the weights of {start_title(recipe.start_from)}"] if recipe.start_from else []
    return began + ([f"frozen up to {recipe.freeze_until}"] if recipe.freeze_until else [])


def _figures(run: Run, run_log: RunData) -> list[str]:
    """Return the headline figures with their labels, most important first."""
    state = f'<b class="run-state {run.status}" role="status">{run.status}</b>'
    figures = [f"<div>{state}<span>{_since(run)}</span></div>"]
    if run.total_steps and not run.counts_epochs:
        figures.append(_figure(f"{run.step:,}", "steps"))
    elif run.total_steps:
        epochs = f"{run.epoch:.3g} of {run.total_epochs:g}" if run.total_epochs else f"{run.epoch:.3g}"
        figures.append(_figure(epochs, f"epochs, step {run.step:,} of {run.total_steps:,}"))
    elif not run.has_recipe and run.step:
        figures.append(_figure(f"{run.step:,}", f"steps, {run.epoch:.3g} epochs"))
    left = seconds_left(run_log, run.step, run.total_steps) if run.status is Status.RUNNING else None
    if left is not None:
        figures.append(_figure(numbers.duration(left), "left"))
    if run.timed and (run.began or run.seconds):
        figures.append(_figure(numbers.duration(run.seconds), "in training"))
    for name, label in (
        _judged(run_log),
        ("images_per_second", "images / s"),
        ("memory_bytes", "memory"),
    ):
        value = run_log.last(name)
        if value is not None:
            text = numbers.short(value) if name == "images_per_second" else numbers.metric_text(name, value)
            figures.append(_figure(text, label))
    return figures


def _judged(run_log: RunData) -> tuple[str, str]:
    """Return the accuracy of the headline: on test images, or on validation images where there is no test."""
    part = "val" if "test/accuracy" not in run_log.curves and "val/accuracy" in run_log.curves else "test"
    return f"{part}/accuracy", numbers.metric_title(f"{part}/accuracy")


def _origin(run: Run, recipe: Recipe) -> str:
    """Describe what the run follows: a recipe and a seed, or a user's own training loop."""
    if run.kind is Kind.WATCHED:
        return "a training loop of its own"
    if run.kind is Kind.IMPORTED:
        return f"a history of {run.model}, imported from a file" if run.model != UNKNOWN else IMPORTED
    recorded = "recorded, and shipped with cnnviz; " if run.kind is Kind.RECORDED else ""
    return f"{recorded}{_named(recipe)}, seed {run.seed}"


def _named(recipe: Recipe) -> str:
    return "a recipe of its own" if recipe.name == UNNAMED else f"recipe {recipe.name}"


def _since(run: Run) -> str:
    if run.status is Status.QUEUED:
        return _queue_place(run)
    if run.status is Status.STARTING and run.submitted:
        waited = time.time() - (run.heartbeat or run.queued)
        actors = (run.worker or {}).get("actors", 1)
        room = f"room for {actors} processes on several nodes" if actors > 1 else "room there"
        return f"submitted to the cluster, waits for {room} ({numbers.duration(max(0.0, waited))})"
    if run.status is Status.STARTING:
        waited = time.time() - (run.heartbeat or run.queued)
        return f"imports torch, opens the images ({numbers.duration(max(0.0, waited))})"
    if run.ended is not None:
        return f"since {numbers.moment(run.ended)}"
    return f"begun {numbers.moment(run.began)}" if run.began else ""


def _queue_place(run: Run) -> str:
    """Describe what a queued run waits for: other runs, with an estimate of the time, or a machine."""
    database = run_data.database()
    machines, code = tracking.machines(database), run.recipe.get("code")
    if waits := tracking.waiting_reason(machines, run.device_class, code, run.needs, run.host):
        return escape(waits)
    if held := visitors.held_back(database, run):
        return escape(held)
    position = place_in_queue(database, run, timed=True)
    ahead = [other.id for other in (*position.training, *position.waiting)]
    if not ahead:
        return f"next on {run.device_text}"
    named = ", ".join(f"run {number}" for number in sorted(ahead)[:3])
    more = f" and {len(ahead) - 3} more" if len(ahead) > 3 else ""
    about = "" if position.seconds is None else f", about {numbers.duration(position.seconds)}"
    return f"behind {named}{more}{about}"


def _figure(value: str, label: str) -> str:
    return f"<div><b>{escape(value)}</b><span>{escape(label)}</span></div>"


def _progress(run: Run) -> None:
    share = run.step / run.total_steps if run.total_steps else 0.0
    st.progress(min(1.0, share), width="stretch")


def _reason(run: Run, run_log: RunData) -> None:
    """Draw why the run is in its state, and the last output lines of a worker that died."""
    if run.deleted_at is not None:
        st.warning("This run is deleted; the Runs page brings it back.", icon=":material/delete:")
    if run.error and run.status is Status.FAILED:
        st.error(notice.escape(run.error), icon=":material/error:")
    elif run.error:
        st.warning(notice.escape(run.error), icon=":material/info:")
    if run.status is Status.FINISHED and run_log.history and run_log.history[-1].reason:
        st.caption(notice.escape(run_log.history[-1].reason))
    meanings = MEANINGS if run.trained else WATCHED_MEANINGS if run.kind is Kind.WATCHED else {}
    if run.status in meanings:
        st.caption(meanings[run.status])
    if run.last_lines:
        with st.expander("Last lines of its output", key="run-last-lines"):
            st.code(run.last_lines[-6000:], language=None, wrap_lines=True)


def _buttons(run: Run) -> None:
    pending = tracking.pending(run_data.database(), run.id) if run.active else None
    ours = visitors.may_change(run_data.database(), run.owner_id)
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="run-buttons"):
        if not ours:
            reason = visitors.whose(
                run_data.database(), run.owner_id, "This run", "look at it, and clone it."
            )
            st.caption(notice.escape(reason), width="content")
        elif run.deleted_at is None and run.kind is Kind.WATCHED:
            if run.status is Status.RUNNING:
                _button(run, "Ask to stop", "stop", Command.STOP)
        elif run.deleted_at is None and run.trained:
            if run.status in (Status.RUNNING, Status.STARTING, Status.QUEUED):
                _button(run, "Pause", "pause", Command.PAUSE, disabled=pending is not None)
            if run.resumable:
                _button(run, "Resume", "play_arrow", Command.RESUME, primary=run.status is not Status.FAILED)
            if run.status in (Status.RUNNING, Status.STARTING, Status.QUEUED, Status.PAUSED):
                _button(run, "Stop", "stop", Command.STOP, disabled=pending is Command.STOP)
        if run.has_recipe and st.button(
            "Clone run", icon=":material/fork_right:", key="run-fork", type="tertiary",
            help="A new run from this recipe, changed as you like.",
        ):  # fmt: skip
            plans.fork(run.id)
            st.rerun()
        if st.button("New run", icon=":material/add:", key="run-new", type="tertiary"):
            plans.put(run=None)
            st.rerun()
        if run.trained and run.status is Status.FINISHED:
            layout.link(
                "features", "See its feature maps", icon=":material/visibility:", weights=f"run:{run.id}",
                layer=None,
            )  # fmt: skip
        layout.link("runs", "Compare runs", icon=":material/table_chart:", runs=str(run.id), run=None)
        question = "Why did it fail?" if run.status is Status.FAILED else "Diagnose"
        layout.link("diagnose", question, icon=":material/stethoscope:", run=str(run.id))
        if run.parent_id is not None:
            beside = f"Beside run {run.parent_id}"
            layout.link("diagnose", beside, icon=":material/vertical_split:", run=str(run.parent_id))
        if pending is not None and run.trained:
            st.caption(f"asked to {pending}: it finishes its step")


def _button(
    run: Run, label: str, icon: str, command: Command, *, primary: bool = False, disabled: bool = False
) -> None:
    if st.button(label, icon=f":material/{icon}:", key=f"run-{command}", disabled=disabled,
                 type="primary" if primary else "secondary"):  # fmt: skip
        try:
            tracking.request(run_data.database(), run.id, command)
        except (ValueError, OSError) as error:
            notice.defer(str(error))
        st.rerun()


# Event log, recipe and environment.


def history(run: Run, run_log: RunData) -> None:
    """Draw expanders with the event log, layers, data, recipe and machine."""
    with st.expander("Event log", key="run-history"):
        rows = "".join(
            f"<tr><td>{_moment(change.time)}</td><td>{change.new}</td>"
            f"<td>{escape(change.reason or '')}</td></tr>"
            for change in run_log.history
        )
        st.html(f'<table class="states"><tbody>{rows}</tbody></table>')
        if run.timed:
            st.caption(f"Attempt {run.attempt}; {numbers.duration(run.seconds)} in training in all.")
    if table := run_data.own_layers_table(run):
        with st.expander("Layers of its network", key="run-layers"):
            st.html(table)
    with st.expander(
        "Recipe, data and machine" if run.has_recipe else "Settings, data and machine", key="run-recipe"
    ):
        if run_log.data:
            data = run_log.data
            counted = [part for part in ("train", "validation", "test") if data.get(part) is not None]
            parts = ", ".join(f"{data[part]:,} for {part}" for part in counted)
            images = [f"Images: {parts}."] if parts else []
            if text := " ".join([*images, *map(str, data.get("notes", ()))]):
                st.caption(text)
        if not run.timed:
            st.caption("An imported history holds curves: nothing is known of its settings and its machine.")
            return
        st.caption(
            " · ".join(filter(None, (run.hardware, *_versions(run)))) or "Not known before it has begun."
        )
        if run.has_recipe:
            st.code(Recipe.model_validate(run.recipe).write(), language="json")
        else:
            st.caption("What is known of its loop; the rest stands in your own code.")
            st.code(json.dumps(run.recipe, indent=2, ensure_ascii=False), language="json")


def _versions(run: Run) -> list[str]:
    return [f"{package} {version}" for package, version in (run.versions or {}).items()]


def _moment(when: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(when))


# Confusion matrix and sample predictions.

MATRIX = 340


def sample_predictions(run_log: RunData, name: str) -> None:
    """Draw both, as soon as they are available; `name` is the file name of downloads."""
    term_heading("Confusion matrix")
    if run_log.confused is None:
        st.caption(
            "No confusion matrix was recorded: the run did not reach the end of an epoch, or was not ours."
            if run_log.ended
            else "The confusion matrix comes with the end of the first epoch."
        )
    else:
        part, epoch, matrix = run_log.confused
        st.caption(f"{part.capitalize()} images after epoch {epoch:g}. Rows: true class; columns: predicted.")
        figure = run_log.figure("confusion", None, lambda: confusion(matrix, run_log.classes))
        plot(figure, key="train-confusion", height=MATRIX,
             alt=confusion_alt(matrix, run_log.classes), name=f"{name}-confusion", picks=False)  # fmt: skip
    if run_log.images:
        st.header("Sample predictions", anchor=False)
        st.caption(f"What the model says of them at epoch {run_log.predicted_at:.3g}; ✗ is a mistake.")
        st.html(f'<div class="fixed-images">{"".join(_cards(run_log))}</div>')


def _cards(run_log: RunData) -> list[str]:
    predictions = {prediction["index"]: prediction["top"] for prediction in run_log.predictions}
    return [
        _card(run_log.classes, image["label"], image["png"], predictions.get(image["index"], []))
        for image in run_log.images
    ]


def _card(classes: list[str], label: int, png: str, top: list[tuple[float, float | None]]) -> str:
    true = _class(classes, label)
    if not top:
        return _predictions_figure(png, true, f"<b>{escape(true)}</b>", "")
    first, sure = int(top[0][0]), top[0][1]
    right = first == label and sure is not None
    others = ", ".join(f"{_class(classes, int(c))} {_sure(p)}" for c, p in top)
    mark = "" if right else '<i aria-label="wrong">✗</i> '
    text = f"<b>{mark}{escape(_class(classes, first))}</b><span>{_sure(sure)}</span>"
    alt = f"{true}, predicted: {others}"
    return _predictions_figure(png, alt, text, "" if right else " class='wrong'")


def _predictions_figure(png: str, alt: str, text: str, state: str) -> str:
    picture = f'<img src="data:image/png;base64,{escape(png)}" alt="{escape(alt)}">'
    return f'<figure{state} title="{escape(alt)}">{picture}<figcaption>{text}</figcaption></figure>'


def _sure(probability: float | None) -> str:
    """Format a probability; None, where the model's outputs were not finite, as `NaN`."""
    return "NaN" if probability is None else numbers.percent(probability)


def _class(classes: list[str], number: int) -> str:
    return classes[number] if number < len(classes) else str(number)
