"""Prediction of many images: batches that fit in memory, results in upload order; latency and peak memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain, islice, repeat
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cnnviz.datasets import Progress, Step
from cnnviz.datasets.encoded_store import in_order
from cnnviz.datasets.spec import silent
from cnnviz.inference import ClassProbability
from cnnviz.inference.images.decoder import Pixels
from cnnviz.inference.images.preprocessing import Preprocessing
from cnnviz.inference.images.preprocessing_trace import Hint, hints_of, stored_pixels
from cnnviz.inference.images.read_image import Picture, Refusal, Upload, read_all
from cnnviz.inference.weights.loaded_model import Loaded
from cnnviz.training.data import Labelled, split

# Probabilities of a batch of images.

BATCH = 256


def probabilities(model: nn.Module, preprocessing: Preprocessing, images: Tensor) -> Tensor:
    """Compute the softmax probabilities of uint8 images `(N, C, H, W)` as returned by `stored`.

    With ten crops, their probabilities are averaged (Krizhevsky et al., 2012). The model must be in
    evaluation mode.

    Returns:
        Probabilities, float `(N, classes)`.
    """
    with torch.no_grad():
        probs: Tensor = model(preprocessing.inputs(images)).float().softmax(1)
    return probs.reshape(-1, len(images), probs.shape[1]).mean(0)


def logit_lead(logits: Tensor, target: int) -> Tensor:
    """Compute the logit of `target` minus the largest other logit, of logits `(N, classes)`: `(N,)`.

    Negative where another class is predicted. Unlike a probability it does not saturate: each decrease by 1
    divides the odds against the next class by e.
    """
    others = logits.clone()
    others[:, target] = -torch.inf
    return logits[:, target] - others.amax(1)


def accuracy(model: nn.Module, preprocessing: Preprocessing, part: Labelled) -> float:
    """Compute the fraction of correct predictions of `part`, whose images are stored as by `stored`."""
    predicted = [
        probabilities(model, preprocessing, images).argmax(1) for images in split(part.images, BATCH)
    ]
    return float((torch.cat(predicted) == part.labels).double().mean())


# Peak memory of a forward pass, counted tensor by tensor while it runs, without hooks.


class Live(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Context that records in `peak` the most bytes of new tensors alive at once; weights are not counted."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        known = (*model.parameters(), *model.buffers())
        self._known = {tensor.untyped_storage()._cdata for tensor in known}
        self._living: dict[int, tuple[StorageWeakRef, int]] = {}
        self.peak = 0

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run an operation and count the storages that are alive afterwards."""
        output = func(*args, **(kwargs or {}))
        for value in tree_leaves(output):
            if isinstance(value, Tensor):
                storage = value.untyped_storage()
                if storage._cdata not in self._known:
                    self._living[storage._cdata] = (_weak(storage), storage.nbytes())
        self._living = {key: entry for key, entry in self._living.items() if not _gone(entry[0])}
        self.peak = max(self.peak, sum(size for _, size in self._living.values()))
        return output


def peak_bytes(model: nn.Module, images: Tensor) -> int:
    """Measure the peak bytes of a forward pass besides the weights, including the images."""
    with torch.no_grad(), Live(model) as live:
        model(images)
        peak: int = live.peak
    return peak + images.nbytes


def _weak(storage: torch.UntypedStorage) -> StorageWeakRef:
    return StorageWeakRef(storage)  # type: ignore[no-untyped-call]


def _gone(reference: StorageWeakRef) -> bool:
    return bool(reference.expired())  # type: ignore[no-untyped-call]


TOP = 5
WORKING = 64 << 20
"""Maximum bytes of the tensors of one batch.

For VGG-16 that is two images, some 31 billion multiply-adds, which take about a second on one core. A CPU
gains nothing from more.
"""
LARGEST = 64
"""Maximum batch size: larger batches gain nothing on a CPU, and progress would be less smooth."""
STRETCHES = (8, 16, 32)
"""Numbers of images between progress reports: few at first, so that the first results appear soon."""
BLOCK, BLOCK_BYTES = 8, 8 << 20
"""Images, and bytes of their pixels, handed from thread to thread at once: each time costs some 0.3 ms."""
TOLERANCE = 1e-4
"""Tolerance of a probability across batches: 32-bit sums in another order.

The largest difference observed on the CPU is 2e-6; the predicted class differs only where two are that close.
"""


@dataclass(frozen=True, eq=False)
class Prediction:
    """Prediction of a model for one image."""

    name: str
    """Name of the image."""
    top: tuple[ClassProbability, ...]
    """Most likely classes, in descending order."""
    probabilities: NDArray[np.float32] = field(repr=False)
    """Probabilities of all classes, `(classes,)`, which sum to 1."""
    truth: str | None = None
    """True class as given by the files."""
    hints: tuple[Hint, ...] = ()
    """Differences from the training images."""


Result = Prediction | Refusal
Item = Picture | Upload | Refusal
"""Image, file that is read on demand, or file that was already refused."""


class _Prepared(NamedTuple):
    """Prepared image, waiting for its batch to be complete."""

    name: str
    truth: str | None
    image: Pixels
    hints: tuple[Hint, ...]


class Predictor:
    """Predictor of one model; immutable, so it can be shared."""

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded
        self.batch = batch_size(loaded)
        self._centered = loaded.trained and loaded.centered

    def predict(
        self,
        pictures: Iterable[Item],
        top: int = TOP,
        progress: Progress = silent,
        cancelled: Callable[[], bool] = lambda: False,
        total: int | None = None,
        sizes: Iterator[int] | None = None,
    ) -> list[Result]:
        """Predict images, one result per image and in their order.

        Args:
            pictures: Images, files or refusals; consumed one batch at a time, so that there may be any
                number.
            top: Number of classes in a result.
            progress: Called after each batch.
            cancelled: Called before each batch; if true, the results so far are returned.
            total: Number of images, for the progress, where `pictures` has no length.
            sizes: Batch sizes, in order; `sizes()` by default.

        Returns:
            A prediction or refusal for each image.
        """
        if total is None and isinstance(pictures, list | tuple):
            total = len(pictures)
        sizes = sizes or self.sizes()
        results: list[Result] = []

        def prepare(block: list[Item]) -> list[_Prepared | Refusal]:
            return [self._prepared(image) for image in read_all(block) if not cancelled()]

        # The next images are decoded and resized while the model computes.
        with closing(in_order(prepare, _blocks(pictures), threads=1)) as blocks:
            prepared = chain.from_iterable(blocks)
            while not cancelled() and (part := list(islice(prepared, next(sizes)))):
                results += self._part(part, top)
                progress(Step("predicting", len(results), total, "pictures"))
        return results

    def sizes(self) -> Iterator[int]:
        """Yield the batch sizes: those of `stretches`, split where the model's batches are smaller."""
        for stretch in stretches():
            full, remainder = divmod(stretch, self.batch)
            yield from repeat(self.batch, full)
            if remainder:
                yield remainder

    def _part(self, part: list[_Prepared | Refusal], top: int) -> Iterator[Result]:
        probabilities_by_image = iter(
            self._shares([item.image for item in part if isinstance(item, _Prepared)])
        )
        for item in part:
            yield item if isinstance(item, Refusal) else self._answer(item, next(probabilities_by_image), top)

    def _prepared(self, picture: Picture | Refusal) -> _Prepared | Refusal:
        if isinstance(picture, Refusal):
            return picture
        preprocessing = self.loaded.preprocessing
        image = stored_pixels(picture, preprocessing)
        # Hints compare with the training images, so an untrained model has none.
        hints = hints_of(image, picture.size, preprocessing, self._centered) if self.loaded.trained else ()
        return _Prepared(picture.name, picture.truth, image, hints)

    def _shares(self, images: list[Pixels]) -> NDArray[np.float32]:
        if not images:
            return np.empty((0, len(self.loaded.classes)), np.float32)
        pixels = torch.from_numpy(np.stack(images))
        return probabilities(self.loaded.model, self.loaded.preprocessing, pixels).numpy()

    def _answer(self, item: _Prepared, probs: NDArray[np.float32], top: int) -> Result:
        if not np.isfinite(probs).all():
            reason = f"{self.loaded.name} answers '{item.name}' with no finite numbers; train it anew."
            return Refusal(item.name, reason, item.truth)
        order = np.argsort(-probs, kind="stable")[:top]
        top_classes = tuple(ClassProbability(self.loaded.classes[i], float(probs[i])) for i in order)
        return Prediction(item.name, top_classes, probs, item.truth, item.hints)


def _blocks(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Split into blocks of `BLOCK` items, or of fewer with `BLOCK_BYTES` of pixels."""
    block: list[Item] = []
    for item in items:
        block.append(item)
        size = sum(picture.pixels.nbytes for picture in block if isinstance(picture, Picture))
        if len(block) == BLOCK or size >= BLOCK_BYTES:
            yield block
            block = []
    if block:
        yield block


def stretches() -> Iterator[int]:
    """Yield the number of images between two progress reports, without end."""
    return chain(STRETCHES, repeat(LARGEST))


def batch_size(loaded: Loaded, working: int = WORKING) -> int:
    """Compute the batch size for which the tensors of a forward pass stay within `working` bytes."""
    preprocessing = loaded.preprocessing
    views = 10 if preprocessing.ten_crop else 1
    single = torch.zeros(1, *loaded.input_shape)
    return int(np.clip(working // (views * max(1, peak_bytes(loaded.model, single))), 1, LARGEST))


# Cost of a prediction on this machine: latency and memory.

REPEATS = 5
ENOUGH = 2.0
"""Seconds after which no further repetition is started."""


@dataclass(frozen=True)
class Cost:
    """Cost measured on this machine, under its current load, in evaluation mode on the CPU."""

    seconds: float
    """Median duration of a forward pass of one image."""
    seconds_in_batch: float
    """Median duration of a forward pass of `batch` images, per image."""
    batch: int
    weight_bytes: int
    """Bytes of parameters and buffers."""
    working_bytes: int
    """Peak bytes of the tensors of a forward pass of one image, besides the weights."""


def measure(loaded: Loaded) -> Cost:
    """Measure the cost of forward passes on zeros: it does not depend on the image."""
    single = torch.zeros(1, *loaded.input_shape)
    batch = batch_size(loaded)
    return Cost(
        seconds=_seconds(loaded, single),
        seconds_in_batch=_seconds(loaded, single.expand(batch, -1, -1, -1).contiguous()) / batch,
        batch=batch,
        weight_bytes=sum(t.nbytes for t in (*loaded.model.parameters(), *loaded.model.buffers())),
        working_bytes=peak_bytes(loaded.model, single),
    )


def _seconds(loaded: Loaded, images: torch.Tensor) -> float:
    durations: list[float] = []
    with torch.no_grad():
        loaded.model(images)
        while len(durations) < REPEATS and sum(durations) < ENOUGH:
            start = time.perf_counter()
            loaded.model(images)
            durations.append(time.perf_counter() - start)
    return median(durations)
