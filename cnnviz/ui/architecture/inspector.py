"""The inspector: all that is known of the one selected layer, its formulas worked out in its numbers."""

from __future__ import annotations

import re
from html import escape

import streamlit as st

from cnnviz.analysis import formulas
from cnnviz.analysis.types import BYTES, KIND_TITLES, Analysis, Row
from cnnviz.figures import numbers
from cnnviz.figures.receptive import receptive_svg, receptive_words
from cnnviz.ui import chrome, url_state
from cnnviz.ui.components.picture import picture
from cnnviz.ui.data import Shown


def inspector(current: Shown) -> None:
    """Draw the inspector of the selected layer, with a way to the layers before and after it."""
    analysis = current.analysis
    row = analysis.row(current.selection.layer or "")
    with st.container(border=True, key="inspector"):
        _steps(analysis, row)
        st.html(inspector_html(analysis, row, current.batch))
        _receptive_field(analysis, row)
        _next_steps(current)


def _next_steps(current: Shown) -> None:
    """Links to where the selection can be taken."""
    spec = current.selection.spec
    with st.container(horizontal=True, gap="xsmall", key="next-steps"):
        chrome.link("features", "See its feature maps", icon=":material/visibility:", model=spec.name)
        chrome.link("compare", "Compare with another", icon=":material/compare:", model=spec.name)
        if spec.layers is not None:
            layer = url_state.layer_text(current.selection.layer)
            chrome.link(
                "build", "Change it in Build", icon=":material/construction:", model=spec.name, layer=layer
            )
        # Its own recipe, and not the one of whatever was trained before.
        chrome.link(
            "train", "Train it", icon=":material/model_training:", model=spec.name, recipe=None, run=None
        )


def _steps(analysis: Analysis, row: Row) -> None:
    """Back and on through the layers, in the order of the pass."""
    place = analysis.rows.index(row)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False):
        _step("Layer before", ":material/chevron_left:", analysis, place - 1)
        st.caption(f"Row {place + 1} of {len(analysis.rows)}", width="stretch", text_alignment="center")
        _step("Layer after", ":material/chevron_right:", analysis, place + 1)


def _step(label: str, icon: str, analysis: Analysis, place: int) -> None:
    there = 0 <= place < len(analysis.rows)
    name = analysis.rows[place].name if there else ""
    st.button(
        icon,
        key=f"step-{label}",
        help=f"{label}: {name or '(model)'}" if there else None,
        disabled=not there,
        on_click=select_layer,
        args=(name,),
        type="tertiary",
    )


def select_layer(name: str) -> None:
    """Make a layer the selected one, everywhere: it goes to the URL."""
    url_state.change(layer=url_state.layer_text(name))


def inspector_html(analysis: Analysis, row: Row, batch: int) -> str:
    """What the inspector says of a layer."""
    return (
        f'<div class="layer" style="--kind: var(--kind-{row.kind})">'
        f"<h3>{breakable(row.name or '(model)')}</h3>"
        f'<p class="what"><span class="kind">{KIND_TITLES[row.kind]}</span> {escape(row.type)}'
        f"{_remarks(row)}</p>"
        f'<p class="shapes">{numbers.shape(row.input_shape)} <span>→</span> '
        f"<b>{numbers.shape(row.output_shape)}</b></p>"
        f'<p class="words">{escape(formulas.in_words(row))}</p>'
        f"{_sums(analysis, row, batch)}</div>"
    )


def breakable(name: str) -> str:
    """A qualified name as HTML that may break after its dots and underscores."""
    return re.sub(r"([._])", r"\1<wbr>", escape(name))


def _sums(analysis: Analysis, row: Row, batch: int) -> str:
    sections = [
        ("Parameters", _sum(row.formula) or "None.", _share(row.params, analysis.total_params)),
        ("Multiply-adds", _sum(formulas.multiply_adds(row)) or "None.", _share(row.macs, analysis.macs)),
        ("Memory", _memory(row, batch), _share(row.outputs, analysis.forward_bytes() // BYTES)),
    ]
    size = formulas.output_size(row)
    if size:
        sections.insert(1, ("Output size", _sum(size), ""))
    return "".join(_section(*section) for section in sections)


def _memory(row: Row, batch: int) -> str:
    if not row.outputs:
        return "None of its own."
    images = f"{batch:,}·" if batch > 1 else ""
    return _sum(f"{images}{row.outputs:,}·{BYTES} bytes = {numbers.mib(row.activation_bytes(batch))}")


def _receptive_field(analysis: Analysis, row: Row) -> None:
    """The receptive field, drawn on the input and in words."""
    size = (analysis.input_shape[1], analysis.input_shape[2])
    words = receptive_words(row, size)
    section = _section("Receptive field", escape(words), escape(str(row.receptive_field)))
    st.html(f'<div class="layer">{section}</div>')
    alt = f"The input, and what one output of {row.name or 'the model'} sees. {words}"
    name = f"{analysis.model}-{row.name}-receptive-field".replace("/", "-")
    picture(receptive_svg(row, size, alt), name=name, key="receptive", height=262)


def _section(title: str, body: str, share: str) -> str:
    return f"<section><h4>{title}<span>{share}</span></h4><div>{body}</div></section>"


def _sum(text: str) -> str:
    """A formula with its result set off."""
    if not text:
        return ""
    terms, equals, result = text.rpartition(" = ")
    return (
        f"<code>{escape(terms)}</code>{equals}<b>{escape(result)}</b>" if equals else f"<b>{escape(text)}</b>"
    )


def _share(part: int, whole: int) -> str:
    return f"{numbers.percent(part / whole, 1)} of all" if part and whole else ""


def _remarks(row: Row) -> str:
    said = []
    if row.shared_with:
        said.append(f"shares its weights with {row.shared_with}")
    if row.calls > 1:
        said.append(f"used {row.calls} times")
    if row.frozen:
        said.append(f"{row.frozen:,} parameters frozen")
    if row.training_only:
        said.append("only in training")
    return escape("".join(f" · {remark}" for remark in said))
