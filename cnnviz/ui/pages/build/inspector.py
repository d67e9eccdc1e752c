"""Inspector of the selected layer: meaning, shapes, cost, and its fields."""

from __future__ import annotations

from functools import partial
from html import escape

import streamlit as st

from cnnviz.analysis import worked_numbers
from cnnviz.analysis.core import kind_of
from cnnviz.analysis.types import Row
from cnnviz.figures import numbers
from cnnviz.models import layer_list_edit
from cnnviz.models.layer_list_edit import fixes
from cnnviz.models.layers import KINDS, Layer, LayerList, Step
from cnnviz.ui.pages.build import state
from cnnviz.ui.pages.build.fields import draw_apart, draw_field, fields_of
from cnnviz.ui.pages.build.state import Costed, Design
from cnnviz.ui.shared import notice


def inspector(costed: Costed) -> None:
    """Draw the inspector of the selected layer, or what to do with an empty list."""
    step = costed.design.step
    with st.container(border=True, key="inspector"):
        if step is None:
            st.markdown("**Nothing selected.** The list is empty: add a first layer, or open another list.")
            return
        st.html(_about(step, costed))
        _draw_problem(costed)
        _fields(costed.design, step.layer)


def _about(step: Step, costed: Costed) -> str:
    """Return name, meaning, shapes and costs of the layer as HTML."""
    layer = step.layer
    kind = kind_of(layer)
    before, after = (numbers.shape(s) if s else "?" for s in (step.input_shape, step.output_shape))
    meaning = " ".join((type(layer).__doc__ or "").split())
    return (
        f'<div class="layer" style="--kind: var(--kind-{kind})"><h2>{escape(step.name)}</h2>'
        f'<p class="what"><span class="kind">{escape(type(layer).title)}</span></p>'
        f'<p class="words">{escape(meaning)}</p>'
        f'<p class="shapes">{before} <span>→</span> <b>{after}</b></p>{_sums(step.name, costed)}</div>'
    )


def _sums(name: str, costed: Costed) -> str:
    rows = [row for row in costed.analysis.rows if row.name.split(".")[0] == name]
    if not rows:
        return ""
    cost = costed.by_layer[name]
    alone = rows[0] if len(rows) == 1 else None
    return _sum(
        "Parameters", cost.params, alone.formula if alone else "", costed.analysis.total_params
    ) + _sum("Multiply-adds", cost.macs, _products(alone), costed.analysis.macs)


def _products(row: Row | None) -> str:
    return worked_numbers.multiply_adds(row) if row and row.macs else ""


def _sum(title: str, amount: int, formula: str, total: int) -> str:
    share = f"{numbers.percent(amount / total, 1)} of all" if amount and total else ""
    text = formula or (numbers.exact(amount) if amount else "none")
    return f"<section><h3>{title}<span>{share}</span></h3><div>{escape(text)}</div></section>"


def _draw_problem(costed: Costed) -> None:
    """Draw the problem of the selected layer, with its fixes."""
    design = costed.design
    if costed.misfit != design.selected or not design.steps[design.selected].problem:
        return
    st.error(notice.escape(design.steps[design.selected].problem))
    row = st.container(horizontal=True, gap="small")
    for number, fix in enumerate(fixes(design.document)):
        row.button(fix.label, key=f"fix-{number}", on_click=state.put, args=(fix.document,))


def _fields(design: Design, layer: Layer) -> None:
    _kind(design, layer)
    fields = fields_of(layer.kind)
    with st.container(horizontal=True, gap="small", key="fields"):
        for field in fields:
            if not field.secondary:
                draw_field(design, layer, field)
    with st.expander("More settings", key="more-settings"):
        _name(design, layer)
        draw_apart(fields)
        for field in fields:
            if field.secondary:
                draw_field(design, layer, field)


def _kind(design: Design, layer: Layer) -> None:
    key = "field-kind"
    st.session_state[key] = layer.kind

    def convert() -> None:
        state.attempt(
            lambda: layer_list_edit.convert(design.document, design.selected, st.session_state[key])
        )

    st.selectbox(
        "Layer type",
        list(KINDS),
        format_func=lambda kind: KINDS[kind].title,
        key=key,
        on_change=convert,
        help="Another kind keeps the settings that both have.",
    )


def _name(design: Design, layer: Layer) -> None:
    key = "field-name"
    st.session_state[key] = layer.name or ""

    def rename() -> None:
        state.attempt(partial(_renamed, design, str(st.session_state[key]).strip()))

    st.text_input(
        "Name",
        key=key,
        placeholder=design.document.names()[design.selected],
        on_change=rename,
        help="Empty: its kind and a number.",
    )


def _renamed(design: Design, name: str) -> LayerList:
    return layer_list_edit.set_field(design.document, design.selected, "name", name or None)
