"""Evaluation: predictions compared with true classes, and a checkpoint's predictions for all test images.

The true classes are those that came with uploaded files; the result is exported as JSON and CSV. Predictions
for the test images are computed once and stored beside the checkpoint.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from cnnviz.datasets.spec import Progress, Step, silent
from cnnviz.formats import csv_text
from cnnviz.formats.headers import HeaderError, header_length
from cnnviz.inference import InferenceError
from cnnviz.inference.images.read_image import Refusal
from cnnviz.inference.predict import Prediction, Result

if TYPE_CHECKING:
    from cnnviz.datasets import Dataset
    from cnnviz.inference.weights.loaded_model import Loaded
    from cnnviz.tracking import Database


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Accuracy and confusion matrix of a model on images with known classes."""

    classes: tuple[str, ...]
    confusion: NDArray[np.int64]
    """Confusion matrix `(classes, classes)`: rows are true classes, columns predicted ones."""
    right: int
    counted: int
    """Number of images whose true class the model has."""
    mistakes: tuple[Prediction, ...]
    """Wrong predictions, most confident first."""
    unknown: tuple[str, ...]
    """True classes that the model does not have; their images are not counted."""

    @property
    def accuracy(self) -> float | None:
        """Fraction of correct predictions, in [0, 1]; None where nothing was counted."""
        return self.right / self.counted if self.counted else None

    @property
    def by_class(self) -> NDArray[np.float64]:
        """Accuracy of each class, `(classes,)`; NaN for a class without images."""
        counts = self.confusion.sum(1)
        with np.errstate(invalid="ignore"):
            return np.where(counts > 0, self.confusion.diagonal() / np.maximum(counts, 1), np.nan)


def evaluate(results: Iterable[Result], classes: tuple[str, ...]) -> Evaluation:
    """Evaluate a model's predictions; refusals and files without a class are skipped.

    A true class is matched by its name, ignoring case, `_`, `-` and spaces, or else by its index.
    """
    index_of = _numbers(classes)
    confusion = np.zeros((len(classes), len(classes)), np.int64)
    mistakes: list[Prediction] = []
    unknown: set[str] = set()
    for result in results:
        if not isinstance(result, Prediction) or result.truth is None:
            continue
        truth, predicted = index_of.get(plain(result.truth)), int(result.probabilities.argmax())
        if truth is None:
            unknown.add(result.truth)
            continue
        confusion[truth, predicted] += 1
        if predicted != truth:
            mistakes.append(result)
    mistakes.sort(key=lambda mistake: -float(mistake.probabilities.max()))
    return Evaluation(
        classes, confusion, int(confusion.trace()), int(confusion.sum()), tuple(mistakes),
        tuple(sorted(unknown)),
    )  # fmt: skip


def correctness(results: Iterable[Result], classes: tuple[str, ...]) -> list[bool | None]:
    """Return whether each prediction is correct; None where it is not counted by `evaluate`."""
    index_of = _numbers(classes)
    correct: list[bool | None] = []
    for result in results:
        truth = index_of.get(plain(result.truth)) if result.truth is not None else None
        known = truth is not None and isinstance(result, Prediction)
        correct.append(int(result.probabilities.argmax()) == truth if known else None)  # type: ignore[union-attr]
    return correct


def _numbers(classes: tuple[str, ...]) -> dict[str, int]:
    by_number = {str(index): index for index in range(len(classes))}
    return by_number | {plain(name): index for index, name in enumerate(classes)}


def plain(name: str) -> str:
    """Normalize a class name for comparison: case, `_`, `-` and spaces are ignored."""
    return " ".join(name.replace("_", " ").replace("-", " ").casefold().split())


# Export of predictions: the JSON of `cnnviz predict --json`, and CSV. No torch import.


def entry(result: Result) -> dict[str, Any]:
    """Convert a result to `{file, predictions: [{class, probability}]}`, or to `{file, error}`.

    Where the image is unlike the training images, `hints: [{kind, text, change}]` is added; `change` is a
    field of the preprocessing, or empty.
    """
    if isinstance(result, Refusal):
        return {"file": result.name, "error": result.reason}
    predictions = [
        {"class": prediction.name, "probability": prediction.probability} for prediction in result.top
    ]
    hints = {"hints": [hint._asdict() for hint in result.hints]} if result.hints else {}
    return {"file": result.name, "predictions": predictions, **hints}


def as_json(results: Sequence[Result]) -> bytes:
    """Serialize the results of one model as JSON, a list of what `entry` returns."""
    return orjson.dumps([entry(result) for result in results], option=orjson.OPT_INDENT_2)


def many_as_json(results: Mapping[str, Sequence[Result]]) -> bytes:
    """Serialize the results of several models as JSON, by name: `{name: [entry, …]}`."""
    named = {name: [entry(result) for result in predictions] for name, predictions in results.items()}
    return orjson.dumps(named, option=orjson.OPT_INDENT_2)


def as_csv(results: Mapping[str, Sequence[Result]]) -> str:
    """Format one line per image, model and class: file, true class, model, rank, class, probability, error.

    An image that could not be read has one line per model, with the reason.
    """
    head = ("file", "true class", "model", "rank", "class", "probability", "error")
    return csv_text(head, (row for name, predictions in results.items() for row in _rows(name, predictions)))


def _rows(model: str, results: Sequence[Result]) -> Iterator[tuple[object, ...]]:
    for result in results:
        facts = (result.name, result.truth or "", model)
        if isinstance(result, Refusal):
            yield (*facts, "", "", "", result.reason)
            continue
        for rank, prediction in enumerate(result.top, start=1):
            yield (*facts, rank, prediction.name, repr(prediction.probability), "")


FORMAT = "cnnviz-answers/1"


@dataclass(frozen=True)
class Predictions:
    """Predictions for the test images in their order, three arrays `(N,)`, and the step of the weights."""

    step: int
    true: NDArray[np.int64]
    predicted: NDArray[np.int64]
    """Predicted class."""
    probability: NDArray[np.float32]
    """Its probability, in [0, 1]."""

    def rows(self, true: int, predicted: int) -> NDArray[np.int64]:
        """Return the images of class `true` that were predicted as `predicted`, most confident first."""
        matching = np.flatnonzero((self.true == true) & (self.predicted == predicted))
        return matching[np.argsort(-self.probability[matching], kind="stable")].astype(np.int64)


def cached_predictions(database: Database, run_id: int, kind: str = "last") -> Predictions | None:
    """Return the stored predictions if they belong to the current checkpoint, else None. Imports no torch."""
    from cnnviz import tracking

    run = tracking.get_run(database, run_id)
    checkpoint = tracking.checkpoints(database, run_id).get(kind)
    path = _path(tracking.run_folder(run.id, run.key), kind)
    if checkpoint is None or not path.exists():
        return None
    stored = _read(path)
    return stored if stored is not None and stored.step == checkpoint.step else None


def predict_test_images(
    database: Database, run_id: int, kind: str = "last", progress: Progress = silent
) -> Predictions:
    """Predict all test images with the run's checkpoint, and store the predictions.

    The images are preprocessed as in the run's own evaluation. `progress` may raise to cancel.

    Raises:
        InferenceError: Where there is no checkpoint, or the data have changed since the run.
        DataError: Where the data are no longer available.
        ValueError: Where the model is no longer available.
    """
    from cnnviz import datasets, tracking
    from cnnviz.inference.weights.loaders import checkpoint_path, from_run

    run = tracking.get_run(database, run_id)
    folder = checkpoint_path(database, run, kind).parent
    checkpoint = tracking.checkpoints(database, run_id)[kind]
    loaded = from_run(database, run_id, kind)
    data = datasets.load(loaded.dataset, progress=progress)
    if data.fingerprint != run.fingerprint:
        raise InferenceError(f"'{run.data}' holds other images now than run {run_id} was trained on.")
    predicted, confidence = _predict_all(loaded, data, progress)
    predictions = Predictions(checkpoint.step, np.asarray(data.test.labels, np.int64), predicted, confidence)
    _write(_path(folder, kind), predictions)
    return predictions


def _predict_all(
    loaded: Loaded, data: Dataset, progress: Progress
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    import torch

    from cnnviz import datasets
    from cnnviz.inference.predict import BATCH, probabilities

    preprocessing = loaded.preprocessing
    shape = (preprocessing.channels, *preprocessing.stored)
    predicted, confidence, processed = [], [], 0
    for images, _ in data.test.iter_batches(BATCH):
        progress(Step("Asking", processed, len(data.test)))
        pixels = datasets.convert_images(torch.from_numpy(np.array(images)), shape)
        best = probabilities(loaded.model, preprocessing, pixels).max(1)
        predicted.append(best.indices.numpy())
        confidence.append(best.values.numpy())
        processed += len(images)
    return np.concatenate(predicted).astype(np.int64), np.concatenate(confidence).astype(np.float32)


def _path(folder: Path, kind: str) -> Path:
    return folder / f"answers-{kind}.safetensors"


def _write(path: Path, predictions: Predictions) -> None:
    tensors: dict[str, NDArray[Any]] = {
        "true": predictions.true,
        "said": predictions.predicted,
        "share": predictions.probability,
    }
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(save(tensors, {"format": FORMAT, "step": str(predictions.step)}))
        temporary.replace(path)
    except OSError:
        # The file only saves time, so a failure to write it is ignored.
        temporary.unlink(missing_ok=True)


def _read(path: Path) -> Predictions | None:
    try:
        header_length(path)
        with safe_open(path, "np") as file:
            details = file.metadata() or {}
            if details.get("format") != FORMAT:
                return None
            true, predicted, share = (file.get_tensor(name) for name in ("true", "said", "share"))
    except (HeaderError, SafetensorError, OSError):
        return None
    return Predictions(int(details["step"]), true, predicted, share)
