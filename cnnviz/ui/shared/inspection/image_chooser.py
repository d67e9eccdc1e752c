"""Image chooser: samples, test images, uploads, the camera, a drawing."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from cnnviz.inference.images.decoder import Pixels
from cnnviz.inference.images.read_image import Refusal
from cnnviz.ui.components.digits import drawing_pad
from cnnviz.ui.components.images import Cell, Line, Sprite, pictures, sprite
from cnnviz.ui.shared import notice
from cnnviz.ui.shared.inspection import image_input
from cnnviz.ui.shared.inspection.image_input import ImageSource, ImageState, Rows
from cnnviz.ui.shared.inspection.model_input import Network
from cnnviz.ui.shared.result_cache import RESULTS

if TYPE_CHECKING:
    from cnnviz.datasets import Dataset

# Test images of the data set that a network was trained on: by class, or the misclassified ones.

ALL, WRONG = "all classes", "the ones it gets wrong"
CLASS, PAGE = "picture-class", "picture-page"
AT_ONCE = 22


def images_of_data(network: Network, image_state: ImageState) -> None:
    """Draw the test images, or the way to get them."""
    name = network.loaded.dataset
    if not name:
        st.caption(
            "Nobody knows what this network was trained on, so there are no test images to choose from."
        )
        return
    dataset = image_input.data_of(network)
    if dataset is None:
        _offer(name)
        return
    _offer_all(name, dataset)
    chosen = st.session_state.get(CLASS, ALL)
    answers = image_input.known_predictions(network, dataset) if chosen == WRONG else None
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.selectbox(
            "Which", [ALL, WRONG, *dataset.classes], key=CLASS, label_visibility="collapsed", width=220,
            on_change=lambda: st.session_state.update({PAGE: 0}),
        )  # fmt: skip
        rows = _rows(dataset, chosen, answers)
        page = _paging(len(rows))
    if chosen == WRONG and answers is None:
        _offer_predictions(network, dataset)
        return
    _sheet(dataset, rows[page * AT_ONCE : (page + 1) * AT_ONCE], answers, image_state)


def _rows(dataset: Dataset, chosen: str, answers: Rows | None) -> Rows:
    if chosen == WRONG:
        return np.empty(0, np.int64) if answers is None else np.flatnonzero(answers != dataset.test.labels)
    return image_input.of_class(dataset, None if chosen == ALL else dataset.classes.index(chosen))


def _paging(count: int) -> int:
    pages = max(1, math.ceil(count / AT_ONCE))
    page = int(np.clip(st.session_state.get(PAGE, 0), 0, pages - 1))
    for label, icon, to in (("before", "left", page - 1), ("after", "right", page + 1)):
        st.button(
            f":material/chevron_{icon}:", key=f"{PAGE}-{label}", type="tertiary", help=f"Images {label}",
            disabled=not 0 <= to < pages, on_click=st.session_state.update, args=({PAGE: to},),
        )  # fmt: skip
    st.caption(f"{count:,} images, page {page + 1:,} of {pages:,}", width="content")
    return page


def _sheet(dataset: Dataset, rows: Rows, answers: Rows | None, image_state: ImageState) -> None:
    if not len(rows):
        st.caption("None.")
        return
    classes, labels = dataset.classes, dataset.test.labels
    notes = ["" if answers is None else f", taken for {classes[answers[row]]}" for row in rows]
    cells = [
        Cell(f"{classes[labels[row]]}, number {row:,}{words}", image_input.address_of(dataset, row))
        for row, words in zip(rows.tolist(), notes, strict=True)
    ]
    pictures(
        _sprite(dataset.fingerprint, rows.tobytes(), dataset), [Line("", cells)], key="picture-tests",
        name="", alt="Test images", cell=CELL, strip=True, chosen=image_state.text,
        on_choose=image_input.choose,
    )  # fmt: skip


@RESULTS.cached()
def _sprite(fingerprint: str, rows: bytes, _data: Dataset) -> Sprite:
    return sprite(np.asarray(_data.test.pixels(np.frombuffer(rows, np.int64))))


def _offer(name: str) -> None:
    from cnnviz import datasets
    from cnnviz.tracking import data_name

    spec = datasets.specs().get(name)
    if spec is None:
        st.caption(notice.escape(f"Its data ({data_name(name)}) are not on this machine."))
        return
    title = notice.escape(spec.title)
    st.caption(f"{title}, which it was trained on, is not prepared on this machine yet.")
    label = "Prepare it" if spec.offline else f"Download {notice.download_text(spec)}"
    if st.button(label, key="picture-prepare") and notice.prepare(spec) is not None:
        st.rerun()


def _offer_all(name: str, dataset: Dataset) -> None:
    """Offer the whole data set where only the shipped images are available."""
    from cnnviz import datasets
    from cnnviz.inference import samples

    if not samples.is_shipped(dataset):
        return
    spec = datasets.specs()[name]
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.caption(
            notice.escape(
                f"{dataset.title} ship with cnnviz ({spec.licence}); {spec.test:,} there are in all."
            ),
            width="content",
        )
        label = f"Download all, {notice.download_text(spec)}"
        if st.button(label, key="picture-prepare", type="tertiary") and notice.prepare(spec) is not None:
            st.rerun()


def _offer_predictions(network: Network, dataset: Dataset) -> None:
    st.caption(f"Which they are takes asking it about all {len(dataset.test):,} test images once.")
    if st.button("Ask it", key="picture-ask", type="primary"):
        image_input.predict_all(network, dataset)
        st.rerun()


# Uploads: read one after another with progress; refused files are listed, the others are kept.

COUNT, REFUSED = "pictures-uploads", "pictures-refused"
TOLD = 6
"""Maximum number of refusals listed; the rest is counted."""


def uploads() -> None:
    """Draw the upload field, and the refusals of the last upload."""
    count = st.session_state.setdefault(COUNT, 0)
    given = st.file_uploader(
        "Images: PNG, JPEG, WebP, BMP, GIF, TIFF, or a zip of them",
        accept_multiple_files=True,
        max_upload_size=20,
        key=f"picture-upload-{count}",
        help="They stay with you: nobody else sees them, and they are forgotten when you close the page.",
    )
    if given:
        _store_uploads([(file.name, file.getvalue()) for file in given])
        st.session_state[COUNT] += 1
        st.rerun()
    _draw_refusals(st.session_state.get(REFUSED, []))


def _store_uploads(files: list[tuple[str, bytes]]) -> None:
    from cnnviz.inference.images.read_image import from_upload

    images = [image for name, data in files for image in from_upload(name, data)]
    refused: list[str] = []
    last = None
    if len(images) > image_input.MAX_UPLOADED:
        refused.append(
            f"{len(images):,} images are many: the first {image_input.MAX_UPLOADED} are kept here."
        )
    progress_bar = st.empty()
    accepted = images[: image_input.MAX_UPLOADED]
    for index, upload in enumerate(accepted):
        progress_bar.progress(index / len(accepted), text=f"Reading {index + 1} of {len(accepted)}")
        stored = upload if isinstance(upload, Refusal) else image_input.add(upload)
        if isinstance(stored, Refusal):
            refused.append(stored.reason)
        else:
            last = last or stored
    progress_bar.empty()
    st.session_state[REFUSED] = refused
    if last is not None:
        image_input.choose(f"handed:{last.number}")


def _draw_refusals(refused: list[str]) -> None:
    if not refused:
        return
    more = [f"… and {len(refused) - TOLD} more."] if len(refused) > TOLD else []
    text = "  \n".join(notice.escape(reason) for reason in [*refused[:TOLD], *more])
    st.warning(text, icon=":material/broken_image:")


# The chooser: bundled images, test images, uploads, the camera, a drawing.

KEY = "picture-from"
SOURCES: dict[ImageSource, str] = {
    "sample": ":material/image: Bundled",
    "test": ":material/grid_view: Test images",
    "handed": ":material/upload: Yours",
    "camera": ":material/photo_camera: Camera",
    "drawn": ":material/draw: Draw",
}
PAD_KEY = "picture-pad"
CELL = 52
THUMB = 64


def pad_is_empty(image_state: ImageState) -> bool:
    """Return whether the visitor has the drawing pad open with nothing on it."""
    return _source(image_state) == "drawn" and image_input.drawn() is None


def _source(image_state: ImageState) -> ImageSource:
    """Return the image source: the visitor's choice since the URL last changed, else the URL's."""
    if KEY not in st.session_state or st.session_state.get(f"{KEY}-for") != image_state.text:
        st.session_state[KEY] = "test" if image_state.kind == "shipped" else image_state.kind
        st.session_state[f"{KEY}-for"] = image_state.text
    source: ImageSource = st.session_state[KEY]
    return source


def picture_chooser(network: Network, image_state: ImageState) -> None:
    """Draw the choice of the image source, and its images."""
    # Streamlit forgets what was chosen in a control with the same key on another page unless it is set anew.
    st.session_state[KEY] = _source(image_state)
    st.segmented_control(
        "Image from",
        list(SOURCES),
        format_func=SOURCES.__getitem__,
        key=KEY,
        required=True,
        label_visibility="collapsed",
        wrap=True,
    )
    source: ImageSource = st.session_state[KEY]
    shown: dict[ImageSource, Callable[[], None]] = {
        "sample": partial(_samples, network, image_state),
        "test": partial(images_of_data, network, image_state),
        "handed": partial(_own, image_state),
        "camera": _camera,
        "drawn": partial(_pad, image_state),
    }
    shown[source]()


def _samples(network: Network, image_state: ImageState) -> None:
    names = image_input.sample_names(network.loaded)
    cells = [
        Cell(f"{image_input.title(name)} ({image_input.credit(name)})", f"sample:{name}") for name in names
    ]
    pictures(
        _sample_sheet(tuple(names)), [Line("", cells)], key="picture-samples", name="", cell=CELL,
        strip=True, alt="Bundled images", chosen=image_state.text, on_choose=image_input.choose,
    )  # fmt: skip


@st.cache_data(max_entries=4, show_spinner=False)
def _sample_sheet(names: tuple[str, ...]) -> Sprite:
    return sprite(np.stack([_thumb(image_input.sample_image(name).pixels[..., :3]) for name in names]))


def _thumb(pixels: Pixels) -> Pixels:
    from PIL import Image, ImageOps

    return np.asarray(ImageOps.fit(Image.fromarray(pixels), (THUMB, THUMB))).transpose(2, 0, 1)


def _own(image_state: ImageState) -> None:
    mine = image_input.uploaded_images()
    if mine:
        cells = [Cell(uploaded.name, f"handed:{uploaded.number}") for uploaded in mine]
        pictures(
            sprite(image_input.sheet(mine)), [Line("", cells)], key="picture-own", alt="Your images",
            name="", cell=CELL, strip=True, chosen=image_state.text, on_choose=image_input.choose,
        )  # fmt: skip
    uploads()


def _camera() -> None:
    photo = st.camera_input("Take a photo", label_visibility="collapsed", width=320)
    if photo is not None and image_input.store_camera_image(photo.getvalue()):
        image_input.choose("camera")
        st.rerun()


def _pad(image_state: ImageState) -> None:
    drawn = drawing_pad(key=PAD_KEY)
    other = image_input.store_drawing(drawn)
    if drawn is not None and other:
        image_input.choose("drawn")
        st.rerun()
    if drawn is None and other and image_state.kind == "drawn":
        # It was cleared after the prediction above had been drawn.
        st.rerun()
