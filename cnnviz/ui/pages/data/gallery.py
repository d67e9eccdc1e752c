"""Gallery: images by class, a row per class or many of one, in a seeded random order, with paging."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
import streamlit as st

from cnnviz.datasets import Dataset, Part
from cnnviz.datasets.spec import Labels
from cnnviz.figures.sprite_sheet import Sprite, sprite
from cnnviz.ui.components.pictures import Cell, Line, pictures
from cnnviz.ui.pages.data import state
from cnnviz.ui.pages.data.state import PARTS, PageState
from cnnviz.ui.shared import notice
from cnnviz.ui.shared.result_cache import RESULTS
from cnnviz.ui.shared.url_state import unless

CLASSES = 10
"""Rows per page, if all classes are shown."""
SMALL, LARGE = 50, 96
"""Cell widths in pixels."""
PART = "data-part"


@dataclass(frozen=True)
class GalleryPage:
    """One page of the gallery."""

    lines: tuple[tuple[str, Labels], ...]
    """Class name (empty if there is only one) and row indices of each line."""
    page: int
    pages: int

    @property
    def rows(self) -> Labels:
        """All row indices, in order."""
        return np.concatenate([rows for _, rows in self.lines])


def part_of(page_state: PageState, ready: Dataset) -> Part:
    """Return the selected part of the data set."""
    return ready.train if page_state.part == "train" else ready.test


def chosen_row(page_state: PageState, ready: Dataset) -> int:
    """Return the row of the selected image; by default, or if it does not exist, the first of its class."""
    part = part_of(page_state, ready)
    if page_state.image is not None and page_state.image < len(part):
        return page_state.image
    label = ready.classes.index(page_state.label) if page_state.label else 0
    rows = shuffled(part.labels, label, page_state.seed)
    return int(rows[0]) if len(rows) else 0


def shuffled(labels: Labels, label: int, seed: int) -> Labels:
    """Return the rows of one class in a random order given by the seed."""
    return np.random.default_rng((seed, label)).permutation(np.flatnonzero(labels == label))


def gallery_page(page_state: PageState, ready: Dataset) -> GalleryPage:
    """Return the selected page, or the last one if there are fewer."""
    labels = part_of(page_state, ready).labels
    if page_state.label is not None:
        rows = shuffled(labels, ready.classes.index(page_state.label), page_state.seed)
        size = per_line(ready) * 6
        pages = max(1, math.ceil(len(rows) / size))
        page = min(page_state.page, pages - 1)
        return GalleryPage((("", rows[page * size : (page + 1) * size]),), page, pages)
    count, across = len(ready.classes), per_line(ready)
    pages = math.ceil(count / CLASSES)
    page = min(page_state.page, pages - 1)
    some = range(page * CLASSES, min(count, (page + 1) * CLASSES))
    lines = ((ready.classes[k], shuffled(labels, k, page_state.seed)[:across]) for k in some)
    return GalleryPage(tuple(lines), page, pages)


def per_line(ready: Dataset) -> int:
    """Return the number of images in the row of a class."""
    return 16 if small(ready) else 8


def small(ready: Dataset) -> bool:
    """Return whether images are small enough for small cells."""
    return max(ready.shape[1:]) <= 40


def gallery(page_state: PageState, ready: Dataset) -> None:
    """Draw the choice of part, the images, and the paging."""
    page = gallery_page(page_state, ready)
    _controls(page_state, page)
    part = part_of(page_state, ready)
    if not len(page.rows):
        st.caption(f"No {PARTS[page_state.part].lower()} images of this class.")
        return
    sheet = _sheet(ready.fingerprint, page_state.part, page.rows.tobytes(), part)
    which = page_state.label or (
        "each class" if page.pages == 1 else f"classes {page.page * CLASSES + 1} and on"
    )
    stem = page_state.spec.name.replace("/", "-")
    pictures(
        sheet,
        [Line(name, [_cell(ready, part, int(row)) for row in rows]) for name, rows in page.lines],
        key="gallery",
        alt=f"{PARTS[page_state.part]} images of {which}",
        name=f"{stem}-{page_state.part}-{page_state.label or 'classes'}".replace(" ", "-"),
        cell=SMALL if small(ready) else LARGE,
        chosen=str(chosen_row(page_state, ready)),
        on_choose=lambda row: state.put(image=row),
    )


def _cell(ready: Dataset, part: Part, row: int) -> Cell:
    return Cell(f"{ready.classes[part.labels[row]]}, number {row:,}", str(row))


@RESULTS.cached()
def _sheet(fingerprint: str, part_name: str, rows: bytes, _part: Part) -> Sprite:
    return sprite(_part.pixels(np.frombuffer(rows, dtype=np.int64)))


def _controls(page_state: PageState, page: GalleryPage) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="gallery-controls"):
        st.session_state[PART] = page_state.part
        st.segmented_control(
            "Part",
            list(PARTS),
            format_func=PARTS.__getitem__,
            key=PART,
            on_change=lambda: state.put(part=unless(st.session_state[PART], "train"), page=None, image=None),
            required=True,
            label_visibility="collapsed",
        )
        if page.pages > 1:
            _paging(page_state, page)
        st.button(
            "Resample",
            icon=":material/shuffle:",
            key="gallery-shuffle",
            on_click=partial(state.put, seed=str(page_state.seed + 1), page=None, image=None),
            type="tertiary",
            help=f"Another random order; this is number {page_state.seed}.",
        )
        if page_state.label is not None:
            st.button(
                "All classes", icon=":material/grid_view:", key="gallery-all", type="tertiary",
                on_click=partial(state.choose_class, ""),
            )  # fmt: skip


def _paging(page_state: PageState, page: GalleryPage) -> None:
    _step(":material/chevron_left:", "Page before", page.page - 1, page.pages)
    what = f"{page_state.label}: page" if page_state.label else "Classes: page"
    st.caption(f"{notice.escape(what)} {page.page + 1:,} of {page.pages:,}", width="content")
    _step(":material/chevron_right:", "Page after", page.page + 1, page.pages)


def _step(icon: str, label: str, page: int, pages: int) -> None:
    st.button(
        icon,
        key=f"gallery-{label}",
        help=label,
        disabled=not 0 <= page < pages,
        on_click=partial(state.put, page=unless(str(page), "0"), image=None),
        type="tertiary",
    )
