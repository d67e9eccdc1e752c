"""Answers as files: the JSON that `cnnviz predict --json` writes, and a table as CSV. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from cnnviz.formats.csv_text import csv_text
from cnnviz.inference.picture import Refusal

if TYPE_CHECKING:
    from cnnviz.inference.predict import Result


def entry(result: Result) -> dict[str, Any]:
    """One picture: `{file, predictions: [{class, probability}]}`, or `{file, error}`.

    Where it is unlike the training images, `hints: [{kind, text, change}]` say how; `change` is a field of
    the preprocessing, or empty.
    """
    if isinstance(result, Refusal):
        return {"file": result.name, "error": result.reason}
    found = [{"class": answer.name, "probability": answer.probability} for answer in result.top]
    hints = {"hints": [hint._asdict() for hint in result.hints]} if result.hints else {}
    return {"file": result.name, "predictions": found, **hints}


def as_json(results: Sequence[Result]) -> bytes:
    """One model's answers, a list of what `entry` gives."""
    return orjson.dumps([entry(result) for result in results], option=orjson.OPT_INDENT_2)


def many_as_json(results: Mapping[str, Sequence[Result]]) -> bytes:
    """Answers of several models by name: `{name: [entry, …]}`."""
    named = {name: [entry(result) for result in found] for name, found in results.items()}
    return orjson.dumps(named, option=orjson.OPT_INDENT_2)


def as_csv(results: Mapping[str, Sequence[Result]]) -> str:
    """A line for each picture, model and answer: file, true class, model, rank, class, probability, error.

    What could not be read has one line a model, with the reason.
    """
    head = ("file", "true class", "model", "rank", "class", "probability", "error")
    return csv_text(head, (row for name, found in results.items() for row in _rows(name, found)))


def _rows(model: str, results: Sequence[Result]) -> Iterator[tuple[object, ...]]:
    for result in results:
        facts = (result.name, result.truth or "", model)
        if isinstance(result, Refusal):
            yield (*facts, "", "", "", result.reason)
            continue
        for rank, answer in enumerate(result.top, start=1):
            yield (*facts, rank, answer.name, repr(answer.probability), "")
