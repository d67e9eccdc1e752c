"""URL state of the Compare page: `models=a,b~activation=tanh,c~classes=100~size=64`, and `pair=1,3`.

Each model has its own classes, size and options after its name. Errors become problems.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import streamlit as st

from cnnviz import models
from cnnviz.ui.shared import url_state
from cnnviz.ui.shared.model_data import ShownModel
from cnnviz.ui.shared.url_state import OPTION, Selection, quoted

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
