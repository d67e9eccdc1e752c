"""URL state: reads, validates and writes the selection that crosses pages, which lives in the URL only.

Widgets show what the URL says and write to it in their callbacks, with `change`. Errors in the URL are never
swallowed: `Selection.problems` lists them with the value that is used instead.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from cnnviz import models

CARRIED = ("model", "classes", "size", "batch", "layer")
"""Parameters that a link to another page carries along, besides every `option.*`."""
PASSED = ("run", "dataset", "recipe", "weights", "picture", "prep", "lesson", "present")
"""More parameters that a link carries along; the page that uses one validates it."""
OWN = (
    *("view", "columns", "models", "pair", "list", "scale"),
    *("runs", "find", "status", "of", "on", "tag", "metric", "sort", "page", "deleted"),
    *("x", "against", "cell"),
    *("class", "part", "seed", "image", "draw"),
    *("parent", "smooth", "layers"),
    *("order", "range", "channel", "open"),
    *("drop", "reduce"),
    *("method", "opacity"),
    *("recorded", "start", "pixels"),
    *("experiment", "test", "form", "seeds"),
    "term",
)
"""Parameters that belong to one page and are dropped when going to another."""
OPTION = "option."
"""Prefix of parameters for model options."""
SET = "set."
"""Prefix of parameters for fields that differ from the named recipe."""

ROOT = "(model)"
"""Name in the URL of the row of the model itself, whose qualified name is empty."""
DEFAULT_MODEL = "alexnet-cifar10"
DEFAULT_BATCH = 1
MAX_CLASSES = 100_000
MAX_SIDE = 4096
MAX_BATCH = 65_536
WRITTEN = "url-written"
"""Session-state key of the last write to the URL."""
KNOWN = "url-known"
"""Session-state key of the page and parameters that the browser's URL is known to have."""
STALE_SECONDS = 5.0
"""Seconds after a write during which a rerun may still send the previous URL, on a slow machine or
connection."""


@dataclass(frozen=True)
class Selection:
    """The selected model with its form. Classes and size are None for the model's defaults."""

    spec: models.ModelSpec
    classes: int | None = None
    size: tuple[int, int] | None = None
    batch: int = DEFAULT_BATCH
    layer: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    """Only the options that differ from the model's defaults."""
    problems: tuple[str, ...] = ()
    """Errors in the URL with what is shown instead, as sentences."""

    @property
    def own_form(self) -> bool:
        """Whether classes, size and options are the model's defaults."""
        return self.classes is None and self.size is None and not self.options

    def parameters(self) -> dict[str, str]:
        """Return the selection as query parameters, without defaults and invalid values."""
        named = {
            "model": self.spec.name,
            "classes": None if self.classes is None else str(self.classes),
            "size": None if self.size is None else size_text(self.size),
            "batch": None if self.batch == DEFAULT_BATCH else str(self.batch),
            "layer": layer_text(self.layer),
        }
        options = {f"{OPTION}{name}": option_text(value) for name, value in self.options.items()}
        return {name: value for name, value in named.items() if value is not None} | options


def size_text(size: tuple[int, int]) -> str:
    """Format an input size: `32`, or `224x192` (height, width)."""
    height, width = size
    return f"{height}" if height == width else f"{height}x{width}"


def layer_text(name: str | None) -> str | None:
    """Return a row's qualified name as written in the URL."""
    return ROOT if name == "" else name


def option_text(value: Any) -> str:
    """Return an option's value as written in the URL."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def current() -> Selection:
    """Return the selection in the page's URL."""
    return read(st.query_params.to_dict(), repeated=_repeated())


def read(parameters: Mapping[str, str], repeated: Sequence[str] = ()) -> Selection:
    """Validate query parameters; errors become `problems` and are not raised."""
    problems = [f"{quoted(name)} is given more than once; the last is used." for name in repeated]
    problems += [
        f"There is no parameter {quoted(name)}; it is ignored."
        for name in parameters
        if name not in CARRIED + PASSED + OWN and not name.startswith((OPTION, SET))
    ]
    if parameters.get("present", "1") != "1":
        problems.append(f"“present” cannot be {quoted(parameters['present'])}, only 1; it is ignored.")
    spec = _model(parameters.get("model"), problems)
    return Selection(
        spec=spec,
        classes=_whole(parameters, "classes", MAX_CLASSES, spec.classes, problems),
        size=_size(parameters.get("size"), spec, problems),
        batch=_whole(parameters, "batch", MAX_BATCH, DEFAULT_BATCH, problems) or DEFAULT_BATCH,
        layer="" if parameters.get("layer") == ROOT else parameters.get("layer") or None,
        options=_options(parameters, spec, problems),
        problems=tuple(problems),
    )


def choice(name: str, values: Sequence[str], default: str) -> tuple[str, str | None]:
    """Return the value of a page's own parameter, or its default with an error sentence if it is invalid."""
    given = st.query_params.get(name)
    if given is None or given in values:
        return given or default, None
    return default, f"{quoted(name)} cannot be {quoted(given)}; it can be {' or '.join(values)}."


def carried() -> dict[str, str]:
    """Return the parameters of the current URL that a link to another page carries along."""
    return {name: value for name, value in st.query_params.items() if is_carried(name)}


def is_carried(name: str) -> bool:
    """Return whether a parameter crosses pages."""
    return name in CARRIED + PASSED or name.startswith((OPTION, SET))


def show_value(key: str, value: Any) -> None:
    """Set the widget with that key to `value`, whose source is elsewhere: the URL, the run database.

    It assigns only if the value differs: any assignment makes the browser take the value, which would replace
    what the user is typing or has chosen while a fragment was being redrawn.
    """
    if key not in st.session_state or st.session_state[key] != value:
        st.session_state[key] = value


def pick(key: str, options: Container[Any], shown: Any, act: Callable[[Any], object]) -> None:
    """Call `act` with the value of the list `key` if somebody chose it, for use in callbacks.

    The browser sends the label of what is chosen. Where the label has changed meanwhile (a run has ended),
    Streamlit 1.67 calls this with the former label itself as the value, or with the value that was `shown`,
    even in the first run of the page that comes next, whose URL `act` would then change.
    """
    value = st.session_state[key]
    if value in options and value != shown:
        act(value)


def unless(value: str, default: str) -> str | None:
    """Return None for the default, so that `change` writes only what differs from it."""
    return None if value == default else value


def change(**changes: str | None) -> None:
    """Write to the URL, for use in a widget's callback; None removes a parameter.

    Invalid parameters are removed at the same time. A new model keeps only the batch size: another model's
    classes, size, options and layer would mostly not fit.
    """
    restore()
    selection = current()
    own = {
        name: value for name, value in st.query_params.items() if name in PASSED + OWN or name.startswith(SET)
    }
    chosen = selection.parameters()
    if changes.get("model") not in (None, selection.spec.name):
        chosen = {name: value for name, value in chosen.items() if name == "batch"}
    parameters = {name: value for name, value in (own | chosen | changes).items() if value is not None}
    _write(parameters)


def go_to(parameters: Mapping[str, str]) -> None:
    """Replace all parameters of the URL by earlier ones: an undone step."""
    restore()
    _write(parameters)


def _write(parameters: Mapping[str, str]) -> None:
    """Write the URL and remember the previous one, see `restore`."""
    before = st.query_params.to_dict()
    if parameters != before:
        st.query_params.from_dict(parameters)
        last = st.session_state.get(WRITTEN)
        stale = (*last.before, before) if isinstance(last, _Write) and last.page == _page() else (before,)
        st.session_state[WRITTEN] = _Write(_page(), stale, parameters, time.monotonic())
        st.session_state[KNOWN] = (_page(), dict(parameters))


def follow_link() -> None:
    """Write the URL of a link to the page that is already shown, which Streamlit 1.67 does not.

    Its page link reruns the page with new parameters but leaves the browser's URL unchanged, which the next
    widget then sends back. A page calls this once per run, before it draws.
    """
    now, known = st.query_params.to_dict(), st.session_state.get(KNOWN)
    if known is not None and known[0] == _page() and known[1] != now and not _by_history():
        st.query_params.from_dict(now)
    st.session_state[KNOWN] = (_page(), now)


def restore() -> None:
    """Rewrite the last change of the URL if a rerun brought the previous URL back.

    The browser sends its URL with every rerun. A rerun that it requested before it received the change (a
    fragment's tick, a second click) still carries the old URL, and would undo the click. Every script run and
    every fragment with `run_every` calls this first.
    """
    written = st.session_state.get(WRITTEN)
    if not isinstance(written, _Write):
        return
    now = st.query_params.to_dict()
    recent = time.monotonic() < written.moment + STALE_SECONDS
    if recent and now == written.after:
        return
    if recent and now in written.before and written.page == _page() and not _by_history():
        st.query_params.from_dict(written.after)
    else:
        del st.session_state[WRITTEN]


@dataclass(frozen=True)
class _Write:
    """A change of the URL by this session."""

    page: str
    before: tuple[Mapping[str, str], ...]
    """URLs that a rerun can still send: those before this change and before recent ones."""
    after: Mapping[str, str]
    moment: float


def _page() -> str:
    context = get_script_run_ctx()
    return context.page_script_hash if context else ""


def _by_history() -> bool:
    """Return whether the browser's back or forward button requested this run."""
    context = get_script_run_ctx()
    return context is not None and context.is_history_navigation


def address(**resolved: str | None) -> str:
    """Return the full URL of what is shown, for sharing.

    Args:
        resolved: Parameters that the page resolved from defaults. They are written out, so that the link
            keeps
            its meaning when defaults change; None omits one.
    """
    parameters = {name: value for name, value in resolved.items() if value is not None} | (
        st.query_params.to_dict()
    )
    query = urlencode(parameters)
    return f"{st.context.url}?{query}" if query else str(st.context.url)


def quoted(text: str, limit: int = 40) -> str:
    """Quote a piece of the URL for a sentence, shortened to `limit` characters."""
    return f"“{text[: limit - 1]}…”" if len(text) > limit else f"“{text}”"


def parse_size(text: str) -> tuple[int, int]:
    """Parse `32`, `224x192` or `224×192` as (height, width).

    Raises:
        ValueError: The text is not a size, or out of range.
    """
    match = re.fullmatch(r"\s*([0-9]{1,6})(?:\s*[x×X*]\s*([0-9]{1,6}))?\s*", text)
    if match is None:
        raise ValueError(f"not a size: {text}")
    size = int(match[1]), int(match[2] or match[1])
    if not all(1 <= side <= MAX_SIDE for side in size):
        raise ValueError(f"out of range: {text}")
    return size


def _repeated() -> list[str]:
    return [name for name in st.query_params if len(st.query_params.get_all(name)) > 1]


def _model(name: str | None, problems: list[str]) -> models.ModelSpec:
    if name is None:
        return models.get(DEFAULT_MODEL)
    try:
        return models.get(name)
    except models.UnknownModelError:
        default = models.get(DEFAULT_MODEL)
        problems.append(
            f"There is no model {quoted(name)}{_nearest(name)}; {default.title} is shown instead."
        )
        return default


def _nearest(name: str) -> str:
    from rapidfuzz import process

    near = process.extractOne(name, models.names(), score_cutoff=60)
    return f" (did you mean {near[0]}?)" if near else ""


def _whole(
    parameters: Mapping[str, str], name: str, most: int, default: int, problems: list[str]
) -> int | None:
    text = parameters.get(name)
    if text is None:
        return None
    value = int(text) if re.fullmatch(r"[0-9]{1,9}", text) else 0
    if 1 <= value <= most:
        return None if value == default else value
    problems.append(
        f"{quoted(name)} cannot be {quoted(text)}, only a whole number from 1 to {most:,}; {default} is used."
    )
    return None


def _size(text: str | None, spec: models.ModelSpec, problems: list[str]) -> tuple[int, int] | None:
    own = spec.input_shape[1:]
    if text is None:
        return None
    try:
        size = parse_size(text)
    except ValueError:
        problems.append(
            f"“size” cannot be {quoted(text)}, only pixels up to {MAX_SIDE:,} such as 32 or 224x192 "
            f"(height x width); the model's own {size_text(own)} is used."
        )
        return None
    return None if size == own else size


def _options(parameters: Mapping[str, str], spec: models.ModelSpec, problems: list[str]) -> dict[str, Any]:
    """Parse options one by one, so that an invalid one does not discard the valid ones."""
    good: dict[str, Any] = {}
    for name, value in parameters.items():
        if not name.startswith(OPTION):
            continue
        option = name.removeprefix(OPTION)
        try:
            good |= spec.options.parse({option: value}).changed()
        except ValueError as error:
            problems.append(str(error))
    return good


# URL changes of the pages that look inside a model.


def change_without_model(**changes: str | None) -> None:
    """Write to the URL, for use in callbacks. A model that is not in it is not added: weights imply it."""
    if "model" not in st.query_params:
        changes.setdefault("model", None)
    change(**changes)
