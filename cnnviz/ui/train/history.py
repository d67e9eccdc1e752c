"""What happened to a run, and what it was made from."""

from __future__ import annotations

import time
from html import escape

import streamlit as st

from cnnviz.figures import measures
from cnnviz.tracking import Run
from cnnviz.training import Recipe
from cnnviz.ui.train.story import Story


def history(run: Run, story: Story) -> None:
    """Draw the folds with the states of the run, its data, its recipe and its machine."""
    with st.expander("What happened to it", key="run-history"):
        rows = "".join(
            f"<tr><td>{_moment(change.time)}</td><td>{change.new}</td>"
            f"<td>{escape(change.reason or '')}</td></tr>"
            for change in story.history
        )
        st.html(f'<table class="states"><tbody>{rows}</tbody></table>')
        st.caption(f"Attempt {run.attempt}; {measures.duration(run.seconds)} in training in all.")
    with st.expander("Recipe, data and machine", key="run-recipe"):
        if story.data:
            data = story.data
            parts = ", ".join(f"{data[part]:,} for {part}" for part in ("train", "validation", "test"))
            st.caption(" ".join([f"Images: {parts}.", *map(str, data.get("notes", ()))]))
        st.caption(
            " · ".join(filter(None, (run.hardware, *_versions(run)))) or "Not known before it has begun."
        )
        st.code(Recipe.model_validate(run.recipe).write(), language="json")


def _versions(run: Run) -> list[str]:
    return [f"{package} {version}" for package, version in (run.versions or {}).items()]


def _moment(when: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(when))
