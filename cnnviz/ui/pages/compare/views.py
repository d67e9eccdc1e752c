"""Views of the Compare page: model cards, figure of totals and profiles, totals table, layer difference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import streamlit as st
from pydantic.fields import FieldInfo

from cnnviz import models
from cnnviz.analysis.diff import Diff, diff, plain
from cnnviz.analysis.types import Analysis, Row, depth
from cnnviz.figures import numbers
from cnnviz.figures.plotly_theme import COMPARED
from cnnviz.figures.side_by_side import side_by_side
from cnnviz.formats import csv_text
from cnnviz.models.spec import bounds, choices
from cnnviz.sentences import key_words, percent
from cnnviz.ui.components.images import side_by_side_chart
from cnnviz.ui.pages.compare import state
from cnnviz.ui.pages.compare.state import DEFAULT, MAX_MODELS, MIN_MODELS
from cnnviz.ui.shared import layout, notice, url_state
from cnnviz.ui.shared.diff_table import Side, Sides, diff_sentence, diff_table
from cnnviz.ui.shared.model_data import ShownModel
from cnnviz.ui.shared.model_picker import model_picker, share_button
from cnnviz.ui.shared.url_state import OPTION, Selection, option_text

CSS = Path(__file__).with_name("compare.css")


def compare_bar(shown: Sequence[ShownModel]) -> None:
    """Draw a card for each model, and the button that adds one."""
    st.html(CSS)
    hues = " ".join(f".st-key-card-{i} {{ --hue: {hue.css}; }}" for i, hue in enumerate(COMPARED))
    st.html(f"<style>{hues}</style>")
    entries = [model.selection for model in shown]
    with st.container(horizontal=True, gap="small", key="cards"):
        for index, model in enumerate(shown):
            with st.container(key=f"card-{index}", gap="xsmall", width=250):
                _card(entries, index, model)
        if len(entries) < MAX_MODELS:
            st.button("Add a model", icon=":material/add:", key="add-model", on_click=_add, args=(entries,))
        share_button(models=",".join(map(state.entry_text, entries)))


def _card(entries: list[Selection], index: int, model: ShownModel) -> None:
    key = f"compared-{index}"
    entry = entries[index]
    model_picker(
        f"Model {index + 1}", entry.spec.name, key=key, on_change=partial(_pick, entries, index, key)
    )
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center", wrap=False):
        _settings(entries, index, model)
        parameters: dict[str, str | None] = dict.fromkeys(url_state.carried())
        layout.link("architecture", "Architecture", **(parameters | entry.parameters() | {"layer": None}))
        if len(entries) > MIN_MODELS:
            st.button(
                ":material/close:", key=f"remove-{index}", on_click=_remove, args=(entries, index),
                type="tertiary",
                help=f"Take {entry.spec.title} away",
            )  # fmt: skip


def _pick(entries: list[Selection], index: int, key: str) -> None:
    _replace(entries, index, Selection(models.get(st.session_state[key])))


def _replace(entries: list[Selection], index: int, entry: Selection) -> None:
    state.put([*entries[:index], entry, *entries[index + 1 :]])


def _remove(entries: list[Selection], index: int) -> None:
    state.put([*entries[:index], *entries[index + 1 :]])


def _add(entries: list[Selection]) -> None:
    known = {entry.spec.name for entry in entries}
    candidates = [*DEFAULT, *models.names()]
    state.put([*entries, Selection(models.get(next(name for name in candidates if name not in known)))])


def _settings(entries: list[Selection], index: int, model: ShownModel) -> None:
    """Draw classes, input and options of one model in a popover whose label counts the changed ones."""
    entry = entries[index]
    changed = len(entry.options) + (entry.classes is not None) + (entry.size is not None)
    _, height, width = model.analysis.input_shape
    with st.popover(f"Settings ({changed})" if changed else "Settings", type="tertiary", key=f"set-{index}"):
        _text(entries, index, "classes", str(model.analysis.classes))
        _text(entries, index, "size", url_state.size_text((height, width)))
        for name, info in entry.spec.options.model_fields.items():
            _option(entries, index, name, info)


def _text(entries: list[Selection], index: int, name: str, value: str) -> None:
    key = f"compared-{index}-{name}"
    st.session_state[key] = value
    st.text_input(
        "Classes" if name == "classes" else "Input",
        key=key,
        on_change=lambda: _set(entries, index, name, str(st.session_state[key]).strip()),
    )


def _option(entries: list[Selection], index: int, name: str, info: FieldInfo) -> None:
    key = f"compared-{index}-option-{name}"
    st.session_state[key] = entries[index].options.get(name, info.default)
    title = key_words(name).capitalize()
    keyed: dict[str, Any] = {
        "key": key,
        "help": info.description,
        "on_change": lambda: _set(entries, index, f"{OPTION}{name}", option_text(st.session_state[key])),
    }
    accepted = choices(info)
    if info.annotation is bool:
        st.toggle(title, **keyed)
    elif accepted:
        st.selectbox(title, accepted, format_func=option_text, **keyed)
    else:
        number = int if info.annotation is int else float
        low, high = (None if bound is None else number(bound) for bound in bounds(info))
        st.number_input(title, low, high, **keyed)


def _set(entries: list[Selection], index: int, name: str, value: str) -> None:
    """Change a setting of one model; an invalid value is reported at the next run, and nothing changes."""
    entry = url_state.read({**entries[index].parameters(), name: value})
    if entry.problems:
        notice.defer(f"{entry.spec.title}: {entry.problems[0]}")
    else:
        _replace(entries, index, replace(entry, problems=()))


# Settings of a row in a few words, for a table cell.

USUAL = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}


def settings(row: Row) -> str:
    """Format a row's settings: `96 maps · 4×4 · stride 2`; its type if it has none of note."""
    made = {"conv": "maps", "fc": "units"}.get(row.kind)
    parts = [f"{row.settings['out']:,} {made}"] if made and "out" in row.settings else [row.type]
    if "kernel" in row.settings:
        parts.append(_times(row.settings["kernel"]))
    parts += [
        f"{name} {_side(row.settings[name])}"
        for name, usual in USUAL.items()
        if plain(row.settings.get(name, usual)) != usual
    ]
    if "p" in row.settings:
        parts.append(percent(row.settings["p"]))
    return " · ".join(parts)


def _side(value: Any) -> str:
    return f"{plain(value)}" if isinstance(plain(value), int | str) else _times(value)


def _times(value: Any) -> str:
    sides = value if isinstance(value, list | tuple) else (value, value)
    return "×".join(map(str, sides))


# Aligned difference of two models.

KEPT = 48


def difference(shown: Sequence[ShownModel], names: Sequence[str], pair: tuple[int, int]) -> None:
    """Draw the two selectors, the difference in a sentence, and its table."""
    st.header("Layer by layer", anchor=False)
    entries = [model.selection for model in shown]
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="pair"):
        for side, label in enumerate(("Compare", "with")):
            key = f"pair-{side}"
            st.session_state[key] = pair[side]
            st.selectbox(
                label,
                range(len(names)),
                format_func=lambda index: names[index],
                key=key,
                width=280,
                on_change=partial(_choose, entries, pair, side, key),
            )
    a, b = (shown[index].analysis for index in pair)
    diff, *_ = _diff(a, b)
    sides = Sides(names[pair[0]], names[pair[1]], _describe)
    st.markdown(diff_sentence(diff, sides))
    diff_table(diff, sides, key="models-diff", file=f"{sides.a} and {sides.b}".replace("/", "-"))


def _choose(entries: list[Selection], pair: tuple[int, int], side: int, key: str) -> None:
    """Change one model of the pair; choosing the other one swaps them."""
    chosen: int = st.session_state[key]
    other = pair[1 - side] if pair[1 - side] != chosen else pair[side]
    state.put(entries, (chosen, other) if side == 0 else (other, chosen))


def _describe(_side: Side, row: Row) -> str:
    return settings(row)


@st.cache_resource(max_entries=KEPT, show_spinner=False, hash_funcs={Analysis: id})
def _diff(a: Analysis, b: Analysis) -> tuple[Diff, Analysis, Analysis]:
    # The analyses are cached with their difference: otherwise another could get the same id.
    return diff(a, b), a, b


# Figure of totals and profiles, and the choice of its scale.

SCALES = {"shared": "One scale for all", "own": "Each its own"}
KEY = "scale"


def figure(shown: Sequence[ShownModel], names: Sequence[str], batch: int) -> None:
    """Draw the figure."""
    chosen, wrong = url_state.choice(KEY, tuple(SCALES), "shared")
    notice.show([wrong] if wrong else [])
    named = [(name, model.analysis) for name, model in zip(names, shown, strict=True)]
    drawn = side_by_side(named, batch, own_scale=chosen == "own")
    side_by_side_chart(drawn, name="side-by-side", key="side-by-side")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.session_state[KEY] = chosen
        st.segmented_control(
            "Scale of the layers",
            list(SCALES),
            format_func=lambda scale: SCALES[scale],
            key=KEY,
            on_change=_rescaled,
            label_visibility="collapsed",
        )
        st.caption(
            "Above, the totals on one scale. Below each, its layers from input to output: on one scale the "
            "models can be compared, on its own each shows where it spends.",
            width="stretch",
        )


def _rescaled() -> None:
    chosen = st.session_state[KEY]
    url_state.change(scale=chosen if chosen == "own" else None)


# Table of totals.

Line = tuple[str, tuple[str, ...]]


def lines(shown: Sequence[ShownModel], batch: int) -> list[Line]:
    """Return each measure with the exact value of every model, without those that no model has."""
    images = "1 image" if batch == 1 else f"{batch:,} images"
    counted: tuple[tuple[str, Callable[[Analysis], str]], ...] = (
        ("Input", lambda a: numbers.shape(a.input_shape)),
        ("Classes", lambda a: numbers.exact(a.classes)),
        ("Parameters", lambda a: numbers.exact(a.total_params)),
        ("… in convolutions", lambda a: _with_share(a.conv_params, a.total_params)),
        ("… fully connected", lambda a: _with_share(a.fc_params, a.total_params)),
        ("… in normalization", lambda a: _with_share(a.norm_params, a.total_params)),
        ("… other", lambda a: _with_share(a.other_params, a.total_params)),
        ("Multiply-adds", lambda a: numbers.exact(a.macs)),
        ("Memory of parameters", lambda a: numbers.mib(a.parameter_bytes)),
        (f"Forward/backward, {images}", lambda a: numbers.mib(a.training_bytes(batch))),
        ("Depth (layers with weights, longest path)", lambda a: numbers.exact(depth(a))),
        ("Rows of the table of layers", lambda a: numbers.exact(len(a.rows))),
    )
    rows = [
        (title, tuple(format_value(model.analysis) for model in shown)) for title, format_value in counted
    ]
    rows.append(("Published accuracy", tuple(_accuracy(model) for model in shown)))
    return [(title, values) for title, values in rows if set(values) != {"—"}]


def _with_share(part: int, whole: int) -> str:
    return f"{numbers.exact(part)} ({numbers.percent(part / whole, 1)})" if part else "—"


def _accuracy(model: ShownModel) -> str:
    """Return the published accuracy of the registered model, with the data set it was measured on."""
    claim = next((p for p in model.selection.spec.published if p.what == "accuracy"), None)
    if claim is None:
        return "—"
    return f"{percent(claim.value, 2)} on {claim.on}" if claim.on else percent(claim.value, 2)


def totals_table(shown: Sequence[ShownModel], names: Sequence[str], batch: int) -> None:
    """Draw the table and its downloads."""
    rows = lines(shown, batch)
    st.html(_html(rows, names))
    with st.container(horizontal=True, gap="small"):
        for label, suffix, mime, write in (
            ("CSV", "csv", "text/csv", to_csv),
            ("Markdown", "md", "text/markdown", to_markdown),
        ):
            st.download_button(
                label, partial(write, rows, names), f"side-by-side.{suffix}", mime, key=f"totals-{suffix}",
                on_click="ignore", type="tertiary", icon=":material/download:",
            )  # fmt: skip


def _html(lines: Sequence[Line], names: Sequence[str]) -> str:
    heads = "".join(
        f'<th scope="col"><i style="background:{hue.css}"></i>{escape(name)}</th>'
        for name, hue in zip(names, COMPARED, strict=False)
    )
    rows = "".join(
        f'<tr><th scope="row">{escape(title)}</th>{"".join(f"<td>{escape(v)}</td>" for v in values)}</tr>'
        for title, values in lines
    )
    return (
        f'<div class="totals" tabindex="0" role="region" aria-label="Totals"><table>'
        f"<thead><tr><td></td>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def to_csv(rows: Sequence[Line], names: Sequence[str]) -> str:
    """Return the table as CSV."""
    return csv_text(["", *names], ([title, *values] for title, values in rows))


def to_markdown(rows: Sequence[Line], names: Sequence[str]) -> str:
    """Return the table as Markdown, with right-aligned numbers."""
    table = [["", *names], ["---", *["---:"] * len(names)], *([title, *values] for title, values in rows)]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n" for row in table)
