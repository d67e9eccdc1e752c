"""The bar on top: which model, on what data, by which recipe; and Start."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import streamlit as st

from cnnviz import datasets, models, training
from cnnviz.figures import numbers
from cnnviz.training.queue import enqueue
from cnnviz.ui import notice
from cnnviz.ui.model_bar import CSS, share
from cnnviz.ui.model_picker import model_picker
from cnnviz.ui.runs import store
from cnnviz.ui.train import plan as plans
from cnnviz.ui.train.plan import PLAIN, Plan

OWN_CSS = Path(__file__).with_name("train.css")
MODEL, DATA, RECIPE = "train-model", "train-data", "train-recipe"


def styles() -> None:
    """What the page's parts look like."""
    st.html(CSS)
    st.html(OWN_CSS)


def bar(plan: Plan) -> None:
    """Draw it, and a notice of what is wrong in the URL or could not be done."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="what"):
        shown = plan.shown
        name = shown.layers.name if shown.layers else shown.model
        _model(name)
        _data(shown.dataset, plan.parent)
        _recipe(plan)
        _file(plan)
        share()
        st.button(
            "Start",
            icon=":material/play_arrow:",
            type="primary",
            key="train-start",
            disabled=plan.recipe is None,
            on_click=start,
            help="Into the queue: it begins as soon as its device is free, and goes on without this page.",
        )
    notice.say([*plan.problems, *([plan.fault] if plan.fault else []), *notice.kept()])


def start() -> None:
    """Put the plan into the queue and go to its run; what stands in the way is said."""
    plan = plans.read()
    if plan.recipe is None:
        return
    try:
        run = enqueue(store.database(), plan.recipe, plan.parent)
    except (ValueError, OSError) as error:
        notice.later(str(error))
        return
    plans.put(run=str(run.id))


def _model(name: str) -> None:
    if name in models.names():
        model_picker("Model", name, key=MODEL, on_change=_on(MODEL, name, plans.choose_model), width=300)
    else:
        st.markdown(f"**{notice.plain(name)}**, a layer list", width="content")


def _data(name: str, parent: int | None) -> None:
    """Draw the list of registered data, and a path that run `parent` was given on the command line."""
    known = {spec.name: spec for spec in datasets.specs().values()}
    st.session_state[DATA] = name
    st.selectbox(
        "Data",
        list(known) if name in known else [name, *known],
        format_func=lambda one: _data_label(known.get(one), parent),
        key=DATA,
        on_change=_on(DATA, name, lambda chosen: plans.put(dataset=chosen)),
        label_visibility="collapsed",
        width=270,
    )


def _data_label(spec: datasets.DatasetSpec | None, parent: int | None) -> str:
    if spec is None:
        return f"the data of run {parent}"
    return f"{spec.title} · {numbers.short(spec.train)} images"


def _recipe(plan: Plan) -> None:
    origin = plan.origin
    names = [PLAIN, *training.all_recipes()]
    st.session_state[RECIPE] = origin
    st.selectbox(
        "Recipe",
        names if origin in names else [origin, *names],
        format_func=_recipe_label,
        key=RECIPE,
        on_change=_on(RECIPE, origin, plans.choose_recipe),
        label_visibility="collapsed",
        required=True,
        width=340,
    )
    changed = len(plan.changes)
    if changed:
        st.caption(f"{changed} change{'' if changed == 1 else 's'}", width="content")


def _recipe_label(name: str) -> str:
    """A recipe in the list. Not of the plan: a browser sends labels back, and would send one of before."""
    return f"recipe: {'plain, the default settings' if name == PLAIN else name}"


def _file(plan: Plan) -> None:
    with st.popover("Recipe file", icon=":material/description:", type="tertiary"):
        st.caption(
            "A recipe is a small JSON file: keep it, share it, run it with `python -m cnnviz train FILE`."
        )
        if plan.recipe is not None:
            stem = plan.recipe.name if plan.recipe.name != "untitled" else "recipe"
            st.download_button(
                "Download this recipe", plan.recipe.write(), f"{stem}.json", "application/json",
                icon=":material/download:", on_click="ignore", key="train-download",
            )  # fmt: skip
        turn = st.session_state.get("train-file-turn", 0)
        st.file_uploader(
            "Open a recipe", type="json", key=f"train-file-{turn}", on_change=_opened, args=(turn,),
            max_upload_size=1,
        )  # fmt: skip


def _opened(turn: int) -> None:
    """Take up an uploaded recipe, or say what is wrong with it. The uploader is emptied for the next one."""
    file = st.session_state.get(f"train-file-{turn}")
    if file is None:
        return
    st.session_state["train-file-turn"] = turn + 1
    try:
        plans.open_recipe(file.getvalue())
    except ValueError as error:
        notice.later(str(error))


def _on(key: str, now: str, write: Callable[[str], None]) -> Callable[[], None]:
    """What a list calls. Streamlit also calls it, with what was chosen already, once the list is gone."""

    def changed() -> None:
        value = str(st.session_state.get(key) or "").strip()
        if value and value != now and "run" not in st.query_params:
            write(value)

    return changed
