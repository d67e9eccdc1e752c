"""The options of the model that is trained, as fields; they go into the recipe as one setting."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import streamlit as st
from pydantic.fields import FieldInfo

from cnnviz import models
from cnnviz.models.spec import choices
from cnnviz.ui import notice
from cnnviz.ui.train import plan as plans
from cnnviz.ui.train.plan import Plan


def model_options(plan: Plan) -> None:
    """Draw a fold with the model's options; nothing where it has none."""
    recipe = plan.shown
    if recipe.layers is not None or recipe.model not in models.names():
        return
    offered = models.get(recipe.model).options.model_fields
    if not offered:
        return
    own = plan.base.options if plan.base.model == recipe.model else {}
    now = {name: recipe.options.get(name, info.default) for name, info in offered.items()}
    then = {name: own.get(name, info.default) for name, info in offered.items()}
    changed = sum(now[name] != then[name] for name in offered)
    with (
        st.expander(f"Model ({changed} changed)" if changed else "Model", key="train-fold-Model"),
        st.container(horizontal=True, gap="small", vertical_alignment="top", key="train-grid-Model"),
    ):
        for name, info in offered.items():
            with st.container(width=176, gap=None, key=f"train-field-option-{name}"):
                _option(name, info, now[name], then[name])


def _option(name: str, info: FieldInfo, value: Any, own: Any) -> None:
    key = f"train-option-{name}"
    title = name.replace("_", " ").capitalize()
    label = f"**{title}** :material/edit:" if value != own else title
    accepted = [plans.text_of(choice) for choice in choices(info)]
    st.session_state[key] = plans.text_of(value)
    explained = notice.plain(info.description or "")
    write = partial(_write, name, key)
    if accepted:
        st.selectbox(label, accepted, key=key, help=explained, on_change=write)
    else:
        st.text_input(label, key=key, help=explained, on_change=write)
    if value != own:
        st.caption(f"recipe: {notice.plain(plans.text_of(own))}")


def _write(name: str, key: str) -> None:
    """Write all options anew, in the form in which the model reads them; what it refuses is said."""
    if "run" in st.query_params:  # the field is gone: Streamlit calls once more, though nobody changed it
        return
    plan = plans.read()
    recipe, base = plan.shown, plan.base
    kind = models.get(recipe.model).options
    try:
        options = kind.parse({**recipe.options, name: st.session_state[key]})
    except ValueError as error:
        notice.later(str(error))
        return
    # A recipe may spell out what is the default anyway.
    same = base.model == recipe.model and options == kind.parse(base.options)
    plans.set_field("options", json.dumps(base.options if same else options.changed()))
