"""The selection that crosses pages lives in the URL, and only here is it read, validated and written.

Widgets show what the URL says and write to it in their callbacks, with `change`. What is wrong in the URL is
never swallowed: `Selection.problems` says it, and the page shows what stands in its place.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from cnnviz import models

CARRIED = ("model", "classes", "size", "batch", "layer")
"""Parameters that a link to another page takes along, besides every `option.*`."""
PASSED = ("run", "dataset", "recipe", "weights", "picture", "prep", "lesson", "present")
"""Parameters that a link takes along too; the page that uses one looks it up, and says where it is wrong."""
OWN = (
    *("view", "columns", "models", "pair", "from", "list", "scale"),
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
"""Parameters that belong to one page and are left behind when going to another."""
OPTION = "option."
"""What the name of a parameter for a model's option begins with."""
SET = "set."
"""What the name of a parameter for a field that differs from the named recipe begins with."""

ROOT = "(model)"
"""How the URL names the row of the model itself, whose qualified name is empty."""
DEFAULT_MODEL = "alexnet-cifar10"
DEFAULT_BATCH = 1
MAX_CLASSES = 100_000
MAX_SIDE = 4096
MAX_BATCH = 65_536
WRITTEN = "url-written"
"""Where a session keeps its last write to the URL."""
KNOWN = "url-known"
"""The page and the parameters that the browser's URL is known to have."""
STALE_SECONDS = 5.0
"""For so long after a write a rerun may still bring the URL from before it, on a slow machine or line."""


@dataclass(frozen=True)
class Selection:
    """What is chosen. Classes and size are None where the model's own are meant."""

    spec: models.ModelSpec
    classes: int | None = None
    size: tuple[int, int] | None = None
    batch: int = DEFAULT_BATCH
    layer: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    """Only those that differ from the model's defaults."""
    problems: tuple[str, ...] = ()
    """What was wrong in the URL and what is shown instead, in sentences."""

    @property
    def own_form(self) -> bool:
        """Whether classes, size and options are the model's own."""
        return self.classes is None and self.size is None and not self.options

    def parameters(self) -> dict[str, str]:
        """The selection as query parameters, without what is a default and without what was wrong."""
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
    """An input size as it is written and read: `32`, or `224x192` (height, width)."""
    height, width = size
    return f"{height}" if height == width else f"{height}x{width}"


def layer_text(name: str | None) -> str | None:
    """A row's qualified name as it stands in the URL."""
    return ROOT if name == "" else name


def option_text(value: Any) -> str:
    """An option's value as it stands in the URL."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def current() -> Selection:
    """The selection of the page's URL."""
    return read(st.query_params.to_dict(), repeated=_repeated())


def read(parameters: Mapping[str, str], repeated: Sequence[str] = ()) -> Selection:
    """Validate query parameters; nothing is raised, every fault becomes one of `problems`."""
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
    """One of a page's own parameters, and a sentence where the URL asks for what there is not."""
    given = st.query_params.get(name)
    if given is None or given in values:
        return given or default, None
    return default, f"{quoted(name)} cannot be {quoted(given)}; it can be {' or '.join(values)}."


def carried() -> dict[str, str]:
    """Return the parameters of the current URL that a link to another page takes along."""
    return {name: value for name, value in st.query_params.items() if is_carried(name)}


def is_carried(name: str) -> bool:
    """Whether a parameter crosses pages."""
    return name in CARRIED + PASSED or name.startswith((OPTION, SET))


def show_value(key: str, value: Any) -> None:
    """Set the widget of that key to `value`, which is kept elsewhere: in the URL, in the run database.

    An assignment, even of what is there already, makes the browser take it: it would replace what somebody is
    just typing, or has chosen while a fragment's tick was being drawn.
    """
    if key not in st.session_state or st.session_state[key] != value:
        st.session_state[key] = value


def unless(value: str, default: str) -> str | None:
    """What `change` takes so that a URL says only what is not so by itself."""
    return None if value == default else value


def change(**changes: str | None) -> None:
    """Write to the URL, for use in a widget's callback; None leaves a parameter out.

    What was wrong in the URL goes out by the same stroke. A new model takes the batch along and nothing
    else: another's classes, size, options and layer would mostly not fit.
    """
    restore()
    selection = current()
    kept = {
        name: value for name, value in st.query_params.items() if name in PASSED + OWN or name.startswith(SET)
    }
    chosen = selection.parameters()
    if changes.get("model") not in (None, selection.spec.name):
        chosen = {name: value for name, value in chosen.items() if name == "batch"}
    wanted = {name: value for name, value in (kept | chosen | changes).items() if value is not None}
    _write(wanted)


def go_to(parameters: Mapping[str, str]) -> None:
    """Write a whole URL, one from which the session has gone on: a step that is undone."""
    restore()
    _write(parameters)


def _write(wanted: Mapping[str, str]) -> None:
    """Write the URL, and remember from what: see `restore`."""
    before = st.query_params.to_dict()
    if wanted != before:
        st.query_params.from_dict(wanted)
        last = st.session_state.get(WRITTEN)
        stale = (*last.before, before) if isinstance(last, _Write) and last.page == _page() else (before,)
        st.session_state[WRITTEN] = _Write(_page(), stale, wanted, time.monotonic())
        st.session_state[KNOWN] = (_page(), dict(wanted))


def follow_link() -> None:
    """Write the URL behind a link to the page that is shown already, as Streamlit 1.67 does not.

    Its page link runs the page with new parameters and leaves the browser's URL as it was, which the next
    widget brings back. A page calls this once a run, before it draws.
    """
    now, known = st.query_params.to_dict(), st.session_state.get(KNOWN)
    if known is not None and known[0] == _page() and known[1] != now and not _by_history():
        st.query_params.from_dict(now)
    st.session_state[KNOWN] = (_page(), now)


def restore() -> None:
    """Write the last change to the URL again where a rerun brought the URL from before it.

    The browser sends its URL with every rerun. One that it asked for before it had heard of the change (a
    fragment's tick, a second click) still carries the old URL, and would undo the click. Every run of the
    script and every fragment with `run_every` calls this first.
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
    """The URLs that a rerun can still bring: from before this change and those just before it."""
    after: Mapping[str, str]
    moment: float


def _page() -> str:
    context = get_script_run_ctx()
    return context.page_script_hash if context else ""


def _by_history() -> bool:
    """Whether the browser's back or forward button asked for this run."""
    context = get_script_run_ctx()
    return context is not None and context.is_history_navigation


def address(**resolved: str | None) -> str:
    """The whole URL of what is shown, for sharing.

    Args:
        resolved: What the page shows where the URL is silent. It is written down, so that the link goes on
            meaning what it meant when another default is chosen; None where there is nothing to say.
    """
    parameters = {name: value for name, value in resolved.items() if value is not None} | (
        st.query_params.to_dict()
    )
    query = urlencode(parameters)
    return f"{st.context.url}?{query}" if query else str(st.context.url)


def quoted(text: str, limit: int = 40) -> str:
    """A piece of the URL inside a sentence, shortened."""
    return f"“{text[: limit - 1]}…”" if len(text) > limit else f"“{text}”"


def parse_size(text: str) -> tuple[int, int]:
    """Read `32`, `224x192` or `224×192` as (height, width); raises `ValueError` for anything else."""
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
    """The options one by one, so that a wrong one does not take the right ones along."""
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


# Writing to the URL from the pages that look inside.


def change_without_model(**changes: str | None) -> None:
    """Write to the URL, for use in callbacks. A model that is not in it stays out: the weights say which."""
    if "model" not in st.query_params:
        changes.setdefault("model", None)
    change(**changes)
