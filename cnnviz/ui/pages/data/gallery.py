"""Pictures by class: a line a class, or many of one; in a seeded order, paged through, one of them chosen."""

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
"""Lines at a time, where all classes are shown."""
SMALL, LARGE = 50, 96
"""Widths of a cell in pixels of the page."""
PART = "data-part"


@dataclass(frozen=True)
class GalleryPage:
    """What a page of the gallery shows."""

    lines: tuple[tuple[str, Labels], ...]
    """A class's name (empty where it is one) and rows of the part."""
    page: int
    pages: int

    @property
    def rows(self) -> Labels:
        """All rows, in order."""
        return np.concatenate([rows for _, rows in self.lines])


def part_of(asked: PageState, ready: Dataset) -> Part:
    """The part that is looked at."""
    return ready.train if asked.part == "train" else ready.test


def chosen_row(asked: PageState, ready: Dataset) -> int:
    """The picture that is chosen; the first of its class where none is, or one that there is not."""
    part = part_of(asked, ready)
    if asked.image is not None and asked.image < len(part):
        return asked.image
    label = ready.classes.index(asked.label) if asked.label else 0
    rows = shuffled(part.labels, label, asked.seed)
    return int(rows[0]) if len(rows) else 0


def shuffled(labels: Labels, label: int, seed: int) -> Labels:
    """The rows of one class in an order that the seed decides."""
    return np.random.default_rng((seed, label)).permutation(np.flatnonzero(labels == label))


def gallery_page(asked: PageState, ready: Dataset) -> GalleryPage:
    """The page that is asked for; the last one where there are fewer."""
    labels = part_of(asked, ready).labels
    if asked.label is not None:
        rows = shuffled(labels, ready.classes.index(asked.label), asked.seed)
        size = per_line(ready) * 6
        pages = max(1, math.ceil(len(rows) / size))
        page = min(asked.page, pages - 1)
        return GalleryPage((("", rows[page * size : (page + 1) * size]),), page, pages)
    count, across = len(ready.classes), per_line(ready)
    pages = math.ceil(count / CLASSES)
    page = min(asked.page, pages - 1)
    some = range(page * CLASSES, min(count, (page + 1) * CLASSES))
    lines = ((ready.classes[k], shuffled(labels, k, asked.seed)[:across]) for k in some)
    return GalleryPage(tuple(lines), page, pages)


def per_line(ready: Dataset) -> int:
    """Pictures of a class in its line."""
    return 16 if small(ready) else 8


def small(ready: Dataset) -> bool:
    """Whether pictures are so small that many fit."""
    return max(ready.shape[1:]) <= 40


def gallery(asked: PageState, ready: Dataset) -> None:
    """Draw the choice of part, the pictures, and the way through them."""
    page = gallery_page(asked, ready)
    _controls(asked, page)
    part = part_of(asked, ready)
    if not len(page.rows):
        st.caption(f"No {PARTS[asked.part].lower()} pictures of this class.")
        return
    sheet = _sheet(ready.fingerprint, asked.part, page.rows.tobytes(), part)
    which = asked.label or ("each class" if page.pages == 1 else f"classes {page.page * CLASSES + 1} and on")
    pictures(
        sheet,
        [Line(name, [_cell(ready, part, int(row)) for row in rows]) for name, rows in page.lines],
        key="gallery",
        alt=f"{PARTS[asked.part]} pictures of {which}",
        name=f"{asked.spec.name.replace('/', '-')}-{asked.part}-{asked.label or 'classes'}".replace(" ", "-"),
        cell=SMALL if small(ready) else LARGE,
        chosen=str(chosen_row(asked, ready)),
        on_choose=lambda row: state.put(image=row),
    )


def _cell(ready: Dataset, part: Part, row: int) -> Cell:
    return Cell(f"{ready.classes[part.labels[row]]}, number {row:,}", str(row))


@RESULTS.cached()
def _sheet(fingerprint: str, part_name: str, rows: bytes, _part: Part) -> Sprite:
    return sprite(_part.pixels(np.frombuffer(rows, dtype=np.int64)))


def _controls(asked: PageState, page: GalleryPage) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="gallery-controls"):
        st.session_state[PART] = asked.part
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
            _paging(asked, page)
        st.button(
            "Resample",
            icon=":material/shuffle:",
            key="gallery-shuffle",
            on_click=partial(state.put, seed=str(asked.seed + 1), page=None, image=None),
            type="tertiary",
            help=f"Another random order; this is number {asked.seed}.",
        )
        if asked.label is not None:
            st.button(
                "All classes", icon=":material/grid_view:", key="gallery-all", type="tertiary",
                on_click=partial(state.choose_class, ""),
            )  # fmt: skip


def _paging(asked: PageState, page: GalleryPage) -> None:
    _step(":material/chevron_left:", "Page before", page.page - 1, page.pages)
    what = f"{asked.label}: page" if asked.label else "Classes: page"
    st.caption(f"{notice.plain(what)} {page.page + 1:,} of {page.pages:,}", width="content")
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
