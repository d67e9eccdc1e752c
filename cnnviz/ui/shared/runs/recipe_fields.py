"""Recipe fields: the settings of a recipe as widgets, the common ones visible, the others by topic."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

import streamlit as st
from pydantic.fields import FieldInfo

from cnnviz import models
from cnnviz.models.spec import choices
from cnnviz.sentences import american, key_words
from cnnviz.training import Recipe
from cnnviz.ui.shared import notice
from cnnviz.ui.shared.runs import fine_tuning
from cnnviz.ui.shared.runs import recipe_plan as plans
from cnnviz.ui.shared.runs.recipe_plan import NOT_CHOSEN, Plan

# Options of the model; the recipe holds them as one setting.


def model_options(plan: Plan) -> None:
    """Draw the model's options, if it has any."""
    recipe = plan.shown
    if recipe.layers is not None or recipe.model not in models.names():
        return
    offered = models.get(recipe.model).options.model_fields
    if not offered:
        return
    own = plan.base.options if plan.base.model == recipe.model else {}
    now = {name: recipe.options.get(name, info.default) for name, info in offered.items()}
    then = {name: own.get(name, info.default) for name, info in offered.items()}
    st.markdown("**Model options**")
    with st.container(horizontal=True, gap="small", vertical_alignment="top", key="train-grid-Model"):
        for name, info in offered.items():
            with st.container(width=150, gap=None, key=f"train-field-option-{name}"):
                _option(name, info, now[name], then[name])


def _option(name: str, info: FieldInfo, value: Any, own: Any) -> None:
    key = f"train-option-{name}"
    title = key_words(name).capitalize()
    accepted = [plans.text_of(choice) for choice in choices(info)]
    st.session_state[key] = plans.text_of(value)
    explained = notice.escape(info.description or "")
    write = partial(_write_option, name, key)
    if accepted:
        st.selectbox(title, accepted, format_func=_spoken, key=key, help=explained, on_change=write)
    else:
        st.text_input(title, key=key, help=explained, on_change=write)
    if value != own:
        changed_from(f"option-{name}", _spoken(plans.text_of(own)))


def _write_option(name: str, key: str) -> None:
    """Write all options as the model parses them; an invalid value is reported."""
    if "run" in st.query_params:  # the field is gone: Streamlit calls once more, though nobody changed it
        return
    plan = plans.read()
    recipe, base = plan.shown, plan.base
    kind = models.get(recipe.model).options
    try:
        options = kind.parse({**recipe.options, name: st.session_state[key]})
    except ValueError as error:
        notice.defer(str(error))
        return
    # A recipe may contain options that equal the defaults.
    same = base.model == recipe.model and options == kind.parse(base.options)
    plans.set_field("options", json.dumps(base.options if same else options.changed()))


SETTINGS = "train-settings"
"""Key of the expander with all settings, true while it is open."""
COMMON = ("epochs", "lr")
GROUPS: dict[str, tuple[str, ...]] = {
    "Optimizer": (
        *("batch_size", "optimiser", "momentum", "beta2", "alpha", "weight_decay", "clip_norm", "seed"),
    ),
    "Learning-rate schedule": ("schedule", "warmup_epochs", "step_epochs", "step_factor", "patience"),
    "Loss": ("label_smoothing", "class_weights", "aux_weight"),
    "Early stopping": ("early_stopping", "stop_metric", "restore_best"),
    "Images and augmentation": (
        *("limit", "validation", "scale", "size", "crop_from", "pad_crop", "flip", "cutout"),
        *("colour_jitter", "pca_jitter", "mixup", "ten_crop"),
    ),
    "Device": ("device", "precision", "compile"),
}
MORE = "More"
TITLES = {
    "lr": "Learning rate",
    "beta2": "β₂",
    "alpha": "RMSprop's α",
    "clip_norm": "Gradient clipping",
    "early_stopping": "Stop after",
    "stop_metric": "Watched",
    "mixup": "Mixup α",
    "aux_weight": "Auxiliary losses",
    "limit": "Training images",
    "pca_jitter": "PCA jitter",
    "crop_from": "Crop from",
    "size": "Input size",
    "start_from": "Start from",
    "freeze_until": "Freeze up to",
    "trunk_lr": "Trunk rate",
}
NEEDS = {
    "beta2": ("optimiser", ("adam", "adamw")),
    "alpha": ("optimiser", ("rmsprop",)),
    "step_epochs": ("schedule", ("step",)),
    "step_factor": ("schedule", ("step", "plateau")),
    "patience": ("schedule", ("plateau",)),
}
"""Settings that have an effect only with certain values of another."""


def common_fields(plan: Plan) -> None:
    """Draw the common settings."""
    _grid(plan, COMMON, "common")


def all_fields(plan: Plan) -> None:
    """Draw all other settings in an expander, with changed ones marked, and a button that resets them.

    They are a sixth of what the page costs, and so drawn only where the expander is open.
    """
    drawer = st.expander("All settings", icon=":material/tune:", key=SETTINGS, on_change="rerun")
    if drawer.open:
        with drawer:
            model_options(plan)
            for title, names in groups().items():
                st.markdown(f"**{title}**")
                _grid(plan, names, title)
    if plan.changes or plan.typed:
        st.button(
            f"Back to {'the defaults' if plan.origin == plans.PLAIN else plan.origin}",
            icon=":material/undo:", key="train-reset", on_click=plans.reset, type="tertiary",
        )  # fmt: skip


def groups() -> dict[str, tuple[str, ...]]:
    """Return the settings by group; those in no group are in the last one."""
    elsewhere = {*COMMON, *NOT_CHOSEN, *fine_tuning.FIELDS, "options"}
    placed = elsewhere | {name for names in GROUPS.values() for name in names}
    left = tuple(name for name in Recipe.model_fields if name not in placed)
    return GROUPS | ({MORE: left} if left else {})


def title_of(field: str) -> str:
    """Return the title of a setting."""
    return TITLES.get(field) or key_words(field).capitalize()


def _grid(plan: Plan, names: Sequence[str], group: str) -> None:
    with st.container(horizontal=True, gap="small", vertical_alignment="top", key=f"train-grid-{group}"):
        for name in names:
            with st.container(width=132, gap=None, key=f"train-field-{name}"):
                _field(plan, name)


def _field(plan: Plan, name: str) -> None:
    info = Recipe.model_fields[name]
    key = f"train-set-{name}"
    value, own = getattr(plan.shown, name), getattr(plan.base, name)
    text = plan.typed.get(name, plans.text_of(value))
    changed = text != plans.text_of(own)
    explained = _explained(info, plan, name)
    accepted = _accepted(name, info)
    write = partial(_write, name, key)
    needed = NEEDS.get(name)
    idle = needed is not None and getattr(plan.shown, needed[0]) not in needed[1]
    if accepted:
        offered = [plans.text_of(choice) for choice in accepted]
        st.session_state[key] = text if text in offered else plans.text_of(value)
        st.selectbox(
            title_of(name),
            offered,
            disabled=idle,
            format_func=_spoken,
            key=key,
            help=explained,
            on_change=write,
        )
    else:
        st.session_state[key] = "" if text == "none" else text
        st.text_input(
            title_of(name),
            disabled=idle,
            placeholder="none" if value is None else "",
            key=key,
            help=explained,
            on_change=write,
        )
    if name in plan.allowed:
        st.caption(notice.escape(f"only {american(plan.allowed[name])}"))
    if changed:
        changed_from(name, _spoken(plans.text_of(own)))
    elif name in plan.base.assumed:
        st.caption("assumed")


def changed_from(name: str, own: str) -> None:
    """Draw the recipe's own value below a changed setting.

    The page's CSS marks the field of it. A mark in the label would be read out by a screen reader as the
    Markdown that it is written in.
    """
    with st.container(key=f"train-changed-{name}"):
        st.caption(f"recipe: {notice.escape(own)}")


def fault_text(plan: Plan) -> str:
    """Return why the plan is no recipe, in the titles of the page; empty if it is one."""

    def title(match: re.Match[str]) -> str:
        return title_of(match[1]) if match[1] in Recipe.model_fields else match[0]

    return re.sub(r"'(\w+)'", title, plan.fault)


def _explained(info: FieldInfo, plan: Plan, name: str) -> str:
    text = info.description or ""
    if name in plan.base.assumed and name not in plan.changes:
        text += f" Assumed: {plan.base.assumed[name]}"
    if name in NEEDS:
        text += f" Counts only where {title_of(NEEDS[name][0]).lower()} is {' or '.join(NEEDS[name][1])}."
    return notice.escape(text)


def _accepted(name: str, info: FieldInfo) -> tuple[Any, ...]:
    """Return the values to choose from; empty for a text field."""
    if name == "device":
        return ("auto", "cpu", "gpu", *_gpus())
    accepted = choices(info) if info.annotation is bool or "Literal" in str(info.annotation) else ()
    return tuple(accepted)


def _gpus() -> tuple[str, ...]:
    """Return the GPUs if torch was imported already: importing it for this list alone would take seconds."""
    torch = sys.modules.get("torch")
    if torch is None or getattr(torch.__spec__, "_initializing", False):  # another thread is importing it
        return ()
    return tuple(f"cuda:{i}" for i in range(torch.cuda.device_count()))


def _spoken(text: str) -> str:
    return {"true": "yes", "false": "no"}.get(text) or american(text)


def _write(name: str, key: str) -> None:
    if "run" in st.query_params:  # the field is gone: Streamlit calls once more, though nobody changed it
        return
    text = str(st.session_state[key]).strip()
    optional = type(None) in getattr(Recipe.model_fields[name].annotation, "__args__", ())
    plans.set_field(name, text or ("none" if optional else ""))
