"""Predict many images: batches that fit in memory, predictions in upload order; latency and peak memory."""

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
from cnnviz.datasets.decode import in_order
from cnnviz.datasets.spec import silent
from cnnviz.inference import ClassProbability
from cnnviz.inference.images.checks import Hint, hints_of
from cnnviz.inference.images.preprocessing import Preprocessing
from cnnviz.inference.images.preprocessing_trace import stored
from cnnviz.inference.images.read_image import Picture, Pixels, Refusal, Upload, read
from cnnviz.inference.weights.loaded_model import Loaded
from cnnviz.training.data.tensors import Labelled, split

# A model's answers to a batch of images.

BATCH = 256


def probabilities(model: nn.Module, preprocessing: Preprocessing, images: Tensor) -> Tensor:
    """Softmax of the logits of uint8 images `(N, C, H, W)` that `steps.stored` gave: float `(N, classes)`.

    Where `how` takes ten crops, their probabilities are averaged (Krizhevsky et al., 2012). The model is in
    evaluation mode.
    """
    with torch.no_grad():
        probs: Tensor = model(preprocessing.inputs(images)).float().softmax(1)
    return probs.reshape(-1, len(images), probs.shape[1]).mean(0)


def logit_lead(logits: Tensor, target: int) -> Tensor:
    """The logit of `target` minus the largest other one, of logits `(N, classes)`: `(N,)`.

    Below 0 another class is the answer. Unlike a probability it does not saturate: each 1 less divides the
    odds against the next class by e.
    """
    others = logits.clone()
    others[:, target] = -torch.inf
    return logits[:, target] - others.amax(1)


def accuracy(model: nn.Module, preprocessing: Preprocessing, part: Labelled) -> float:
    """The share of `part`, whose images are as `steps.stored` gives them, that is answered rightly."""
    predicted = [probabilities(model, preprocessing, images).argmax(1) for images in split(part.images, BATCH)]
    return float((torch.cat(predicted) == part.labels).double().mean())


# How much memory a forward takes, counted tensor by tensor while it runs; no hooks.


class Live(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Inside, `peak` is the most bytes of new tensors that lived at once; weights are not counted."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        known = (*model.parameters(), *model.buffers())
        self._known = {tensor.untyped_storage()._cdata for tensor in known}
        self._living: dict[int, tuple[StorageWeakRef, int]] = {}
        self.peak = 0

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run an operation and count what it leaves."""
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
    """The most bytes that a forward of `images` holds at once beside the weights, the images included."""
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
"""Bytes that the tensors of one batch may take at once: of VGG-16 those of two pictures, some 31 billion
multiply-adds, which take a second or so of a core. A CPU gains nothing by more."""
LARGEST = 64
"""Images in a batch at most: more gain nothing on a CPU, and progress would stutter."""
STRETCHES = (8, 16, 32)
"""Pictures that are answered before anything is told: few at first, so that one soon sees some."""
TOLERANCE = 1e-4
"""How far a probability may move with what else is in its batch: sums of 32 bits in another order.

On the CPU 2e-6 was the most that was seen; the likeliest class is another only where two are that close.
"""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says to one picture."""

    name: str
    """The picture's."""
    top: tuple[ClassProbability, ...]
    """The likeliest classes, likeliest first."""
    probabilities: NDArray[np.float32] = field(repr=False)
    """Of all classes, `(classes,)`; they add up to 1."""
    truth: str | None = None
    """The true class as the files named it."""
    hints: tuple[Hint, ...] = ()
    """What is unlike the training images about it."""


Result = Prediction | Refusal
Item = Picture | Upload | Refusal
"""A picture, a file that is read when its turn comes, or what was refused already."""


class _Prepared(NamedTuple):
    """All that is kept of a picture until its batch is full."""

    name: str
    truth: str | None
    image: Pixels
    hints: tuple[Hint, ...]


class Predictor:
    """Asks one model; it may be shared, since nothing in it changes."""

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
        """The answers to `pictures`, one each and in their order.

        Args:
            pictures: Pictures, files, refusals; taken a batch at a time, so that any number may come.
            top: How many classes an answer names.
            progress: Told after each batch.
            cancelled: Asked before each batch; then what is done so far is returned.
            total: How many there will be, for the progress, where that is not plain from `pictures`.
            sizes: How many go together, one batch after another; `sizes()` by default.
        """
        if total is None and isinstance(pictures, list | tuple):
            total = len(pictures)
        sizes = sizes or self.sizes()
        results: list[Result] = []
        # The next pictures are decoded and resized while the model is at work.
        with closing(in_order(self._prepared, pictures, threads=1)) as prepared:
            while not cancelled() and (part := list(islice(prepared, next(sizes)))):
                results += self._part(part, top)
                progress(Step("predicting", len(results), total, "pictures"))
        return results

    def sizes(self) -> Iterator[int]:
        """Of the batches: each of the stretches, cut where the model takes fewer at once."""
        for stretch in stretches():
            full, remainder = divmod(stretch, self.batch)
            yield from repeat(self.batch, full)
            if remainder:
                yield remainder

    def _part(self, part: list[_Prepared | Refusal], top: int) -> Iterator[Result]:
        probabilities_by_image = iter(self._shares([item.image for item in part if isinstance(item, _Prepared)]))
        for item in part:
            yield item if isinstance(item, Refusal) else self._answer(item, next(probabilities_by_image), top)

    def _prepared(self, item: Item) -> _Prepared | Refusal:
        picture = read(item) if isinstance(item, Upload) else item
        if isinstance(picture, Refusal):
            return picture
        preprocessing = self.loaded.preprocessing
        image = stored(picture, preprocessing)
        # Where nothing was learned, no picture is unlike what was.
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


def stretches() -> Iterator[int]:
    """How many pictures are answered together before the next are begun, without end."""
    return chain(STRETCHES, repeat(LARGEST))


def batch_size(loaded: Loaded, working: int = WORKING) -> int:
    """How many images a forward takes at once, so that its tensors stay within `working` bytes."""
    preprocessing = loaded.preprocessing
    views = 10 if preprocessing.ten_crop else 1
    single = torch.zeros(1, *loaded.input_shape)
    return int(np.clip(working // (views * max(1, peak_bytes(loaded.model, single))), 1, LARGEST))


# What asking a model costs here: time a picture, and memory.

REPEATS = 5
ENOUGH = 2.0
"""Seconds after which fewer repeats must do."""


@dataclass(frozen=True)
class Cost:
    """Measured on this machine, as busy as it is, in evaluation mode on the CPU."""

    seconds: float
    """Median of a forward of one picture."""
    seconds_in_batch: float
    """Median of a forward of `batch` pictures, for each of them."""
    batch: int
    weight_bytes: int
    """Parameters and buffers."""
    working_bytes: int
    """The most that the tensors of a forward of one picture take at once beside the weights, counted."""


def measure(loaded: Loaded) -> Cost:
    """Ask the model a few times about nothing: its arithmetic does not depend on the picture."""
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
