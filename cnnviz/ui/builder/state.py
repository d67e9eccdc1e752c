"""What is being built: the design in the URL (`list`), beside the model that it started from (`model`).

So a link shares a design, and going back in the browser goes back in it. Only what the undo buttons know is
kept in the session.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from cnnviz import models
from cnnviz.models import link
from cnnviz.models.layers import LayerList, Step
from cnnviz.models.nearest import nearest_sequential
from cnnviz.ui import notice, url_state
from cnnviz.ui.builder import history
from cnnviz.ui.url_state import Selection, quoted

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
    said = list(selection.problems)
    base, original = _start(selection, said)
    document = _document(st.query_params.get("list"), original, base, said)
    place = _place(document, selection, base, said)
    history.forget_another_past()
    return Design(selection, base, original, document, place, tuple(said))


def _start(selection: Selection, said: list[str]) -> tuple[models.ModelSpec, LayerList]:
    spec = selection.spec
    if spec.layers is None:
        near = nearest_sequential(spec)
        said.append(
            f"{spec.title} is not a plain sequence of the layers that a list can hold, so it cannot be "
            f"edited; here is {near.title}, the nearest that can."
        )
        return near, _own(near)
    try:
        found = models.layer_list(spec, selection.classes, selection.size, selection.options)
    except ValueError as error:
        said.append(f"{error} Shown instead: {spec.title} as it is registered.")
        found = None
    return spec, found or _own(spec)


def _own(spec: models.ModelSpec) -> LayerList:
    found = models.layer_list(spec)
    assert found is not None
    return found


def _document(text: str | None, original: LayerList, base: models.ModelSpec, said: list[str]) -> LayerList:
    if text is None:
        return original
    try:
        return link.decode(text)
    except ValueError as error:
        said.append(f"{error} Here is {base.title} as it is.")
        return original


def _place(document: LayerList, selection: Selection, base: models.ModelSpec, said: list[str]) -> int:
    """The place of the layer that the URL names, also where it names a part of it, as another page may."""
    if selection.layer is None:
        return 0
    names = document.names()
    name = selection.layer.split(".")[0]
    if name in names:
        return names.index(name)
    if name and base is selection.spec:
        said.append(f"The list has no layer {quoted(name)}; its first is selected.")
    return 0


def put(document: LayerList, place: int | None = None) -> None:
    """Make `document` the design, for use in callbacks; a step that can be undone."""
    design = read()
    try:
        text = None if document == design.original else link.encode(document)
    except ValueError as error:
        notice.later(str(error))
        return
    st.session_state[DRAFTS] = {**st.session_state.get(DRAFTS, {}), design.base.name: text}
    names = document.names()
    wanted = min(design.place if place is None else place, len(names) - 1)
    history.change(list=text, layer=names[wanted] if names else None)


def draft() -> str | None:
    """The design last made of the model that is shown as it is: leaving the page must not lose it."""
    design = read()
    text: str | None = st.session_state.get(DRAFTS, {}).get(design.base.name)
    return None if "list" in st.query_params else text


def go_on(text: str) -> None:
    """Take up a draft again."""
    history.change(list=text, layer=None)


def start_from(name: str) -> None:
    """Begin again with another model's list; a step that can be undone."""
    history.change(model=name, list=None, layer=None)


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
