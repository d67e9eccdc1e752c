"""Data-quality report of a data set before any training, by the rules that need images alone.

It is computed once and stored beside the cached images. Importing this imports no torch.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import orjson

from cnnviz.datasets.spec import Progress, Step, silent
from cnnviz.diagnosis.engine import diagnose
from cnnviz.diagnosis.evidence.evidence import Data, DataQuality, Evidence
from cnnviz.training.recipe import Recipe

if TYPE_CHECKING:
    from cnnviz.datasets import Dataset

RULES = ("constant-input", "split-mismatch", "classes-missing", "leakage")
"""Causes that need no run."""
FILE = "quality-2.json"
"""Name of the stored report; the number is raised when the rules change what they report for the same data.
"""


@dataclass(frozen=True)
class Problem:
    """A problem of a data set, as reported by a rule."""

    cause: str
    verdict: str
    """One sentence."""
    explanation: str
    """For a student; paragraphs are separated by empty lines."""


@dataclass(frozen=True)
class DataReport:
    """Problems of a data set by descending rank, and the causes that were ruled out."""

    problems: tuple[Problem, ...]
    clear: tuple[str, ...]
    """One sentence for each cause ruled out."""
    unknown: tuple[str, ...] = ()
    """Why the remaining causes could not be checked."""


def data_report(dataset: Dataset, progress: Progress = silent) -> DataReport:
    """Return the report on `dataset`: the stored one, else computed and stored.

    Raises:
        DataError: For damaged images.
    """
    path = dataset.folder / FILE
    try:
        return _read(orjson.loads(path.read_bytes()))
    except (OSError, ValueError, KeyError, TypeError):
        # Missing or damaged: compute it again.
        report = compute_report(dataset, progress)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(orjson.dumps(asdict(report)))
        temporary.replace(path)
    except OSError:
        # A disk that is full or read-only: the report is computed again next time.
        temporary.unlink(missing_ok=True)
    return report


def _read(stored: dict[str, Any]) -> DataReport:
    problems = tuple(Problem(**problem) for problem in stored["problems"])
    return DataReport(problems, tuple(stored["clear"]), tuple(stored["unknown"]))


def compute_report(dataset: Dataset, progress: Progress = silent) -> DataReport:
    """Compute the report."""
    import torch

    from cnnviz.training.data.quality import dataset_report
    from cnnviz.training.data.tensors import DataModule

    progress(Step("looking for images that are all alike or in both parts", 0, None))
    recipe = Recipe(validation=0)
    data_module = DataModule.of(dataset, recipe, dataset.shape[0], torch.device("cpu"))
    classes = len(dataset.classes)
    data = Data(
        classes=dataset.classes,
        counts=tuple(data_module.train.labels.bincount(minlength=classes).tolist()),
        train=len(data_module.train),
        test=len(data_module.test),
        shape=dataset.shape,
    )
    evidence = Evidence(
        recipe=recipe, data=data, quality=DataQuality.model_validate(dataset_report(data_module))
    )
    diagnosis = diagnose(evidence)
    return DataReport(
        problems=tuple(
            Problem(finding.cause, finding.verdict, finding.explanation)
            for finding in diagnosis.findings
            if finding.cause in RULES
        ),
        clear=tuple(
            result.because
            for result in diagnosis.checked
            if result.cause in RULES and result.outcome == "clear"
        ),
        unknown=tuple(
            result.because
            for result in diagnosis.checked
            if result.cause in RULES and result.outcome == "not checked"
        ),
    )
