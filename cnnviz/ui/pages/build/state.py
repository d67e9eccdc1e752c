"""State of the Build page: the design in the URL (`list`), and the model that it started from (`model`).

So a link shares a design, and the browser's back button undoes a change. Only the undo history is kept in the
session.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import streamlit as st

from cnnviz import models
from cnnviz.analysis.core import Cost, analyze_fitting, costs, outline
from cnnviz.analysis.diff import Diff, Status, diff_rows
from cnnviz.analysis.types import Analysis
from cnnviz.models import url_codec
from cnnviz.models.layer_list_edit import compact, misfit, nearest_sequential
from cnnviz.models.layers import LayerList, Step
from cnnviz.ui.shared import notice, url_state
from cnnviz.ui.shared.url_state import Selection, quoted

# Undo history: every step is a URL.

NOT_DESIGN = frozenset({"layer", "batch", "view"})
"""Parameters that change the view and not the design."""
DEPTH = 200
"""Maximum number of steps that can be undone."""
PAST, FUTURE, TIP = "builder-past", "builder-future", "builder-tip"


def can_undo() -> bool:
    """Return whether there is a step to undo."""
    return bool(st.session_state.get(PAST))


def can_redo() -> bool:
    """Return whether there is an undone step to redo."""
    return bool(st.session_state.get(FUTURE))


def undo() -> None:
    """Undo one step."""
    _travel(PAST, FUTURE)


def redo() -> None:
    """Redo the step undone last."""
    _travel(FUTURE, PAST)


def _travel(source: str, target: str) -> None:
    url_state.restore()  # so that the current URL is recorded, not an outdated one from the browser
    if st.session_state.get(source):
        st.session_state[target] = [*st.session_state.get(target, []), st.query_params.to_dict()]
        url_state.go_to(st.session_state[source].pop())
        st.session_state[TIP] = _identity(st.query_params.to_dict())


def change(**changes: str | None) -> None:
    """Write to the URL; a change of the design becomes a step that can be undone."""
    before = st.query_params.to_dict()
    url_state.change(**changes)
    after = st.query_params.to_dict()
    if _identity(after) != _identity(before):
        st.session_state[PAST] = [*st.session_state.get(PAST, []), before][-DEPTH:]
        st.session_state[FUTURE] = []
        st.session_state[TIP] = _identity(after)


def drop_other_history() -> None:
    """Drop the undo history of another design, after a link or the browser's buttons led away from it."""
    here = _identity(st.query_params.to_dict())
    if st.session_state.get(TIP) not in (None, here):
        st.session_state[PAST], st.session_state[FUTURE] = [], []
    st.session_state[TIP] = here


def _identity(parameters: Mapping[str, str]) -> str:
    return repr(sorted(item for item in parameters.items() if item[0] not in NOT_DESIGN))


DEFAULT = url_state.DEFAULT_MODEL
DRAFTS = "builder-drafts"


@dataclass(frozen=True)
class Design:
    """A layer list being edited, the original list, and the selected layer."""

    selection: Selection
    base: models.ModelSpec
    original: LayerList
    document: LayerList
    selected: int
    """Index of the selected layer; 0 in an empty list."""
    problems: tuple[str, ...]

    @property
    def steps(self) -> list[Step]:
        """The layers with their shapes."""
        return list(self.document.steps())

    @property
    def step(self) -> Step | None:
        """The selected layer; None in an empty list."""
        return self.steps[self.selected] if self.document.layers else None

    @property
    def batch(self) -> int:
        """Batch size for the memory figures."""
        return self.selection.batch

    @property
    def edited(self) -> bool:
        """Whether it differs from the original list."""
        return self.document != self.original


def read() -> Design:
    """Read the design from the page's URL; invalid parameters become problems."""
    selection = url_state.current()
    problems = list(selection.problems)
    base, original = _start(selection, problems)
    document = _document(st.query_params.get("list"), original, base, problems)
    index = _selected_index(document, selection, base, problems)
    drop_other_history()
    return Design(selection, base, original, document, index, tuple(problems))


def _start(selection: Selection, problems: list[str]) -> tuple[models.ModelSpec, LayerList]:
    spec = selection.spec
    if spec.layers is None:
        near = nearest_sequential(spec)
        problems.append(
            f"{spec.title} is not a plain sequence of the layers that a list can hold, so it cannot be "
            f"edited; here is {near.title}, the nearest that can."
        )
        return near, _own(near)
    try:
        layer_list = models.layer_list(spec, selection.classes, selection.size, selection.options)
    except ValueError as error:
        problems.append(f"{error} Shown instead: {spec.title} as it is registered.")
        layer_list = None
    return spec, layer_list or _own(spec)


def _own(spec: models.ModelSpec) -> LayerList:
    layer_list = models.layer_list(spec)
    assert layer_list is not None
    return layer_list


def _document(
    text: str | None, original: LayerList, base: models.ModelSpec, problems: list[str]
) -> LayerList:
    if text is None:
        return original
    try:
        return url_codec.decode(text)
    except ValueError as error:
        problems.append(f"{error} Here is {base.title} as it is.")
        return original


def _selected_index(
    document: LayerList, selection: Selection, base: models.ModelSpec, problems: list[str]
) -> int:
    """Return the index of the layer that the URL names, or that contains the one it names."""
    if selection.layer is None:
        return 0
    names = document.names()
    name = selection.layer.split(".")[0]
    if name in names:
        return names.index(name)
    if name and base is selection.spec:
        problems.append(f"The list has no layer {quoted(name)}; its first is selected.")
    return 0


def put(document: LayerList, index: int | None = None) -> None:
    """Make `document` the design, for use in callbacks; a step that can be undone."""
    design = read()
    try:
        text = None if document == design.original else url_codec.encode(document)
    except ValueError as error:
        notice.defer(str(error))
        return
    st.session_state[DRAFTS] = {**st.session_state.get(DRAFTS, {}), design.base.name: text}
    names = document.names()
    selected = min(design.selected if index is None else index, len(names) - 1)
    change(list=text, layer=names[selected] if names else None)


def draft() -> str | None:
    """Return the last design of the model that is shown unedited: leaving the page must not lose it."""
    design = read()
    text: str | None = st.session_state.get(DRAFTS, {}).get(design.base.name)
    return None if "list" in st.query_params else text


def reopen_draft(text: str) -> None:
    """Reopen a draft."""
    change(list=text, layer=None)


def start_from(name: str) -> None:
    """Start from another model's list; a step that can be undone."""
    change(model=name, list=None, layer=None)


def select(index: int) -> None:
    """Select another layer."""
    names = read().document.names()
    if 0 <= index < len(names):
        url_state.change(layer=names[index])


def attempt(change: Callable[[], LayerList], index: int | None = None) -> None:
    """Make the result of an edit the design, or report why it fails."""
    try:
        document = change()
    except ValueError as error:
        notice.defer(str(error))
    else:
        put(document, index)


# Cost of a design, computed once, and its difference from the original list.

KEPT = 64
"""Maximum number of designs kept in memory, of all visitors together."""


@dataclass(frozen=True)
class Costed:
    """A design with the analysis of its part that fits, and that of the original list."""

    design: Design
    analysis: Analysis
    original: Analysis
    misfit: int | None
    """Index of the first layer that does not fit; None if all do."""
    difference: Diff
    """Difference by layer, with a block as one layer."""

    @property
    def by_layer(self) -> dict[str, Cost]:
        """Cost of each layer, by its name."""
        return costs(self.design.document, self.analysis)

    @property
    def statuses(self) -> dict[str, Status]:
        """Status of each layer of the design in the difference, by its name."""
        return {change.b.name: change.status for change in self.difference.changes if change.b is not None}


def costed(design: Design) -> Costed:
    """Analyze a design and its original list."""
    return Costed(
        design,
        _analysis(compact(design.document)),
        _analysis(compact(design.original)),
        misfit(design.document),
        _difference(design.original, design.document),
    )


@st.cache_resource(max_entries=KEPT, show_spinner=False)
def _analysis(document: str) -> Analysis:
    return analyze_fitting(LayerList.read(document))


def _difference(before: LayerList, after: LayerList) -> Diff:
    """Return the difference of two lists, by settings alone if some layer does not fit.

    After a misfit the input shapes of layers are unknown, and so are their costs.
    """
    known = all(step.output_shape is not None for step in after.steps())
    return diff_rows(outline(before, costed=known), outline(after, costed=known))
