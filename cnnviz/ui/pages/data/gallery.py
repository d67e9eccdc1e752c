"""Gallery of images by class, and the augmentation preview of the selected one.

The gallery has a row per class, or many of one, in a seeded random order, with paging. The preview makes
random draws by the training code, with settings to try.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import streamlit as st

from cnnviz import training
from cnnviz.datasets import Dataset, Part
from cnnviz.datasets.spec import Labels
from cnnviz.datasets.summary import Summary
from cnnviz.figures import numbers
from cnnviz.models import Shape
from cnnviz.models.spec import choices
from cnnviz.training import Recipe
from cnnviz.ui.components.images import Cell, Line, Sprite, pictures, sprite
from cnnviz.ui.pages.data import state
from cnnviz.ui.pages.data.state import PARTS, PLAIN, PageState
from cnnviz.ui.shared import layout, notice
from cnnviz.ui.shared.glossary import term_heading
from cnnviz.ui.shared.model_picker import by_family, model_label
from cnnviz.ui.shared.result_cache import RESULTS
from cnnviz.ui.shared.url_state import SET, pick, unless

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


DRAWS = 16
MODEL, RECIPE = "data-model", "data-recipe"
SCALES = {
    "unit": "to [0, 1]",
    "standardised": "standardized",
    "raw": "raw pixels",
    "raw-minus-mean": "raw minus mean",
}
FLIPS = {"none": "none", "random": "random", "alternating": "alternating"}


def example(stored: Shape) -> Recipe:
    """Return example settings where none are selected: digits are not flipped, photographs are."""
    side = min(stored[1:])
    settings: dict[str, Any] = {"pad_crop": max(1, side // 8), "cutout": side // 4}
    if stored[0] == 3:
        settings |= {"flip": "random", "colour_jitter": 0.25}
    return Recipe(**settings)


def augmentation(page_state: PageState, ready: Dataset, summary: Summary) -> None:
    """Draw the choice of model and recipe, the settings, the draws, and the steps in words."""
    term_heading("Preprocessing and augmentation", "Data augmentation")
    untouched = page_state.recipe_name is None and not page_state.changed
    recipe = example(ready.shape) if untouched else page_state.recipe
    shape = page_state.input_shape(ready.shape)
    row = chosen_row(page_state, ready)
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom", key="augmentation-what"):
        _choose_model(page_state)
        _choose_recipe(page_state)
        st.button(
            "Draw again",
            icon=":material/casino:",
            key="augmentation-draw",
            on_click=partial(state.put, draw=str(page_state.draw + 1)),
        )
        layout.link("train", "Train with it", icon=":material/play_circle:", dataset=page_state.spec.name)
    write = partial(_set, recipe if untouched else None)
    with st.container(horizontal=True, gap="small", vertical_alignment="top", key="augmentation-settings"):
        _settings(recipe, shape, write)
    try:
        stored, drawn, tested = _sheets(ready, page_state, summary, recipe, shape, row)
    except ValueError as error:
        st.warning(notice.escape(str(error)), icon=":material/info:")
        return
    name = f"{page_state.spec.name.replace('/', '-')}-{page_state.part}-{row}"
    label = ready.classes[part_of(page_state, ready).labels[row]]
    left, right = st.columns([0.22, 0.78], gap="medium")
    with left, st.container(horizontal=True, gap="small", key="augmentation-ends"):
        with st.container(width=112):
            _row("stored", stored, [f"{label}, as stored"], "", 112)
        crops = [f"crop {n + 1}" for n in range(10)]
        titles = crops if recipe.ten_crop else ["as tested"]
        with st.container(width=112):
            _row("tested", tested, titles, "", 50 if recipe.ten_crop else 112)
    with right:
        _row("drawn", drawn, [f"epoch {n + 1}" for n in range(DRAWS)], name, 112)
        _describe(recipe, ready.shape, shape)


def _row(what: str, sheet: Sprite, titles: list[str], name: str, cell: int) -> None:
    pictures(
        sheet,
        [Line("", [Cell(title) for title in titles])],
        key=f"augmentation-{what}",
        alt=f"The chosen image, {what}: {', '.join(titles[:2])}",
        name=f"{name}-{what}" if name else "",
        cell=cell,
        captions=True,
    )


def _describe(recipe: Recipe, have: Shape, shape: Shape) -> None:
    from cnnviz.training.data.transforms import steps

    lines = "\n".join(f"{n}. {notice.escape(s)}" for n, s in enumerate(steps(recipe, have, shape), 1))
    st.markdown(lines)
    st.caption(
        f"The network sees {numbers.shape(shape)}. Each epoch draws anew, so that it never sees quite the "
        "same image twice; what is drawn must not change what the image is: a mirrored 3 is no 3."
    )


def _sheets(
    ready: Dataset, page_state: PageState, summary: Summary, recipe: Recipe, shape: Shape, row: int
) -> tuple[Sprite, Sprite, Sprite]:
    settings = recipe.model_dump_json(include=set(_fields()))
    image = part_of(page_state, ready).pixels(np.array([row]))[0]
    return _previews(
        ready.fingerprint, image.tobytes(), settings, shape, page_state.draw, row, image, summary
    )


def _fields() -> tuple[str, ...]:
    from cnnviz.training.data.transforms import FIELDS

    return (*FIELDS, "seed", "ten_crop")


@RESULTS.cached()
def _previews(
    fingerprint: str, pixels: bytes, recipe: str, shape: Shape, draw: int, row: int,
    _image: np.ndarray, _found: Summary,
) -> tuple[Sprite, Sprite, Sprite]:  # fmt: skip
    from cnnviz.training.data.transforms import preview, statistics_of

    statistics = statistics_of(_found.mean_image, _found.covariance, shape[0])
    read = Recipe.model_validate_json(recipe)
    seen = preview(_image, read, statistics, shape, DRAWS, draw, row)
    return sprite(_image[None]), sprite(seen.drawn), sprite(seen.tested)


def _choose_model(page_state: PageState) -> None:
    specs = by_family()
    st.session_state[MODEL] = page_state.model.spec.name if page_state.model else ""
    own = "images as they are" if page_state.recipe_name in (None, PLAIN) else "the recipe's own"
    st.selectbox(
        "Model",
        ["", *specs],
        format_func=lambda name: model_label(specs[name]) if name else own,
        key=MODEL,
        on_change=lambda: state.put(model=st.session_state[MODEL] or None, size=None),
        width=300,
    )


def _choose_recipe(page_state: PageState) -> None:
    known = ["", PLAIN, *training.all_recipes()]
    shown = st.session_state[RECIPE] = page_state.recipe_name or ""
    none = "changed settings" if page_state.changed else "an example"
    st.selectbox(
        "Recipe",
        known,
        format_func=lambda name: (f"{name}, changed" if page_state.changed else name) if name else none,
        key=RECIPE,
        on_change=partial(pick, RECIPE, known, shown, partial(_choose_recipe_of, page_state.spec.name)),
        width=300,
    )


def _choose_recipe_of(dataset: str, recipe: str) -> None:
    dropped = dict.fromkeys(name for name in st.query_params if name.startswith(SET))
    state.put(**dropped, recipe=recipe or None, dataset=dataset)


def _settings(recipe: Recipe, shape: Shape, write: Callable[[str, Any], None]) -> None:
    """Draw one widget per setting, with bounds that suit the input size."""
    side = max(shape[1:])
    _slider("pad_crop", "Pad and crop", recipe.pad_crop, max(16, side // 4), 1, write)
    sizes = sorted({0, recipe.crop_from or 0, *(math.ceil(side * by) for by in (1.07, 1.143, 1.25, 1.5, 2))})
    _chooser("crop_from", "Crop from a resize to", recipe.crop_from or 0, sizes, write)
    _slider("cutout", "Cutout", recipe.cutout, side, 1, write)
    _slider("colour_jitter", "Color jitter", recipe.colour_jitter, 1.0, 0.05, write)
    _slider("pca_jitter", "PCA jitter", recipe.pca_jitter, 1.0, 0.05, write)
    for field, title, named in (("flip", "Flip", FLIPS), ("scale", "Scale", SCALES)):
        key = f"augmentation-{field}"
        st.session_state[key] = getattr(recipe, field)
        st.selectbox(
            title,
            choices(Recipe.model_fields[field]),
            format_func=named.__getitem__,
            key=key,
            help=Recipe.model_fields[field].description,
            on_change=partial(_changed, field, key, write),
            width=154,
        )


def _slider(
    field: str, title: str, value: float, most: float, step: float, write: Callable[[str, Any], None]
) -> None:
    key = f"augmentation-{field}"
    st.session_state[key] = value
    st.slider(
        title,
        type(most)(0),
        max(most, value),
        step=step,
        key=key,
        help=Recipe.model_fields[field].description,
        on_change=partial(_changed, field, key, write),
        width=154,
    )


def _chooser(field: str, title: str, value: int, sizes: list[int], write: Callable[[str, Any], None]) -> None:
    key = f"augmentation-{field}"
    st.session_state[key] = value
    st.select_slider(
        title,
        sizes,
        format_func=lambda size: f"{size}" if size else "off",
        key=key,
        help=Recipe.model_fields[field].description,
        on_change=partial(_changed, field, key, write),
        width=154,
    )


def _changed(field: str, key: str, write: Callable[[str, Any], None]) -> None:
    write(field, st.session_state[key])


def _set(shown: Recipe | None, field: str, value: Any) -> None:
    """Write one setting to the URL.

    If an example was `shown`, its settings are written too, as changes of the plain recipe.
    """
    settings: dict[str, str | None] = {}
    if shown is not None:
        settings |= {"recipe": PLAIN}
        settings |= {f"{SET}{name}": f"{ours}" for name, (_, ours) in Recipe().difference(shown).items()}
    settings[f"{SET}{field}"] = "none" if field == "crop_from" and not value else f"{value}"
    if field == "crop_from" and value:
        settings[f"{SET}pad_crop"] = "0"
    if field == "pad_crop" and value:
        settings[f"{SET}crop_from"] = "none"
    state.put(**settings)
