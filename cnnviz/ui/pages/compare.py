"""Compare page: its URL, cards of the models, figure and table of their totals, and layers of two of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st
from pydantic.fields import FieldInfo

from cnnviz import models
from cnnviz.analysis.diff import Diff, diff, plain
from cnnviz.analysis.types import Analysis, Row
from cnnviz.figures.plotly_theme import COMPARED
from cnnviz.figures.side_by_side import side_by_side, to_csv, to_markdown, totals, totals_html
from cnnviz.models.spec import bounds, choices
from cnnviz.sentences import key_words, percent
from cnnviz.ui.components.images import side_by_side_chart
from cnnviz.ui.shared import layout, notice, url_state
from cnnviz.ui.shared.diff_table import Side, Sides, diff_sentence, diff_table
from cnnviz.ui.shared.model_data import ShownModel
from cnnviz.ui.shared.model_picker import model_picker, share_button
from cnnviz.ui.shared.url_state import OPTION, Selection, option_text, quoted

# URL state of the Compare page: `models=a,b~activation=tanh,c~classes=100~size=64`, and `pair=1,3`. Each
# model has its own classes, size and options after its name. Errors become problems.

DEFAULT = ("alexnet-cifar10", "small-alexnet", "googlenet-32", "resnet18-32")
MIN_MODELS, MAX_MODELS = 2, 4
LONGEST = 2_000
"""Maximum characters of `models` that are read."""


@dataclass(frozen=True)
class Compared:
    """Two to four models, and the indices of the two whose layers are compared."""

    entries: tuple[Selection, ...]
    pair: tuple[int, int]
    batch: int
    problems: tuple[str, ...] = ()


def current() -> Compared:
    """Read the state from the page's URL."""
    parameters = st.query_params.to_dict()
    # The selection of other pages is used only if no models are named.
    own = {
        name: value for name, value in parameters.items() if name == "batch" or not url_state.is_carried(name)
    }
    selection = url_state.read(own if "models" in parameters else parameters)
    return read(parameters, selection, list(selection.problems))


def read(parameters: Mapping[str, str], carried: Selection, problems: list[str]) -> Compared:
    """Validate the parameters; every error becomes a sentence in `problems`."""
    text = parameters.get("models")
    if text is None:
        entries = _with_defaults(carried) if "model" in parameters else _registered(DEFAULT)
    else:
        entries = _at_least_two(_named(text[:LONGEST], problems), problems)
    pair = _pair(parameters.get("pair"), len(entries), problems)
    return Compared(tuple(entries), pair, carried.batch, tuple(problems))


def _registered(names: tuple[str, ...]) -> list[Selection]:
    return [Selection(models.get(name)) for name in names]


def _with_defaults(carried: Selection) -> list[Selection]:
    """Return the model selected on another page, with default ones to compare it with."""
    first = replace(carried, layer=None, batch=url_state.DEFAULT_BATCH, problems=())
    others = tuple(name for name in DEFAULT if name != carried.spec.name)
    return [first, *_registered(others[: MAX_MODELS - 1])]


def _named(text: str, problems: list[str]) -> list[Selection]:
    selections: dict[str, Selection] = {}
    for part in filter(None, text.split(",")):
        entry = _entry(part, problems)
        if entry is None:
            continue
        if entry_text(entry) in selections:
            problems.append(f"{entry.spec.title} is named twice; it stands here once.")
        elif len(selections) == MAX_MODELS:
            problems.append(
                f"At most {MAX_MODELS} models stand side by side; {entry.spec.title} is left out."
            )
        else:
            selections[entry_text(entry)] = entry
    return list(selections.values())


def _entry(part: str, problems: list[str]) -> Selection | None:
    name, *settings = part.split("~")
    try:
        models.get(name)
    except models.UnknownModelError as error:
        problems.append(f"{_shortened(str(error), name)} It is left out.")
        return None
    parameters = {"model": name}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            problems.append(f"{quoted(setting)} says nothing of {name}; write name~option=value.")
            continue
        parameters[key if key in ("classes", "size") else f"{OPTION}{key}"] = value
    entry = url_state.read(parameters)
    problems += [f"{entry.spec.title}: {problem}" for problem in entry.problems]
    return replace(entry, problems=())


def _shortened(sentence: str, name: str) -> str:
    return sentence.replace(f"'{name}'", quoted(name))


def _at_least_two(entries: list[Selection], problems: list[str]) -> list[Selection]:
    """Return at least two models: default ones are added, with a problem."""
    known = {entry.spec.name for entry in entries}
    missing = max(0, MIN_MODELS - len(entries))
    others = _registered(tuple(name for name in DEFAULT if name not in known)[:missing])
    if others:
        added = " and ".join(other.spec.title for other in others)
        verb = "is" if len(others) == 1 else "are"
        problems.append(f"Compare takes {MIN_MODELS} to {MAX_MODELS} models; {added} {verb} added.")
    return [*entries, *others]


def _pair(text: str | None, count: int, problems: list[str]) -> tuple[int, int]:
    if text is None:
        return 0, 1
    match = re.fullmatch(r"([1-9]),([1-9])", text)
    places = (int(match[1]) - 1, int(match[2]) - 1) if match else (0, 0)
    if places[0] != places[1] and max(places) < count:
        return places
    problems.append(
        f"“pair” cannot be {quoted(text)}, only the numbers of two of the {count} models, such as 1,2."
    )
    return 0, 1


def entry_text(entry: Selection) -> str:
    """Format one model for `models`."""
    parameters = entry.parameters()
    parts = [entry.spec.name]
    for key, value in parameters.items():
        if key in ("classes", "size") or key.startswith(OPTION):
            parts.append(f"{key.removeprefix(OPTION)}={value}")
    return "~".join(parts)


def label(entry: Selection) -> str:
    """Return a model's title with its non-default settings."""
    _, *settings = entry_text(entry).split("~")
    text = ", ".join(setting.replace("=", " ") for setting in settings)
    return f"{entry.spec.title} ({text})" if text else entry.spec.title


def analysis_problems(shown: Sequence[ShownModel]) -> list[str]:
    """Return the problems of all models, prefixed by their titles."""
    return [
        f"{model.selection.spec.title}: {problem}" for model in shown for problem in model.selection.problems
    ]


def put(entries: list[Selection], pair: tuple[int, int] | None = None) -> None:
    """Compare these models, for use in callbacks. The pair is kept if its models still exist."""
    shown_pair = pair or current().pair
    if max(shown_pair) >= len(entries):
        shown_pair = 0, 1
    url_state.change(
        models=",".join(map(entry_text, entries)),
        pair=None if shown_pair == (0, 1) else pair_text(shown_pair),
    )


def pair_text(pair: tuple[int, int]) -> str:
    """Format a pair for the URL, counted from one."""
    return f"{pair[0] + 1},{pair[1] + 1}"


# Cards of the models.

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
        share_button(models=",".join(map(entry_text, entries)))


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
    put([*entries[:index], entry, *entries[index + 1 :]])


def _remove(entries: list[Selection], index: int) -> None:
    put([*entries[:index], *entries[index + 1 :]])


def _add(entries: list[Selection]) -> None:
    known = {entry.spec.name for entry in entries}
    candidates = [*DEFAULT, *models.names()]
    put([*entries, Selection(models.get(next(name for name in candidates if name not in known)))])


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
    put(entries, (chosen, other) if side == 0 else (other, chosen))


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


def totals_table(shown: Sequence[ShownModel], names: Sequence[str], batch: int) -> None:
    """Draw the table and its downloads."""
    rows = totals([(model.selection.spec, model.analysis) for model in shown], batch)
    st.html(totals_html(rows, names))
    with st.container(horizontal=True, gap="small"):
        for label, suffix, mime, write in (
            ("CSV", "csv", "text/csv", to_csv),
            ("Markdown", "md", "text/markdown", to_markdown),
        ):
            st.download_button(
                label, partial(write, rows, names), f"side-by-side.{suffix}", mime, key=f"totals-{suffix}",
                on_click="ignore", type="tertiary", icon=":material/download:",
            )  # fmt: skip
