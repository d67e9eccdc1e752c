"""Image input: the image that the URL names, samples, uploads, drawings and test images.

`picture=` is `sample:NAME`, `test:ROW`, `shipped:ROW`, `handed:NUMBER`, `drawn` or `camera`. Uploads and
drawings belong to this visitor: for others their address shows what is shown without one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from cnnviz.inference.images.decoder import Pixels
from cnnviz.inference.images.read_image import Picture, Refusal
from cnnviz.inference.samples import all_samples, get
from cnnviz.ui.shared import url_state
from cnnviz.ui.shared.inspection.model_input import Network
from cnnviz.ui.shared.notice import Progress
from cnnviz.ui.shared.result_cache import RESULTS
from cnnviz.ui.shared.url_state import change_without_model

if TYPE_CHECKING:
    from cnnviz.datasets import Dataset
    from cnnviz.inference.images.read_image import Upload
    from cnnviz.inference.samples import Kind
    from cnnviz.inference.weights.loaded_model import Loaded

# URL state.

ImageSource = Literal["sample", "test", "shipped", "handed", "drawn", "camera"]
WITH_DETAIL = {
    "sample": r"[\w.-]{1,80}",
    "test": r"[0-9]{1,9}",
    "shipped": r"[0-9]{1,9}",
    "handed": r"[0-9]{1,6}",
}
"""Kinds with a detail, and its pattern."""
PLAIN = ("drawn", "camera")


@dataclass(frozen=True)
class ImageState:
    """The image that the URL names."""

    kind: ImageSource
    detail: str = ""

    @property
    def text(self) -> str:
        """The URL parameter's value."""
        return f"{self.kind}:{self.detail}" if self.detail else self.kind


def read(text: str | None) -> tuple[ImageState | None, str | None]:
    """Parse `picture=`; return the state, or None with an error sentence if it is invalid."""
    if text is None:
        return None, None
    kind, _, detail = text.partition(":")
    if kind in PLAIN and not detail:
        return ImageState(kind), None  # type: ignore[arg-type]
    if kind in WITH_DETAIL and re.fullmatch(WITH_DETAIL[kind], detail):
        return ImageState(kind, detail), None  # type: ignore[arg-type]
    forms = "sample:NAME, test:NUMBER, shipped:NUMBER, handed:NUMBER, drawn or camera"
    return None, f"“picture” cannot be {url_state.quoted(text)}; it can be {forms}."


def choose(text: str) -> None:
    """Select an image, for use in callbacks."""
    change_without_model(picture=text)


# Uploads, kept as the original files for this visitor only.

KEY = "pictures-handed"
MAX_UPLOADED = 60
"""Maximum number of images kept per visitor."""
MAX_BYTES = 200 << 20
THUMB = 96


@dataclass(frozen=True, eq=False)
class UploadedImage:
    """An uploaded image: its file, and a thumbnail uint8 `(3, THUMB, THUMB)`."""

    number: int
    name: str
    data: bytes
    thumb: Pixels


def uploaded_images() -> list[UploadedImage]:
    """Return this visitor's uploads, oldest first."""
    images: list[UploadedImage] = st.session_state.setdefault(KEY, [])
    return images


def add(upload: Upload) -> UploadedImage | Refusal:
    """Read a file and keep its image.

    The oldest are dropped beyond the limits. Return why if it is refused.
    """
    data = upload.data if isinstance(upload.data, bytes) else upload.data()
    image = decoded(upload.name, data)
    if isinstance(image, Refusal):
        return image
    all_kept = uploaded_images()
    image_kept = UploadedImage(
        1 + max((old.number for old in all_kept), default=0), upload.name, data, _thumb(image.pixels)
    )
    all_kept.append(image_kept)
    while len(all_kept) > MAX_UPLOADED or sum(len(old.data) for old in all_kept) > MAX_BYTES:
        del all_kept[0]
    return image_kept


def uploaded_image(number: int) -> Picture | None:
    """Return an upload by its number; None if this visitor has none."""
    upload = next((upload for upload in uploaded_images() if upload.number == number), None)
    image = None if upload is None else decoded(upload.name, upload.data)
    return image if isinstance(image, Picture) else None


def decoded(name: str, data: bytes) -> Picture | Refusal:
    """Decode a file, or return why it is refused."""
    return _decoded(hashlib.blake2b(data, digest_size=16).hexdigest(), name, data)


def sheet(all_kept: Sequence[UploadedImage]) -> Pixels:
    """Return the thumbnails, uint8 `(N, 3, THUMB, THUMB)`."""
    return np.stack([upload.thumb for upload in all_kept])


# A decoded image takes up to 160 MB.
@RESULTS.cached()
def _decoded(digest: str, name: str, _data: bytes) -> Picture | Refusal:
    from cnnviz.inference.images.read_image import Upload, read

    return read(Upload(name, _data))


def _thumb(pixels: Pixels) -> Pixels:
    from PIL import Image, ImageOps

    image = Image.fromarray(pixels[..., :3])
    return np.asarray(ImageOps.pad(image, (THUMB, THUMB))).transpose(2, 0, 1)


# Bundled images.


def sample_names(loaded: Loaded) -> list[str]:
    """Return the names of all bundled images, those that suit the network first."""
    first: tuple[Kind, ...] = ("digit",) if loaded.preprocessing.channels == 1 else ("photograph", "drawing")
    return sorted(all_samples(), key=lambda name: get(name).kind not in first)


def default_sample(loaded: Loaded) -> str:
    """Return the bundled image that is shown by default."""
    known = sample_names(loaded)
    default = "digit-3" if loaded.preprocessing.channels == 1 else "airplane"
    return default if default in known else known[0]


def title(name: str) -> str:
    """Return the title of a bundled image."""
    return get(name).title


def credit(name: str) -> str:
    """Return its author and license."""
    return f"{get(name).credit}, {get(name).licence}"


@cache
def sample_image(name: str) -> Picture:
    """Return a bundled image by its name, decoded as an upload is.

    Raises:
        InferenceError: There is no such image.
    """
    image = decoded(name, get(name).data())
    if not isinstance(image, Picture):
        raise RuntimeError(f"A bundled image cannot be read: {image.reason}")
    return image


# This visitor's last drawing and camera image, kept as files.

DRAWN, TAKEN = "pictures-drawn", "pictures-camera"


def drawn() -> bytes | None:
    """Return the drawing as a PNG file; None if nothing is drawn."""
    drawing: bytes | None = st.session_state.get(DRAWN)
    return drawing


def pad_cleared() -> bool:
    """Return whether this visitor has used the drawing pad, and nothing is on it."""
    return DRAWN in st.session_state and st.session_state[DRAWN] is None


def store_drawing(data: bytes | None) -> bool:
    """Store a drawing, or None; return whether it differs from the previous one."""
    changed: bool = data != st.session_state.get(DRAWN)
    st.session_state[DRAWN] = data
    return changed


def camera_image() -> bytes | None:
    """Return the camera's image as a file."""
    photo: bytes | None = st.session_state.get(TAKEN)
    return photo


def store_camera_image(data: bytes) -> bool:
    """Store the camera's image; return whether it differs from the previous one."""
    changed: bool = data != st.session_state.get(TAKEN)
    st.session_state[TAKEN] = data
    return changed


# Test images of the data set that a network was trained on, and the network's predictions for them.

Rows = NDArray[np.int64]


def data_of(network: Network) -> Dataset | None:
    """Return the data set that the network was trained on if it is prepared; nothing is prepared here.

    If it is not, return the test images that ship with cnnviz; None if none do.
    """
    from cnnviz import datasets
    from cnnviz.inference import samples

    name = network.loaded.dataset
    if not name:
        return None
    try:
        return datasets.prepared(name) or samples.test_images(name)
    except (ValueError, OSError):
        return samples.test_images(name)


def address_of(data: Dataset, row: int) -> str:
    """Return the URL value of a test image; rows of the shipped images differ from those of the whole set."""
    from cnnviz.inference import samples

    return f"{'shipped' if samples.is_shipped(data) else 'test'}:{row}"


def chosen_row(data: Dataset) -> int | None:
    """Return the row of the test image that the URL names; None if it names another image."""
    which, _ = read(st.query_params.get("picture"))
    if which is None or which.text != address_of(data, int(which.detail) if which.detail.isdigit() else 0):
        return None
    return int(which.detail)


def of_class(data: Dataset, label: int | None) -> Rows:
    """Return the rows of one class, or of all classes for None, ascending."""
    labels = data.test.labels
    return np.arange(len(labels)) if label is None else np.flatnonzero(labels == label)


def known_predictions(network: Network, data: Dataset) -> Rows | None:
    """Return the network's prediction for every test image; None if not computed yet."""
    answers: dict[str, Rows] = _predictions()
    return answers.get(f"{network.stamp} {data.fingerprint}")


def predict_all(network: Network, data: Dataset) -> None:
    """Predict every test image, with progress, and keep the predictions for all visitors."""
    import torch

    from cnnviz import datasets
    from cnnviz.inference.predict import BATCH, probabilities

    preprocessing, progress = network.loaded.preprocessing, Progress()
    answers: list[Rows] = []
    count = 0
    for images, _ in data.test.iter_batches(BATCH):
        progress(datasets.Step("asking", count, len(data.test)))
        pixels = datasets.convert_images(
            torch.from_numpy(np.array(images)), (preprocessing.channels, *preprocessing.stored)
        )
        answers.append(probabilities(network.loaded.model, preprocessing, pixels).argmax(1).numpy())
        count += len(images)
    progress.clear()
    _predictions()[f"{network.stamp} {data.fingerprint}"] = np.concatenate(answers)


@st.cache_resource(show_spinner=False)
def _predictions() -> dict[str, Rows]:
    return {}


# The selected image, or a fallback with the reason.

PAD = (280, 280)
"""Height and width of the drawing pad."""


def chosen(network: Network) -> tuple[ImageState, Picture, list[str]]:
    """Return the image that the URL names, and error sentences where another one is shown instead."""
    image_state, wrong = read(st.query_params.get("picture"))
    problems = [wrong] if wrong else []
    if image_state is not None:
        image = _picture(image_state, network)
        if isinstance(image, Picture):
            return image_state, image, problems
        problems.append(f"{image} A bundled image is shown instead.")
    name = default_sample(network.loaded)
    return ImageState("sample", name), sample_image(name), problems


def _picture(image_state: ImageState, network: Network) -> Picture | str:
    """Return the image, or a sentence on why there is none."""
    if image_state.kind == "sample":
        known = image_state.detail in sample_names(network.loaded)
        return (
            sample_image(image_state.detail) if known else f"There is no bundled image {image_state.detail}."
        )
    if image_state.kind in ("test", "shipped"):
        return _of_test(image_state, network)
    if image_state.kind == "handed":
        return uploaded_image(int(image_state.detail)) or (
            "That image was handed in by somebody else, or too long ago; it is not kept."
        )
    if image_state.kind == "drawn" and pad_cleared():
        return Picture("empty pad", np.zeros((*PAD, 3), np.uint8), mode="L")
    data = drawn() if image_state.kind == "drawn" else camera_image()
    if data is None:
        return "Nothing has been drawn yet." if image_state.kind == "drawn" else "No image was taken yet."
    image = decoded("drawing" if image_state.kind == "drawn" else "camera", data)
    return image.reason if isinstance(image, Refusal) else image


def _of_test(image_state: ImageState, network: Network) -> Picture | str:
    from cnnviz.inference import samples

    row = int(image_state.detail)
    data = samples.test_images(network.loaded.dataset) if image_state.kind == "shipped" else data_of(network)
    if data is None or (image_state.kind == "test" and samples.is_shipped(data)):
        return "The test images of this network's data are not prepared on this machine."
    if row >= len(data.test):
        return f"There are {len(data.test):,} test images; there is none with the number {row:,}."
    image = data.test.pixels(np.array([row]))[0]
    label = data.classes[int(data.test.labels[row])]
    return Picture.of_data(f"test image {row:,}", np.asarray(image), label)
