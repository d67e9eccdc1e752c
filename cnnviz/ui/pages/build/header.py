"""Header of the Build page: base model, input, classes and batch size; open, save, share."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import streamlit as st

from cnnviz.figures import numbers
from cnnviz.models import layer_list_edit, library, url_codec
from cnnviz.models.layers import LayerList
from cnnviz.ui.pages.build import state
from cnnviz.ui.pages.build.state import Design
from cnnviz.ui.shared import layout, notice, url_state
from cnnviz.ui.shared.model_picker import CSS, model_picker, share_button

# Opening and saving designs: files, the user's own models, an empty list.

UPLOAD, ROUND = "builder-upload", "builder-upload-round"
NAME, TAKEN, SAVED, DELETED = "builder-name", "builder-taken", "builder-saved", "builder-deleted"


def open_popover() -> None:
    """Draw the popover that opens a file, one of the user's own models, or an empty list."""
    with st.popover("Open", icon=":material/folder_open:", type="tertiary"):
        key = f"{UPLOAD}-{st.session_state.get(ROUND, 0)}"
        st.file_uploader(
            "A layer list (JSON)",
            type="json",
            max_upload_size=1,
            key=key,
            on_change=_uploaded,
            args=(key,),
            help="A file that was downloaded here. It is read as data; nothing in it is run.",
        )
        st.button("Start from an empty list", key="builder-empty", on_click=_empty, width="stretch")
        _own_models()


def _uploaded(key: str) -> None:
    """Open an uploaded file, or report what is wrong with it. The uploader is reset for the next file."""
    file = st.session_state.get(key)
    if file is not None:
        state.attempt(lambda: url_codec.read_upload(file.getvalue()), index=0)
        st.session_state[ROUND] = st.session_state.get(ROUND, 0) + 1


def _empty() -> None:
    document = state.read().document
    state.put(LayerList(input=document.input, classes=document.classes))


def _own_models() -> None:
    specs = library.saved_specs()
    if not specs:
        st.caption("What you save stands here, and wherever models are chosen.")
        return
    st.caption("Your models")
    for name, spec in specs.items():
        with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False):
            st.button(
                spec.title, key=f"open-{name}", on_click=state.start_from, args=(name,), type="tertiary",
                width="stretch",
            )  # fmt: skip
            st.button(
                "Delete", icon=":material/delete:", key=f"delete-{name}", on_click=_delete, args=(name,),
                type="tertiary", help=f"Delete {spec.title}",
            )  # fmt: skip


def _delete(name: str) -> None:
    """Delete a saved model. A design that started from it is kept as a list of its own."""
    try:
        spec = library.saved_specs()[name]
        design = state.read()
        library.delete(name)
    except (KeyError, ValueError):
        notice.defer(f"{name} is deleted already.")
        return
    if design.selection.spec.name == name:
        state.start_from(state.DEFAULT)
        state.put(design.document, design.selected)
    layers = spec.layers
    assert layers is not None
    st.session_state[DELETED] = (name, layers(spec.classes, spec.input_shape, None))


def save_popover(design: Design) -> None:
    """Draw the popover that saves or downloads the design."""
    document = design.document
    with st.popover("Save", icon=":material/save:", type="tertiary"):
        problem = document.problem()
        if problem:
            st.caption(f"{notice.escape(problem)} It can be downloaded, but saved only when it can be built.")
        # One key per name, so that text typed for another design is not reused.
        key = f"{NAME}-{document.name}"
        # In every run: the browser makes the field when the popover is opened, from the newest run.
        st.session_state[key] = st.session_state.get(key, document.name)
        st.text_input("Name", key=key, max_chars=60, help="Letters, digits, spaces and . - _")
        st.button(
            "Save", key="builder-save", type="primary", disabled=bool(problem), on_click=_save,
            args=(key,), help="Keep it among your models, on this machine.",
        )  # fmt: skip
        st.download_button(
            "Download the layer list", document.write(), f"{library.slug(document.name)}.json",
            "application/json", key="builder-download", on_click="ignore", icon=":material/download:",
        )  # fmt: skip


def _save(key: str, replace: bool = False) -> None:
    design = state.read()
    for old in (TAKEN, SAVED, DELETED):
        _dismiss(old)
    try:
        named = layer_list_edit.describe(design.document, name=str(st.session_state.get(key, "")).strip())
        st.session_state[SAVED] = library.save(named, replace=replace)
    except FileExistsError as error:
        st.session_state[TAKEN] = (str(error), key)
    except (ValueError, OSError) as error:
        notice.defer(str(error))
    else:
        state.put(named)


def outcome_notice(design: Design) -> None:
    """Draw the result of saving or deleting below the bar, with the next steps."""
    if conflict := st.session_state.get(TAKEN):
        sentence, key = conflict
        with _describe_saved(sentence, "warning"):
            st.button("Replace it", key="builder-replace", on_click=_save, args=(key, True))
            st.button("Keep it", key="builder-keep", on_click=_dismiss, args=(TAKEN,), type="tertiary")
    elif saved := st.session_state.get(SAVED):
        with _describe_saved(f"Saved as {saved}; it now stands wherever models are chosen.", "check_circle"):
            layout.link("architecture", "See its architecture", model=saved, **NOTHING_ELSE)
            layout.link("train", "Train it", model=saved, recipe=None, run=None, **NOTHING_ELSE)
            beside = f"{saved},{design.base.name}"
            if design.base.name != saved:
                layout.link("compare", "Compare with the original", models=beside, model=None, **NOTHING_ELSE)
            st.button("Close", key="builder-close", on_click=_dismiss, args=(SAVED,), type="tertiary")
    elif deleted := st.session_state.get(DELETED):
        with _describe_saved(f"Deleted {deleted[0]}.", "delete"):
            st.button("Bring it back", key="builder-restore", on_click=_restore)
            st.button("Close", key="builder-close", on_click=_dismiss, args=(DELETED,), type="tertiary")
    elif draft := state.draft():
        with _describe_saved("A design of this model that you made before is still here.", "edit_note"):
            st.button("Go on with it", key="builder-draft", on_click=state.reopen_draft, args=(draft,))


NOTHING_ELSE = {"classes": None, "size": None, "layer": None}
"""Parameters that a link to another model drops."""


def _describe_saved(sentence: str, icon: str) -> st.delta_generator.DeltaGenerator:
    row = st.container(
        horizontal=True, vertical_alignment="center", gap="small", border=True, key="aftermath"
    )
    row.markdown(f":material/{icon}: {notice.escape(sentence)}", width="content")
    return row


def _dismiss(key: str) -> None:
    st.session_state.pop(key, None)


def _restore() -> None:
    name, document = st.session_state.pop(DELETED)
    try:
        library.save(document)
    except (FileExistsError, OSError) as error:
        notice.defer(str(error))
    else:
        st.session_state[SAVED] = name


OWN_CSS = Path(__file__).with_name("build.css")
KEY = "what-name"


def builder_bar(design: Design) -> None:
    """Draw the bar, and a notice of URL errors and failed actions."""
    st.html(CSS)
    st.html(OWN_CSS)
    document = design.document
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="what"):
        model_picker("Start from", design.base.name, key=KEY, on_change=_start, width=300)
        _field(
            "size",
            "input",
            numbers.shape(document.input),
            "Channels × height × width of the input, such as 3x32x32.",
            partial(_set_input, document),
            170,
        )
        _field(
            "classes",
            "classes",
            str(document.classes),
            "How many classes the network tells apart; the width of a last layer of 'one unit a class'.",
            partial(_set_classes, document),
            142,
        )
        _field(
            "batch",
            "batch",
            str(design.batch),
            "Images at a time. Memory for activations grows with it.",
            _set_batch,
            128,
        )
        open_popover()
        save_popover(design)
        share_button(model=None if "list" in st.query_params else design.base.name)
    notice.show([*design.problems, *notice.pending_notices()])


def _field(
    name: str, label: str, value: str, explanation: str, write: Callable[[str], None], width: int
) -> None:
    key = f"what-{name}"
    st.session_state[key] = value
    st.text_input(
        label,
        key=key,
        help=explanation,
        on_change=lambda: write(str(st.session_state[key]).strip()),
        width=width,
    )


def _start() -> None:
    state.start_from(st.session_state[KEY])


def _set_input(document: LayerList, text: str) -> None:
    sides = [int(side) for side in re.findall(r"[0-9]{1,6}", text)]
    if not re.fullmatch(r"[\s0-9x×X*]+", text) or not 1 <= len(sides) <= 3:
        notice.defer(
            f"An input cannot be {url_state.quoted(text)}; write 3x32x32 (channels, height, width) or 32."
        )
        return
    # One number is a square, two are height and width; the channels are unchanged.
    shape = (document.input[0], sides[0], sides[-1]) if len(sides) < 3 else tuple(sides)
    state.attempt(lambda: layer_list_edit.describe(document, input=shape))


def _set_classes(document: LayerList, text: str) -> None:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        notice.defer(f"The number of classes cannot be {url_state.quoted(text)}; it is a whole number.")
        return
    state.attempt(lambda: layer_list_edit.describe(document, classes=int(text)))


def _set_batch(text: str) -> None:
    url_state.change(batch=text or None)
