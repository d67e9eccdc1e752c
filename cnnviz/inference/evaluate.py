"""Evaluation: predictions compared with the true classes that came with the files; JSON and CSV."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from cnnviz.formats.csv_text import csv_text
from cnnviz.inference.images.read_image import Refusal
from cnnviz.inference.predict import Prediction, Result


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
