"""Answers held against the true classes that came with the files."""

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
    """How good a model was on pictures whose classes are known."""

    classes: tuple[str, ...]
    confusion: NDArray[np.int64]
    """`(classes, classes)`: row the truth, column the answer."""
    right: int
    counted: int
    """Pictures with a true class that the model has."""
    mistakes: tuple[Prediction, ...]
    """Wrong answers, the surest of them first."""
    unknown: tuple[str, ...]
    """True classes that the model does not have; their pictures are not counted."""

    @property
    def accuracy(self) -> float | None:
        """The part that was right, in [0, 1]; None where nothing was counted."""
        return self.right / self.counted if self.counted else None

    @property
    def by_class(self) -> NDArray[np.float64]:
        """Accuracy of each class, `(classes,)`; NaN for a class without pictures."""
        counts = self.confusion.sum(1)
        with np.errstate(invalid="ignore"):
            return np.where(counts > 0, self.confusion.diagonal() / np.maximum(counts, 1), np.nan)


def evaluate(results: Iterable[Result], classes: tuple[str, ...]) -> Evaluation:
    """Judge the answers of one model with these classes; refusals and files without a class are left out.

    A true class is found by its name, capitals and `_`, `-` and spaces aside, or else by its number.
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


def marks(results: Iterable[Result], classes: tuple[str, ...]) -> list[bool | None]:
    """Whether each answer is right; None where nobody knows, as `evaluate` counts."""
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
    """A class's name for comparing: capitals and `_`, `-` and spaces aside."""
    return " ".join(name.replace("_", " ").replace("-", " ").casefold().split())


# Answers as files: the JSON that `cnnviz predict --json` writes, and a table as CSV. Imports no torch.


def entry(result: Result) -> dict[str, Any]:
    """One picture: `{file, predictions: [{class, probability}]}`, or `{file, error}`.

    Where it is unlike the training images, `hints: [{kind, text, change}]` say how; `change` is a field of
    the preprocessing, or empty.
    """
    if isinstance(result, Refusal):
        return {"file": result.name, "error": result.reason}
    predictions = [{"class": prediction.name, "probability": prediction.probability} for prediction in result.top]
    hints = {"hints": [hint._asdict() for hint in result.hints]} if result.hints else {}
    return {"file": result.name, "predictions": predictions, **hints}


def as_json(results: Sequence[Result]) -> bytes:
    """One model's answers, a list of what `entry` gives."""
    return orjson.dumps([entry(result) for result in results], option=orjson.OPT_INDENT_2)


def many_as_json(results: Mapping[str, Sequence[Result]]) -> bytes:
    """Answers of several models by name: `{name: [entry, …]}`."""
    named = {name: [entry(result) for result in predictions] for name, predictions in results.items()}
    return orjson.dumps(named, option=orjson.OPT_INDENT_2)


def as_csv(results: Mapping[str, Sequence[Result]]) -> str:
    """A line for each picture, model and answer: file, true class, model, rank, class, probability, error.

    What could not be read has one line a model, with the reason.
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
