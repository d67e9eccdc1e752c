"""Record the example from a finished run: `python -m cnnviz.ui.pages.train.example.record RUN`."""

from __future__ import annotations

import sys
from typing import Any

import orjson

from cnnviz import tracking
from cnnviz.tracking import Curve, Curves, Database, Status
from cnnviz.training import Recipe
from cnnviz.ui.pages.train.example import RECORDED

DRAWN = ("train/loss", "train/accuracy", "val/loss", "val/accuracy", "test/loss", "test/accuracy", "lr",
         "images_per_second")  # fmt: skip
POINTS = 300


def recording(database: Database, run_id: int) -> dict[str, Any]:
    """Return the recording of a run.

    Raises:
        ValueError: The run has not finished, or lacks a record.
    """
    run = tracking.get_run(database, run_id)
    if run.status is not Status.FINISHED:
        raise ValueError(f"Run {run_id} is {run.status}; a recording is of a finished run.")
    curves = Curves(database, run_id, POINTS)
    curves.refresh()
    began = next(change.time for change in tracking.history(database, run_id) if change.new is Status.RUNNING)
    layer_records = tracking.read_records(database, run_id, "layers")
    matrix, predictions = (
        tracking.latest_record(database, run_id, kind) for kind in ("test/confusion", "fixed_predictions")
    )
    images, data = (tracking.latest_record(database, run_id, kind) for kind in ("fixed_images", "data"))
    if matrix is None or predictions is None or images is None or data is None:
        raise ValueError(f"Run {run_id} has not recorded all that is shown.")
    return {
        "model": run.model,
        "dataset": run.data,
        "hardware": run.hardware,
        "torch": (run.versions or {})["torch"],
        "recipe": Recipe.model_validate(run.recipe).model_dump(mode="json", exclude_defaults=True),
        "began": 0.0,
        "curves": {curve.name: _rows(curve, began) for curve in curves if curve.name in DRAWN},
        "looks": [
            (record.step, record.epoch, round(record.time - began, 2), _rounded(record.body))
            for record in layer_records
        ],
        "confused": ("test", matrix.epoch, matrix.body),
        "data": data.body,
        "images": images.body,
        "predictions": predictions.body,
        "predicted_at": predictions.epoch,
    }


def _rows(curve: Curve, began: float) -> dict[str, list[float]]:
    return {
        "steps": curve.steps.tolist(),
        "epochs": [round(epoch, 3) for epoch in curve.epochs.tolist()],
        "values": [float(f"{value:.5g}") for value in curve.values.tolist()],
        "times": [round(time - began, 2) for time in curve.times.tolist()],
    }


def _rounded(layers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in layer.items()} for layer in layers
    ]


if __name__ == "__main__":
    with tracking.connect() as opened:
        RECORDED.write_bytes(orjson.dumps(recording(opened, int(sys.argv[1]))) + b"\n")
