"""State of the Predict page: its URL (compared networks, order, page), the uploads, their prediction job."""

from __future__ import annotations

import re
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from itertools import islice, repeat
from typing import TYPE_CHECKING, Literal

import numpy as np
import streamlit as st

from cnnviz.datasets.spec import Progress, Step
from cnnviz.inference.images.decoder import Pixels
from cnnviz.inference.images.read_image import Picture, Refusal
from cnnviz.ui.shared import url_state
from cnnviz.ui.shared.background_job import BackgroundJob
from cnnviz.ui.shared.inspection import model_input
from cnnviz.ui.shared.inspection.model_input import Network
from cnnviz.ui.shared.url_state import change_without_model, quoted

if TYPE_CHECKING:
    from cnnviz.inference.images.read_image import Upload
    from cnnviz.inference.predict import Cost, Predictor, Result


MAX_NETWORKS = 4
"""Maximum number of networks side by side."""
ORDERS = {
    "unsure": "least sure first",
    "mistakes": "worst mistakes first",
    "disagreement": "disagreements first",
    "file": "upload order",
}
DEFAULT_ORDER = "unsure"
SEPARATOR = ","


@dataclass(frozen=True)
class PageState:
    """URL state of the page."""

    networks: tuple[Network, ...]
    """One to four networks, the page's own first."""
    order: str
    page: int
    problems: tuple[str, ...]


def current(first: Network) -> PageState:
    """Read the state from the page's URL; invalid parameters become problems."""
    problems: list[str] = []
    others = _others(st.query_params.get("against", ""), first, problems)
    order, wrong = url_state.choice("order", tuple(ORDERS), DEFAULT_ORDER)
    problems += [wrong] if wrong else []
    if page() is None:
        problems.append(f"“page” cannot be {quoted(st.query_params['page'])}, only a whole number from 1 on.")
    return PageState((first, *others), order, page() or 1, tuple(problems))


def page() -> int | None:
    """Return the page of the list; None if the URL's is invalid."""
    text = st.query_params.get("page", "1")
    return int(text) if re.fullmatch(r"[1-9][0-9]{0,4}", text) else None


def written(references: list[str]) -> str | None:
    """Format the compared networks for the URL; None if there are none."""
    return SEPARATOR.join(references) or None


def _others(text: str, first: Network, problems: list[str]) -> list[Network]:
    references = [part for part in dict.fromkeys(text.split(SEPARATOR)) if part and part != first.reference]
    if len(references) >= MAX_NETWORKS:
        problems.append(f"At most {MAX_NETWORKS} networks stand side by side; the first of them are shown.")
    networks = []
    for reference in references[: MAX_NETWORKS - 1]:
        network = model_input.model_to_compare(reference)
        if network is None:
            problems.append(f"There are no weights {quoted(reference)} to put beside.")
        else:
            networks.append(network)
    return networks


# Job: a background thread that predicts a visitor's images with one to four networks.

CHUNK_BYTES = 96 << 20
"""Maximum bytes of decoded images held at a time."""
THUMB = 64


@dataclass(frozen=True)
class Seen:
    """An uploaded image with a thumbnail uint8 `(THUMB, THUMB, 3)`; None if it was refused."""

    file: Upload | Refusal
    thumb: Pixels | None


class Job(BackgroundJob[None]):
    """Background prediction job. Its results so far can be read at any time from any thread.

    They are kept.
    """

    def __init__(self, files: Sequence[Upload | Refusal], networks: Sequence[Network]) -> None:
        self.files = files
        self.networks = tuple(networks)
        self.results: dict[str, list[Result]] = {network.reference: [] for network in networks}
        """Results by network reference, in the order of the files."""
        self._answered = dict.fromkeys(self.results, 0)
        self.seconds = dict.fromkeys(self.results, 0.0)
        """Seconds spent on each network so far."""
        self.costs: dict[str, Cost] = {}
        self.seen: list[Seen] = []
        self.began = time.monotonic()
        super().__init__(self._work, Step("answering", 0, len(files)), "predict")

    @property
    def total(self) -> int:
        """Number of files."""
        return len(self.files)

    @property
    def done(self) -> int:
        """Number of files that every network has predicted."""
        return min(len(answers) for answers in self.results.values())

    @property
    def progress(self) -> float:
        """Number of predicted files, including the chunk in progress; the mean over networks."""
        return sum(self._answered.values()) / len(self._answered)

    @property
    def cancelled(self) -> bool:
        """Whether it was canceled, even if it has not ended yet."""
        return self._cancelled.is_set()

    @property
    def failed(self) -> str:
        """Why it ended early, in a sentence; empty if it was canceled or did not fail."""
        return "" if self.error is None else str(self.error) or type(self.error).__name__

    def is_for(self, files: object, networks: Sequence[Network]) -> bool:
        """Return whether it is on these very files and networks."""
        mine = [network.stamp for network in self.networks]
        return self.files is files and mine == [network.stamp for network in networks]

    def _work(self, _: Progress) -> None:
        self._ask()
        self._measure()

    def _ask(self) -> None:
        from cnnviz.inference.predict import Predictor

        predictors = {network.reference: Predictor(network.loaded) for network in self.networks}
        with closing(self._read()) as read:
            for part in _chunks(read):
                answers = {
                    name: self._answers(name, predictor, part) for name, predictor in predictors.items()
                }
                if self.cancelled:  # the part may be incomplete
                    return
                self.seen += [seen for seen, _ in part]
                for name, results in answers.items():
                    self.results[name] += results

    def _answers(self, name: str, predictor: Predictor, part: list[_Read]) -> list[Result]:
        start, before = time.perf_counter(), self._answered[name]
        pictures = [picture for _, picture in part]
        batches = repeat(predictor.batch)

        def report(step: Step) -> None:
            self._answered[name] = before + step.done

        results = predictor.predict(
            pictures, progress=report, cancelled=self._cancelled.is_set, sizes=batches
        )
        self.seconds[name] += time.perf_counter() - start
        return results

    def _measure(self) -> None:
        from cnnviz.inference.predict import measure

        for network in self.networks:
            if not self.cancelled:
                self.costs[network.reference] = measure(network.loaded)

    def _read(self) -> Generator[_Read, None, None]:
        from cnnviz.datasets.encoded_store import in_order
        from cnnviz.inference.images.read_image import read_all

        images = read_all(self.files)  # several are decoded at a time; one thread takes them in order
        return in_order(lambda file: _with_thumb(file, next(images)), self.files, threads=1)


_Read = tuple[Seen, "Picture | Refusal"]


def _with_thumb(file: Upload | Refusal, image: Picture | Refusal) -> _Read:
    thumb = None if isinstance(image, Refusal) else _thumb(image.pixels)
    return Seen(file, thumb), image


def _chunks(read: Iterable[_Read]) -> Iterator[list[_Read]]:
    """Split into chunks as long as the predictor's stretches, with about `CHUNK_BYTES` of pixels at most."""
    from cnnviz.inference.predict import stretches

    waiting, lengths = iter(read), stretches()
    while part := list(islice(waiting, 1)):
        most, size = next(lengths), _size(part[0])
        while len(part) < most and size < CHUNK_BYTES and (more := list(islice(waiting, 1))):
            part += more
            size += _size(more[0])
        yield part


def _size(result: _Read) -> int:
    return result[1].pixels.nbytes if isinstance(result[1], Picture) else 0


def _thumb(pixels: Pixels) -> Pixels:
    from PIL import Image, ImageOps

    image = Image.fromarray(np.ascontiguousarray(pixels[..., :3]))
    return np.asarray(ImageOps.pad(image, (THUMB, THUMB)))


# The images: this visitor's uploads, or the bundled ones.

if TYPE_CHECKING:
    from cnnviz.inference.images.read_image import Refusal, Upload

    Files = Sequence[Upload | Refusal]

KEY, COUNT, HOW = "predict-files", "predict-uploads", "predict-how"
MAX_IMAGES = 5_000
"""Maximum number of images at a time."""
WAYS = {"files": "Images or zips", "folder": "A folder"}


def chosen() -> Files:
    """Return the files; the same object until others are uploaded."""
    files: Files = st.session_state.get(KEY) or _bundled()
    return files


def bundled() -> bool:
    """Return whether nothing was uploaded."""
    return not st.session_state.get(KEY)


def upload() -> None:
    """Draw the upload field."""
    count = st.session_state.setdefault(COUNT, 0)
    with st.container(horizontal=True, gap="medium", vertical_alignment="center", key="predict-upload-bar"):
        st.segmented_control(
            "Hand in", list(WAYS), format_func=WAYS.__getitem__, key=HOW, default="files", required=True,
            label_visibility="collapsed",
        )  # fmt: skip
        folder = st.session_state[HOW] == "folder"
        many: Literal["directory"] | bool = "directory" if folder else True
        given = st.file_uploader(
            "Images",
            accept_multiple_files=many,
            key=f"predict-upload-{count}-{'folder' if folder else 'files'}",
            max_upload_size=500,
            label_visibility="collapsed",
            width=420,
        )
        st.caption(
            "PNG, JPEG, WebP, BMP, GIF, TIFF, or zips of them; they stay yours alone. One folder a class "
            "gives the true classes.",
            width="stretch",
        )
    if isinstance(given, list) and given:
        _store_uploads([(file.name, file.getvalue()) for file in given], folder=folder)
        st.rerun()
    if not bundled():
        st.button("Back to the bundled images", type="tertiary", icon=":material/undo:", on_click=_clear)


def collect_files(files: Sequence[tuple[str, bytes]], *, folder: bool) -> tuple[list[Upload | Refusal], int]:
    """Return single files, at most `MAX_IMAGES`, and how many there were."""
    from cnnviz.inference.images.read_image import from_upload, from_uploaded_folder

    if folder:
        images = from_uploaded_folder(dict(files))
    else:
        images = [image for name, data in files for image in from_upload(name, data)]
    return images[:MAX_IMAGES], len(images)


def _store_uploads(files: Sequence[tuple[str, bytes]], *, folder: bool) -> None:
    from cnnviz.ui.shared import notice

    images, count = collect_files(files, folder=folder)
    if count > MAX_IMAGES:
        notice.defer(f"{count:,} images are many: the first {MAX_IMAGES:,} are asked about.")
    st.session_state[KEY] = images
    st.session_state[COUNT] += 1
    change_without_model(page=None)


def _clear() -> None:
    st.session_state.pop(KEY, None)
    change_without_model(page=None)


@cache
def _bundled() -> Files:
    from cnnviz.inference.samples import all_samples

    return tuple(sample.upload() for sample in all_samples().values())
