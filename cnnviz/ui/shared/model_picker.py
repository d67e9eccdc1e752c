"""Model picker: the list by family, a model's options, and the bar with classes, input and batch size."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import streamlit as st
from pydantic.fields import FieldInfo

from cnnviz import models
from cnnviz.analysis.export import to_csv, to_json, to_markdown
from cnnviz.analysis.types import Analysis
from cnnviz.figures import numbers
from cnnviz.models.spec import bounds, choices
from cnnviz.sentences import key_words
from cnnviz.ui.shared import notice, url_state, visitors
from cnnviz.ui.shared.model_data import ShownModel, overview, shown_model
from cnnviz.ui.shared.url_state import OPTION, Selection, option_text

# The list of models, by family and searchable.

YOURS = "Yours"


def model_picker(
    label: str,
    chosen: str,
    *,
    key: str,
    on_change: Callable[[], None],
    width: int | Literal["stretch"] = "stretch",
    label_visibility: Literal["visible", "collapsed"] = "collapsed",
) -> None:
    """Draw the list with `chosen` selected; `on_change` reads the new name from `st.session_state[key]`."""
    specs = by_family()
    specs.setdefault(chosen, models.get(chosen))  # uploaded models are not listed
    st.session_state[key] = chosen
    st.selectbox(
        label,
        list(specs),
        format_func=lambda name: model_label(specs[name]),
        key=key,
        on_change=on_change,
        required=True,
        label_visibility=label_visibility,
        placeholder="Type to find a model",
        width=width,
    )


def by_family() -> dict[str, models.ModelSpec]:
    """Return every model by name: the user's own first, then families by the year of their first member."""
    specs = models.specs()
    first: dict[str, int] = {}
    for spec in specs.values():
        if spec.family != YOURS:
            first[spec.family] = min(spec.year, first.get(spec.family, spec.year))
    ordered = sorted(
        specs.values(), key=lambda spec: (first.get(spec.family, 0), spec.family, spec.source != "cnnviz")
    )
    return {spec.name: spec for spec in ordered}


def model_label(spec: models.ModelSpec) -> str:
    """Format a model for the list: family, title and number of parameters."""
    facts = overview().get(spec.name)
    size = f" · {numbers.short(facts.params)}" if facts else ""
    family = "" if spec.title.lower().startswith(spec.family.lower()) else f"{spec.family} › "
    return f"{family}{spec.title}{size}"


# Options of a model as widgets, from the fields that its spec declares.


def options_popover(selection: Selection) -> None:
    """Draw a popover with the model's options; its label counts those that differ from the defaults."""
    fields = selection.spec.options.model_fields
    if not fields:
        return
    changed = len(selection.options)
    label = f"Options ({changed} changed)" if changed else "Options"
    with st.popover(label, icon=":material/tune:", type="tertiary"):
        for name, info in fields.items():
            _option(name, info, selection.options.get(name, info.default))
        if changed:
            st.button("Back to the defaults", on_click=partial(_reset, tuple(fields)), key="options-reset")


def _option(name: str, info: FieldInfo, value: Any) -> None:
    key = f"option-{name}"
    st.session_state[key] = value
    title = key_words(name).capitalize()
    write = partial(_write, name, key)
    accepted = choices(info)
    if info.annotation is bool:
        st.toggle(title, key=key, on_change=write)
    elif accepted:
        st.segmented_control(
            title, accepted, format_func=option_text, key=key, on_change=write, required=True
        )
    else:
        number = int if info.annotation is int else float
        low, high = (None if bound is None else number(bound) for bound in bounds(info))
        st.slider(title, low, high, step=number(1) if number is int else 0.05, key=key, on_change=write)
    if info.description:
        st.caption(info.description)


def _write(name: str, key: str) -> None:
    value = st.session_state[key]
    url_state.change(**{f"{OPTION}{name}": None if value is None else option_text(value)})


def _reset(names: tuple[str, ...]) -> None:
    url_state.change(**{f"{OPTION}{name}": None for name in names})


# The bar on top: model, classes, input size, batch size; share and download.

CSS = Path(__file__).with_name("model_picker.css")
PAGE_HEIGHT = 1000
"""Pixels reserved while the first model is analyzed; later ones replace what is there."""


def _json(analysis: Analysis, batch: int) -> str:
    return json.dumps(to_json(analysis, batch), indent=2)


EXPORTS = (
    ("CSV", "csv", "text/csv", to_csv),
    ("Markdown", "md", "text/markdown", to_markdown),
    ("JSON", "json", "application/json", _json),
)


def model_bar() -> ShownModel:
    """Draw the bar and a notice of URL errors; return the model to show."""
    st.html(CSS)
    with _reserve_height():
        current = shown_model(url_state.current())
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="what"):
        _controls(current)
    notice.show(current.selection.problems)
    return current


def _reserve_height() -> contextlib.AbstractContextManager[object]:
    """Reserve space for the page on the first visit, which may wait for torch; later nothing shifts."""
    if "what-drawn" in st.session_state:
        st.empty()  # takes the skeleton's position, without which everything below would be redrawn
        return contextlib.nullcontext()
    st.session_state["what-drawn"] = True
    return st.skeleton(height=PAGE_HEIGHT)


def _controls(current: ShownModel) -> None:
    selection, analysis = current.selection, current.analysis
    write = partial(_write_selection, "model", "what-name")
    model_picker("Model", selection.spec.name, key="what-name", on_change=write, width=380)
    _field("classes", str(analysis.classes), "How many classes the network tells apart.", 142)
    _field(
        "size",
        url_state.size_text((analysis.input_shape[1], analysis.input_shape[2])),
        "Pixels of the input: one number for a square, or height x width such as 224x192.",
        142,
        label="input",
    )
    _field("batch", str(selection.batch), "Images at a time. Memory for activations grows with it.", 128)
    options_popover(selection)
    _own_file()
    with st.container(horizontal=True, gap="xsmall", width="content", key="what-actions"):
        share_button(model=selection.spec.name, layer=url_state.layer_text(selection.layer))
        _download(current)


def _own_file() -> None:
    """Draw the upload of a network as a data file, which is visible to whoever has its address."""
    with st.popover("File", icon=":material/upload:", type="tertiary", help="A network from a file of yours"):
        given = st.file_uploader(
            "An ONNX file, or a Keras 3 .keras file", key="model-upload", max_upload_size=500
        )
        if given is not None and st.button("Open it", type="primary", key="model-upload-open"):
            try:
                with st.spinner("Reading the network …"):
                    name = _register_upload(given.name, given.getvalue())
            except ValueError as error:
                st.error(notice.escape(str(error)))
                return
            url_state.change(model=name)
            st.rerun()
        st.caption(
            "It is read as data: nothing in it is executed as code. It is kept while the app runs, in "
            "nobody's list."
        )


def _register_upload(name: str, data: bytes) -> str:
    from cnnviz.models import external, registry

    if not external.is_data_file(name):
        raise ValueError(f"'{name[:80]}' is neither an .onnx nor a .keras file, which are opened here.")
    return registry.add_upload(data, name).name


def _field(name: str, value: str, explanation: str, width: int, label: str | None = None) -> None:
    """Draw one value of the bar as a text field: any input goes to the URL, where it is validated."""
    key = f"what-{name}"
    st.session_state[key] = value
    st.text_input(
        label or name, key=key, help=explanation, on_change=_write_selection, args=(name, key), width=width
    )


def _write_selection(name: str, key: str) -> None:
    url_state.change(**{name: str(st.session_state[key]).strip() or None})


def share_button(elsewhere: str | None = None, **resolved: str | None) -> None:
    """Draw a popover with the page's address.

    Args:
        elsewhere: An address for people with another app, where this one's run numbers mean nothing.
        resolved: Parameters that the page resolved from defaults, see `url_state.address`.
    """
    with st.popover("Share", icon=":material/link:", type="tertiary"):
        st.caption("This address opens what you see now.")
        st.code(url_state.address(**resolved), language=None, wrap_lines=True)
        if elsewhere is not None:
            st.caption("This one opens it in anybody's cnnviz, ready to be started; it holds no runs.")
            st.code(elsewhere, language=None)
        if visitors.may_open_class():
            from cnnviz.ui.shared.open_class import class_section

            class_section()


def _download(current: ShownModel) -> None:
    analysis, batch = current.analysis, current.batch
    stem = current.selection.spec.name.replace("/", "-")
    with st.popover("Download", icon=":material/download:", type="tertiary"):
        st.caption("The table of layers, with every figure.")
        for label, suffix, mime, write in EXPORTS:
            st.download_button(
                label,
                partial(write, analysis, batch),
                f"{stem}.{suffix}",
                mime,
                key=f"download-{suffix}",
                on_click="ignore",
                type="tertiary",
            )
