"""What a run will take, in one line before it starts."""

from __future__ import annotations

from html import escape

import streamlit as st

from cnnviz import datasets
from cnnviz.figures import measures
from cnnviz.tracking import Database
from cnnviz.training import Recipe
from cnnviz.training.estimate import Estimate, estimate, structural_problems
from cnnviz.training.trainable import check_trainable, known_data
from cnnviz.ui import notice
from cnnviz.ui.structure import problem_boxes
from cnnviz.ui.train.plan import Plan


def expected(plan: Plan, database: Database) -> None:
    """Draw time, memory, disk and structural faults; where the network cannot be trained, why."""
    if plan.recipe is None:
        return
    try:
        found = estimate(database, plan.recipe)
        check_trainable(plan.recipe, *known_data(plan.recipe))
        problems = structural_problems(plan.recipe)
    except ValueError as error:
        st.warning(notice.plain(str(error)), icon=":material/info:")
        return
    figures = "".join(
        f"<div><b>{escape(value)}</b> <span>{escape(label)}</span></div>" for value, label in _words(found)
    )
    st.html(f'<div class="expected">{figures}</div>')
    st.caption(notice.plain(f"{found.basis} {fetched_first(plan.recipe)}"))
    problem_boxes(problems, notes=False)


def fetched_first(recipe: Recipe) -> str:
    """What has to come over the network before the first step, where that is known."""
    spec = datasets.specs().get(recipe.dataset)
    if spec is None or not spec.download_bytes or datasets.prepared(spec.name) is not None:
        return ""
    return (
        f"{spec.title} is not here yet: about {measures.size(spec.download_bytes)} are downloaded first. "
        "Without a network, choose Digits or Shapes."
    )


def _words(found: Estimate) -> list[tuple[str, str]]:
    time = "?" if found.seconds is None else f"~ {measures.duration(found.seconds)}"
    return [
        (time, "to train"),
        (f"~ {measures.size(found.memory_bytes)}", "of memory"),
        (f"~ {measures.size(found.disk_bytes)}", "on disk"),
    ]
