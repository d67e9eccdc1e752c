"""Details of a run: headline, curves, confusion matrix, recipe, provenance, files and event log."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import streamlit as st

from cnnviz import datasets
from cnnviz.figures import numbers
from cnnviz.figures.numbers import MISSING
from cnnviz.sentences import key_words
from cnnviz.training.recipe import Recipe, differing, value_text
from cnnviz.ui.pages.runs import files, state
from cnnviz.ui.pages.runs.figures import own_curves
from cnnviz.ui.pages.runs.files import disk_usage, exports
from cnnviz.ui.pages.runs.matrices import run_matrix
from cnnviz.ui.pages.runs.rows import state_words
from cnnviz.ui.pages.runs.state import PageState
from cnnviz.ui.shared import layout, notice, visitors
from cnnviz.ui.shared.glossary import term_heading
from cnnviz.ui.shared.model_picker import share_button
from cnnviz.ui.shared.runs import run_data
from cnnviz.ui.shared.url_state import show_value

if TYPE_CHECKING:
    from cnnviz.tracking import Restart, Run, StatusChange

# Name, tags and notes.

MAX_NOTES, MAX_NAME = 20_000, 200


def edit_fields(run: Run, known_tags: Sequence[str]) -> None:
    """Draw the fields; edits are saved at once. Another user's run is read-only."""
    ours = _ours(run)
    if not ours:
        reason = visitors.whose(run_data.database(), run.owner_id, "This run", "look at it, and clone it.")
        st.caption(notice.escape(reason))
    for field, value in (("name", run.name), ("tags", list(run.tags)), ("notes", run.notes)):
        show_value(_key(run, field), value)
    st.text_input(
        "Name",
        key=_key(run, "name"),
        max_chars=MAX_NAME,
        disabled=not ours,
        on_change=_write,
        args=(run, "name"),
    )
    st.multiselect(
        "Tags", sorted({*known_tags, *run.tags}), key=_key(run, "tags"), accept_new_options=True,
        placeholder="Add a tag", disabled=not ours, on_change=_write, args=(run, "tags"),
    )  # fmt: skip
    st.text_area(
        "Notes", key=_key(run, "notes"), height=110, max_chars=MAX_NOTES, disabled=not ours,
        on_change=_write, placeholder="What you tried, what you saw, what to try next.", args=(run, "notes"),
    )  # fmt: skip


def _key(run: Run, field: str) -> str:
    return f"run-{field}-{run.id}"


def _write(run: Run, field: str) -> None:
    from cnnviz import tracking

    changes: dict[str, Any] = {field: st.session_state[_key(run, field)]}
    try:
        tracking.update_run(run_data.database(), run.id, **changes)
    except ValueError as error:
        notice.defer(str(error))
    else:
        run_data.invalidate()


# Provenance and event log: recipe, data, machine, versions, states.


def recipe(run: Run) -> None:
    """Draw the recipe's differences from its base and the download; for a watched run its known settings."""
    if not run.has_recipe:
        _settings(run)
        return
    term_heading("Recipe")
    base, against = _base(run)
    lines = [
        (key_words(field), f"{value_text(theirs)} → {value_text(ours)}", about)
        for field, about, (theirs, ours) in differing([base, run.recipe])
    ]
    st.caption(f"What differs from {against}: field, there → here." if lines else f"Exactly {against}.")
    if lines:
        _table(lines)
    _layers(run)
    st.download_button(
        "Recipe (JSON)", recipe_document(run), f"run-{run.id}-recipe.json", "application/json",
        key="run-recipe", on_click="ignore", type="tertiary", icon=":material/download:",
        help="A file that `python -m cnnviz train FILE` follows again.",
    )  # fmt: skip


def _settings(run: Run) -> None:
    st.header("Settings", anchor=False)
    if not run.recipe:
        st.caption("Imported from a file, which holds curves: nothing is known of its settings.")
        return
    source = "A training loop of its own, watched" if run.kind.value == "watched" else "Imported from a file"
    st.caption(f"{source}: this is what is known of its settings; the rest stands in the code that ran.")
    _table([(key_words(field), value_text(value), "") for field, value in run.recipe.items()])
    _layers(run)


def _layers(run: Run) -> None:
    """Draw the layers of a user's own network, or of any in which layers do not all train alike."""
    if table := run_data.own_layers_table(run):
        with st.expander("Layers of its network", key="run-layers"):
            st.html(table)


def recipe_document(run: Run) -> str:
    """Return the recipe as a JSON document; one that this version cannot parse is returned unchanged."""
    try:
        return Recipe.model_validate(run.recipe).write()
    except ValueError:
        return json.dumps(run.recipe, indent=2, ensure_ascii=False)


def _base(run: Run) -> tuple[dict[str, Any], str]:
    """Return the named recipe of the run, or the plain one for its model and data, with its name."""
    from cnnviz.training.recipes import all_recipes

    named = all_recipes().get(str(run.recipe.get("name")))
    if named is not None:
        return named.model_dump(mode="json"), f"the recipe {named.name}"
    plain = Recipe().model_dump(mode="json")
    return plain | {key: run.recipe.get(key) for key in ("model", "dataset")}, "the plain recipe"


def provenance(run: Run) -> None:
    """Draw data, device and versions of the run."""
    st.header("What it ran on" if run.timed else "Where it is from", anchor=False)
    versions = ", ".join(f"{name} {version}" for name, version in (run.versions or {}).items())
    steps = f"{run.step:,}" + (f" of {run.total_steps:,}" if run.total_steps else "")
    facts = [
        ("data", datasets.title_of(run.data), "What it was trained on."),
        (
            "data fingerprint",
            _short(run.fingerprint),
            f"A hash of the images and labels in their order. In full: {run.fingerprint}",
        ),
        ("seed", run.seed if run.has_recipe else None, "What every random choice follows from."),
        (
            "device",
            " on ".join(filter(None, (run.device_text, run.hardware))) if run.timed else None,
            "What it was trained on.",
        ),
        ("machine" if run.timed else "imported on", run.host, "Where its files lie."),
        ("versions", versions, "Of what it was trained with."),
        ("steps", steps, "Optimizer steps done."),
        ("copy of run", run.parent_id, "The run whose recipe was changed for this one."),
    ]
    _table([(title, str(value), about) for title, value, about in facts if value not in (None, "")])


def event_log(run: Run) -> None:
    """Draw every state transition, with the restarts."""
    from cnnviz import tracking

    st.header("Event log", anchor=False)
    opened = run_data.database()
    changes = tracking.history(opened, run.id)
    restarts = tracking.read_metrics(opened, run.id, limit=1).restarts
    _table(history_lines(changes, restarts))
    if run.last_lines:
        with st.expander("Last lines of its output"):
            st.code(run.last_lines, language=None, wrap_lines=True)


def history_lines(changes: Sequence[StatusChange], restarts: Sequence[Restart]) -> list[tuple[str, str, str]]:
    """Return each transition as (time, description, tooltip); a later attempt names its first step."""
    begun = {restart.attempt: restart.from_step for restart in restarts}
    lines = []
    for change in changes:
        words = change.new.value
        if change.new == "running" and change.attempt > 1 and change.attempt in begun:
            words += f" again from step {max(0, begun[change.attempt]):,} (attempt {change.attempt})"
        if change.reason:
            words += f": {change.reason}"
        lines.append((numbers.moment(change.time), words, numbers.moment(change.time)))
    return lines


def _short(fingerprint: str | None) -> str | None:
    return fingerprint and f"{fingerprint[:12]} …"


def _table(lines: Sequence[tuple[str, str, str]]) -> None:
    rows = "".join(
        f'<tr><th scope="row" title="{escape(about)}">{escape(title)}</th><td>{escape(value)}</td></tr>'
        for title, value, about in lines
    )
    st.html(f'<div class="run-facts"><table><tbody>{rows}</tbody></table></div>')


ENDED = frozenset(("finished", "failed", "stopped", "interrupted"))


def details(run: Run, page_state: PageState, known_tags: Sequence[str]) -> None:
    """Draw the details of a run."""
    from cnnviz import tracking

    checkpoints = tracking.checkpoints(run_data.database(), run.id)
    _bar(run, list(checkpoints))
    notice.show([*page_state.problems, *notice.pending_notices()])
    if run.deleted_at is not None:
        _deleted(run)
    if run.error:
        st.error(notice.escape(run.error), icon=":material/error:")
    st.html(_headline(run))
    left, right = st.columns([3, 2], gap="large")
    with left:
        own_curves(run, page_state)
        run_matrix(run, page_state)
    with right:
        edit_fields(run, known_tags)
        recipe(run)
        disk_usage(run, checkpoints)
        provenance(run)
        event_log(run)


def _bar(run: Run, kinds: Sequence[str]) -> None:
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="run-bar"):
        st.button(
            "All runs", key="run-back", icon=":material/arrow_back:", type="tertiary",
            on_click=lambda: state.change(run=None, cell=None),
        )  # fmt: skip
        st.markdown(f"**Run {run.id}** · {notice.escape(run.name)} · {state_words(run)}", width="stretch")
        with st.container(
            horizontal=True, gap="xsmall", width="content", vertical_alignment="center", key="run-actions"
        ):
            number, model = str(run.id), run.model if run.has_recipe else None
            live = "Train" if run.status.value in ENDED else "Watch live"
            layout.link("train", live, icon=":material/monitoring:", run=number, model=model)
            if run.has_recipe:
                layout.link(
                    "train", "Clone run", icon=":material/call_split:", run=None, parent=number,
                    model=model,
                )  # fmt: skip
            if run.trained and run.status.value == "finished":
                layout.link(
                    "features", "See its feature maps", icon=":material/visibility:", weights=f"run:{number}",
                    model=model, layer=None,
                )  # fmt: skip
            label = "Why did it fail?" if run.status.value == "failed" else "Diagnose"
            layout.link("diagnose", label, icon=":material/stethoscope:", run=number, model=model)
            exports(run, kinds)
            if run.deleted_at is None and not run.active and _ours(run):
                st.button(
                    "Delete", key="run-delete", icon=":material/delete:", type="tertiary",
                    on_click=files.delete, args=((run.id,),), help="Can be undone.",
                )  # fmt: skip
            share_button()


def _ours(run: Run) -> bool:
    return visitors.may_change(run_data.database(), run.owner_id)


def _deleted(run: Run) -> None:
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="run-deleted"):
        st.markdown(f"Deleted on {numbers.moment(run.deleted_at)}. It is kept until it is removed for good.")
        if not _ours(run):
            return
        st.button(
            "Bring back",
            key="run-restore",
            icon=":material/undo:",
            on_click=files.restore,
            args=((run.id,),),
        )


def _headline(run: Run) -> str:
    """Return the headline figures as HTML."""
    of = f" of {run.total_epochs:g}" if run.total_epochs else ""
    part = "val" if "test/accuracy" not in run.metrics and "val/accuracy" in run.metrics else "test"
    accuracy = f"{part}/accuracy"
    facts = []
    if run.timed or accuracy in run.metrics:
        facts += [
            (_measured(run, accuracy, best=False), f"{numbers.metric_title(accuracy)}, last"),
            (_measured(run, accuracy, best=True), "best"),
        ]
    facts.append((f"{run.epoch:.3g}{of}", "epochs") if run.counts_epochs else (f"{run.step:,}", "steps"))
    if run.timed:
        facts += [
            (numbers.duration(run.seconds), "in training"),
            (_measured(run, run_data.SPEED, best=False), "images a second"),
            (MISSING if run.params is None else numbers.short(run.params), "parameters"),
        ]
    figures = "".join(f"<div><b>{escape(v)}</b><span>{escape(what)}</span></div>" for v, what in facts)
    return f'<div class="run-headline">{figures}</div>'


def _measured(run: Run, name: str, *, best: bool) -> str:
    metric = run.metrics.get(name)
    if metric is None:
        return MISSING
    value = metric.best if best else metric.last
    return numbers.metric_text(name, float("nan") if value is None else value)
