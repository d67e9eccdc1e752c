"""Inspector of the selected layer: meaning, shapes, cost, and its fields as widgets that write the design."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from html import escape
from typing import Any, Literal

import streamlit as st

from cnnviz.analysis import worked_numbers
from cnnviz.analysis.core import kind_of
from cnnviz.analysis.types import Row
from cnnviz.figures import numbers
from cnnviz.models import layer_list_edit
from cnnviz.models.layer_list_edit import fixes
from cnnviz.models.layers import KINDS, Init, Layer, LayerList, Step
from cnnviz.models.layers.base import pair
from cnnviz.ui.pages.build import state
from cnnviz.ui.pages.build.editor import FUNCTIONS
from cnnviz.ui.pages.build.state import Costed, Design
from cnnviz.ui.shared import notice

# Form of each kind of layer: label, widget, bounds and help of each field.
#
# Fields and bounds are derived from the kind's model, so a new kind needs no form of its own.

Widget = Literal["whole", "window", "units", "number", "flag", "choice", "init"]


@dataclass(frozen=True)
class Field:
    """One field of a layer. `optional` windows may be empty."""

    name: str
    label: str
    help: str
    widget: Widget
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    optional: bool = False

    @property
    def secondary(self) -> bool:
        """Whether it is in the expander of advanced fields."""
        return self.name in SECONDARY


SECONDARY = frozenset({"dilation", "groups", "bias", "init", "ceil", "eps", "momentum", "maps"})
LABELS = {
    "out": "Output channels",
    "mode": "Takes the",
    "ceil": "Keep a part-filled window",
    "eps": "Epsilon",
    "p": "Probability",
    "maps": "Drop whole maps",
    "one": "1×1",
    "three_reduce": "1×1 before the 3×3",
    "three": "3×3",
    "five_reduce": "1×1 before the 5×5",
    "five": "5×5",
    "pool": "1×1 after the pooling",
    "norm": "Normalization",
    "init": "Weight initialization",
}
LABELS_OF: dict[tuple[str, str], str] = {
    ("linear", "out"): "Units",
    ("lrn", "size"): "Neighboring maps",
    ("resize", "size"): "Size",
}
HELP = {
    "out": "How many maps it makes.",
    "kernel": "Side of the window in pixels. A larger one sees more at once; its weights grow with its area.",
    "stride": "How far the window moves at a time: 2 halves the maps, and quarters the work behind it.",
    "padding": "Rows of zeros around the maps. Half of an odd kernel, rounded down, keeps their size.",
    "dilation": "Spreads the window's pixels: 2 leaves out every other one and sees farther.",
    "groups": "Splits the maps into so many groups that do not mix; each costs its share only.",
    "bias": "A constant for every map or unit. Batch normalization right behind makes it pointless.",
    "init": "How weights are drawn before training. It can decide whether a network learns at all.",
    "mode": "The largest value of a window keeps what stands out; the mean keeps what is common.",
    "eps": "Keeps the division safe where all values are nearly the same.",
    "function": "ReLU cuts off what is negative; tanh and sigmoid flatten what is large: slower.",
    "p": "The part of the values set to zero at random while training.",
    "size": "Pixels of each side.",
    "alpha": "How strongly neighboring maps hold each other down.",
    "beta": "The power of the division.",
    "k": "What is added before dividing.",
    "norm": "Batch normalization behind every convolution of the block.",
}
HELP_OF: dict[tuple[str, str], str] = {
    ("linear", "out"): "How many values it makes. The last layer has one a class.",
    ("lrn", "size"): "How many maps, side by side, share their strength.",
}


@cache
def fields_of(kind: str) -> tuple[Field, ...]:
    """Return the fields of a kind of layer, except its name."""
    model: type[Layer] = KINDS[kind]
    properties = model.model_json_schema()["properties"]
    return tuple(
        _field(kind, name, schema) for name, schema in properties.items() if name not in ("name", "kind")
    )


def _field(kind: str, name: str, schema: dict[str, Any]) -> Field:
    parts = schema.get("anyOf", [schema])
    number: dict[str, Any] = next((part for part in parts if part.get("type") in ("integer", "number")), {})
    description = schema.get("description")
    return Field(
        name=name,
        label=LABELS_OF.get((kind, name), LABELS.get(name, name.replace("_", " ").capitalize())),
        help=HELP_OF.get((kind, name), description or HELP.get(name, "")),
        widget=_widget(schema, parts),
        low=number.get("minimum", number.get("exclusiveMinimum")),
        high=number.get("maximum", number.get("exclusiveMaximum")),
        choices=tuple(schema.get("enum", ())),
        optional=any(part.get("type") == "null" for part in parts),
    )


def _widget(schema: dict[str, Any], parts: list[dict[str, Any]]) -> Widget:
    if "$ref" in schema:
        return "init"
    if "enum" in schema:
        return "choice"
    types = {part.get("type") for part in parts}
    if "array" in types:
        return "window"
    if "string" in types:
        return "units"
    return {"boolean": "flag", "number": "number"}.get(schema.get("type", ""), "whole")  # type: ignore[return-value]


APART = "field-apart"
STARTS = {
    "default": "PyTorch's default",
    "he": "He: N(0, 2/inputs)",
    "glorot": "Glorot uniform",
    "normal": "Normal, std below",
}
STEPS = {"p": 0.05, "momentum": 0.05, "beta": 0.05, "k": 0.5}


def draw_field(design: Design, layer: Layer, field: Field) -> None:
    """Draw the widget of a field; a change becomes a step of the design."""
    value = getattr(layer, field.name)

    def write(value: Any) -> None:
        state.attempt(lambda: layer_list_edit.set_field(design.document, design.selected, field.name, value))

    DRAWERS[field.widget](field, value, write)


def draw_apart(fields: Sequence[Field]) -> None:
    """Draw the toggle for non-square windows, if the layer has any."""
    if any(field.widget == "window" for field in fields):
        st.toggle("Non-square kernel", key=APART, help="For windows that are not square, as 1×7.")


def _key(field: Field, part: str = "") -> str:
    return f"field-{field.name}{part}"


def _keyed(key: str, value: Any, write: Callable[[Any], None]) -> dict[str, Any]:
    """Return the widget arguments that show `value` and pass changes to `write`."""
    st.session_state[key] = value
    return {"key": key, "on_change": lambda: write(st.session_state[key])}


def _whole(field: Field, value: Any, write: Callable[[Any], None]) -> None:
    keyed = _keyed(_key(field), value, lambda new: write(value if new is None else new))
    st.number_input(field.label, int(field.low or 0), int(field.high or 1), step=1, help=field.help, **keyed)


def _window(field: Field, value: Any, write: Callable[[Any], None]) -> None:
    if isinstance(value, tuple) or (value is not None and st.session_state.get(APART)):
        _oblong(field, pair(value), write)
        return
    keyed = _keyed(_key(field), value, lambda new: write(new if field.optional or new is not None else value))
    st.number_input(
        field.label,
        int(field.low or 0),
        int(field.high or 1),
        step=1,
        help=field.help,
        placeholder="as kernel" if field.optional else None,
        **keyed,
    )


def _oblong(field: Field, value: tuple[int, int], write: Callable[[Any], None]) -> None:
    """Draw height and width of a window; equal ones are stored as one number."""

    def side(index: int, new: int | None) -> None:
        sides = list(value)
        sides[index] = value[index] if new is None else new
        write(sides[0] if sides[0] == sides[1] else tuple(sides))

    for index, (column, name) in enumerate(zip(st.columns(2), ("height", "width"), strict=True)):
        keyed = _keyed(_key(field, name), value[index], partial(side, index))
        column.number_input(
            f"{field.label}, {name}", int(field.low or 0), int(field.high or 1), step=1, **keyed
        )


def _units(field: Field, value: Any, write: Callable[[Any], None]) -> None:
    last = value == "classes"
    keyed = _keyed(_key(field, "-classes"), last, lambda on: write("classes" if on else 128))
    st.toggle(
        "One unit a class", help="For the last layer: its width follows the number of classes.", **keyed
    )
    if not last:
        _whole(field, value, write)


def _number(field: Field, value: float, write: Callable[[Any], None]) -> None:
    step = STEPS.get(field.name, 10.0 ** _power(value))
    keyed = _keyed(_key(field), float(value), lambda new: write(value if new is None else new))
    low, high = (None if bound is None else float(bound) for bound in (field.low, field.high))
    shape = "%.2f" if step >= 0.01 else "%.1e"
    st.number_input(field.label, low, high, step=step, format=shape, help=field.help, **keyed)


def _power(value: float) -> int:
    """Return the exponent of ten of a value, for steps of its magnitude."""
    return int(f"{value or 1e-5:e}".split("e")[1])


def _flag(field: Field, value: bool, write: Callable[[Any], None]) -> None:
    st.toggle(field.label, help=field.help, **_keyed(_key(field), value, write))


def _choice(field: Field, value: str, write: Callable[[Any], None]) -> None:
    keyed = _keyed(_key(field), value, lambda new: write(new or value))
    describe = FUNCTIONS.get
    if len(field.choices) <= 3:
        st.segmented_control(field.label, field.choices, help=field.help, **keyed)
    else:
        st.selectbox(
            field.label,
            field.choices,
            format_func=lambda c: describe(c, c),
            help=field.help,
            required=True,
            **keyed,
        )


def _init(field: Field, value: Init, write: Callable[[Any], None]) -> None:
    keyed = _keyed(_key(field), value.weights, lambda new: write(value.model_copy(update={"weights": new})))
    st.selectbox(field.label, list(STARTS), format_func=lambda c: STARTS[c], help=field.help, **keyed)
    if value.weights == "normal":
        keyed = _keyed(
            _key(field, "-std"),
            value.std,
            lambda new: write(value.model_copy(update={"std": new or value.std})),
        )
        st.number_input("Standard deviation", 0.0001, 10.0, step=0.005, format="%.4f", **keyed)
    keyed = _keyed(
        _key(field, "-bias"), value.bias, lambda new: write(value.model_copy(update={"bias": new}))
    )
    st.number_input(
        "Biases start at", step=0.1, placeholder="PyTorch's default", help="A constant, or nothing.", **keyed
    )


DRAWERS: dict[str, Callable[[Field, Any, Callable[[Any], None]], None]] = {
    "whole": _whole,
    "window": _window,
    "units": _units,
    "number": _number,
    "flag": _flag,
    "choice": _choice,
    "init": _init,
}


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
