"""Prediction cache: a checkpoint's predictions for all test images, computed once and stored beside it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from cnnviz.datasets.spec import Progress, Step, silent
from cnnviz.formats.safetensors_header import HeaderError, header_length
from cnnviz.inference import InferenceError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cnnviz.datasets import Dataset
    from cnnviz.inference.weights.loaded_model import Loaded
    from cnnviz.tracking import Database

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
