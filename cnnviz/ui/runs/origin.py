"""Where a run comes from and what happened to it: recipe, data, machine, versions, states."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING, Any

import streamlit as st

from cnnviz.figures import measures
from cnnviz.training.differing import differing, value_text
from cnnviz.training.recipe import Recipe
from cnnviz.ui.runs import store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnviz.tracking import Restart, Run, StatusChange


def recipe(run: Run) -> None:
    """Draw what of the recipe is not its default, and its download."""
    st.subheader("Recipe", anchor=False)
    base, against = _base(run)
    lines = [
        (field.replace("_", " "), f"{value_text(theirs)} → {value_text(ours)}", about)
        for field, about, (theirs, ours) in differing([base, run.recipe])
    ]
    st.caption(f"What differs from {against}: field, there → here." if lines else f"Exactly {against}.")
    if lines:
        _table(lines)
    st.download_button(
        "Recipe (JSON)", recipe_document(run), f"run-{run.id}-recipe.json", "application/json",
        key="run-recipe", on_click="ignore", type="tertiary", icon=":material/download:",
        help="A file that `python -m cnnviz train FILE` follows again.",
    )  # fmt: skip


def recipe_document(run: Run) -> str:
    """The recipe as a document to be run again; one that this version cannot read goes out as it is."""
    try:
        return Recipe.model_validate(run.recipe).write()
    except ValueError:
        return json.dumps(run.recipe, indent=2, ensure_ascii=False)


def _base(run: Run) -> tuple[dict[str, Any], str]:
    """The named recipe that the run followed, or the plain one of its model and data."""
    from cnnviz.training.named import all_recipes

    named = all_recipes().get(str(run.recipe.get("name")))
    if named is not None:
        return named.model_dump(mode="json"), f"the recipe {named.name}"
    plain = Recipe().model_dump(mode="json")
    return plain | {key: run.recipe.get(key) for key in ("model", "dataset")}, "the plain recipe"


def origin(run: Run) -> None:
    """Draw what it ran on."""
    st.subheader("What it ran on", anchor=False)
    versions = ", ".join(f"{name} {version}" for name, version in (run.versions or {}).items())
    steps = f"{run.step:,}" + (f" of {run.total_steps:,}" if run.total_steps else "")
    facts = [
        ("data", run.data, "What it was trained on."),
        ("data fingerprint", run.fingerprint, "A hash of the images and labels in their order."),
        ("seed", run.seed, "What every random choice follows from."),
        ("device", " on ".join(filter(None, (run.device, run.hardware))), "What it was trained on."),
        ("machine", run.host, "Where its files lie."),
        ("versions", versions, "Of what it was trained with."),
        ("steps", steps, "Optimiser steps done."),
        ("copy of run", run.parent_id, "The run whose recipe was changed for this one."),
    ]
    _table([(title, str(value), about) for title, value, about in facts if value not in (None, "")])


def happened(run: Run) -> None:
    """Draw every change of state, with the restarts."""
    from cnnviz import tracking

    st.subheader("What happened", anchor=False)
    opened = store.database()
    changes = tracking.history(opened, run.id)
    restarts = tracking.read_metrics(opened, run.id, limit=1).restarts
    _table(history_lines(changes, restarts))
    if run.last_lines:
        with st.expander("Last lines of its output"):
            st.code(run.last_lines, language=None, wrap_lines=True)


def history_lines(changes: Sequence[StatusChange], restarts: Sequence[Restart]) -> list[tuple[str, str, str]]:
    """Each change as (when, what, why); one that begins a later attempt says from where."""
    begun = {restart.attempt: restart.from_step for restart in restarts}
    lines = []
    for change in changes:
        words = change.new.value
        if change.new == "running" and change.attempt > 1 and change.attempt in begun:
            words += f" again from step {max(0, begun[change.attempt]):,} (attempt {change.attempt})"
        if change.reason:
            words += f": {change.reason}"
        lines.append((measures.moment(change.time), words, measures.moment(change.time)))
    return lines


def _table(lines: Sequence[tuple[str, str, str]]) -> None:
    rows = "".join(
        f'<tr><th scope="row" title="{escape(about)}">{escape(title)}</th><td>{escape(value)}</td></tr>'
        for title, value, about in lines
    )
    st.html(f'<div class="run-facts"><table><tbody>{rows}</tbody></table></div>')
