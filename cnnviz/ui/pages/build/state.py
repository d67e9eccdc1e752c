"""What is being built: the design in the URL (`list`), beside the model that it started from (`model`).

So a link shares a design, and going back in the browser goes back in it. Only what the undo buttons know is
kept in the session.
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

# The steps of a design: every step is a URL, so undoing one goes back to where one was.

NOT_DESIGN = frozenset({"layer", "batch", "view"})
"""Parameters that change what is looked at, not what is built."""
DEPTH = 200
"""Steps that can be undone."""
PAST, FUTURE, TIP = "builder-past", "builder-future", "builder-tip"


def can_undo() -> bool:
    """Whether there is a step to go back."""
    return bool(st.session_state.get(PAST))


def can_redo() -> bool:
    """Whether a step back can be taken forward again."""
    return bool(st.session_state.get(FUTURE))


def undo() -> None:
    """Go one step back."""
    _travel(PAST, FUTURE)


def redo() -> None:
    """Take back a step back."""
    _travel(FUTURE, PAST)


def _travel(source: str, target: str) -> None:
    url_state.restore()  # what is left behind is the URL as it is, not one that the browser still brings
    if st.session_state.get(source):
        st.session_state[target] = [*st.session_state.get(target, []), st.query_params.to_dict()]
        url_state.go_to(st.session_state[source].pop())
        st.session_state[TIP] = _identity(st.query_params.to_dict())


def change(**changes: str | None) -> None:
    """Write to the URL; what changes the design becomes a step that can be undone."""
    before = st.query_params.to_dict()
    url_state.change(**changes)
    after = st.query_params.to_dict()
    if _identity(after) != _identity(before):
        st.session_state[PAST] = [*st.session_state.get(PAST, []), before][-DEPTH:]
        st.session_state[FUTURE] = []
        st.session_state[TIP] = _identity(after)


def forget_another_past() -> None:
    """Drop the steps of another design, after a link or the browser's own buttons led away from it."""
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
    """A layer list being edited, the one that it started from, and the layer that is looked at."""

    selection: Selection
    base: models.ModelSpec
    original: LayerList
    document: LayerList
    place: int
    """Place of the selected layer; 0 in an empty list."""
    problems: tuple[str, ...]

    @property
    def steps(self) -> list[Step]:
        """The layers with their shapes."""
        return list(self.document.steps())

    @property
    def step(self) -> Step | None:
        """The selected layer; None in an empty list."""
        return self.steps[self.place] if self.document.layers else None

    @property
    def batch(self) -> int:
        """Images at a time, for memory."""
        return self.selection.batch

    @property
    def edited(self) -> bool:
        """Whether anything differs from the list that it started from."""
        return self.document != self.original


def read() -> Design:
    """The design of the page's URL; what is wrong in it is said and replaced."""
    selection = url_state.current()
    problems = list(selection.problems)
    base, original = _start(selection, problems)
    document = _document(st.query_params.get("list"), original, base, problems)
    place = _place(document, selection, base, problems)
    forget_another_past()
    return Design(selection, base, original, document, place, tuple(problems))


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


def _place(document: LayerList, selection: Selection, base: models.ModelSpec, problems: list[str]) -> int:
    """The place of the layer that the URL names, also where it names a part of it, as another page may."""
    if selection.layer is None:
        return 0
    names = document.names()
    name = selection.layer.split(".")[0]
    if name in names:
        return names.index(name)
    if name and base is selection.spec:
        problems.append(f"The list has no layer {quoted(name)}; its first is selected.")
    return 0


def put(document: LayerList, place: int | None = None) -> None:
    """Make `document` the design, for use in callbacks; a step that can be undone."""
    design = read()
    try:
        text = None if document == design.original else url_codec.encode(document)
    except ValueError as error:
        notice.later(str(error))
        return
    st.session_state[DRAFTS] = {**st.session_state.get(DRAFTS, {}), design.base.name: text}
    names = document.names()
    wanted = min(design.place if place is None else place, len(names) - 1)
    change(list=text, layer=names[wanted] if names else None)


def draft() -> str | None:
    """The design last made of the model that is shown as it is: leaving the page must not lose it."""
    design = read()
    text: str | None = st.session_state.get(DRAFTS, {}).get(design.base.name)
    return None if "list" in st.query_params else text


def go_on(text: str) -> None:
    """Take up a draft again."""
    change(list=text, layer=None)


def start_from(name: str) -> None:
    """Begin again with another model's list; a step that can be undone."""
    change(model=name, list=None, layer=None)


def select(place: int) -> None:
    """Look at another layer."""
    names = read().document.names()
    if 0 <= place < len(names):
        url_state.change(layer=names[place])


def attempt(change: Callable[[], LayerList], place: int | None = None) -> None:
    """Make the result of an edit the design, or say why it cannot be."""
    try:
        document = change()
    except ValueError as error:
        notice.later(str(error))
    else:
        put(document, place)


# What a design costs, computed once for each design, and how it differs from the list it started from.

KEPT = 64
"""Designs kept in memory, of all visitors together."""


@dataclass(frozen=True)
class Costed:
    """A design with its analysis as far as it fits, and that of the list it started from."""

    design: Design
    analysis: Analysis
    original: Analysis
    misfit: int | None
    """Place of the first layer that does not fit; None where all do."""
    difference: Diff
    """Layer by layer, a block as one layer."""

    @property
    def by_layer(self) -> dict[str, Cost]:
        """What each layer costs, by its name."""
        return costs(self.design.document, self.analysis)

    @property
    def statuses(self) -> dict[str, Status]:
        """What happened to each layer of the design, by its name."""
        return {change.b.name: change.status for change in self.difference.changes if change.b is not None}


def costed(design: Design) -> Costed:
    """Analyse a design and the list that it started from."""
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
    """The difference of two lists, by settings alone while some layer does not fit.

    Behind a misfit nobody knows what enters a layer, so nothing can be said of it.
    """
    known = all(step.output_shape is not None for step in after.steps())
    return diff_rows(outline(before, costed=known), outline(after, costed=known))
