"""Recorded example run, shown before a user's first run.

`python -m cnnviz.ui.pages.train.example RUN` records it from a finished run.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import streamlit as st

from cnnviz import datasets, models, tracking
from cnnviz.tracking import Curve, Curves, Database, Status, StatusChange
from cnnviz.training import Recipe
from cnnviz.ui.pages.train.charts import charts, published_accuracy
from cnnviz.ui.pages.train.run_views import sample_predictions
from cnnviz.ui.shared.runs.live_run import ConfusionAt, LayerStatsAt, RunData

RECORDED = Path(__file__).with_name("example.json")


def draw() -> None:
    """Draw the recorded run, labeled as recorded."""
    recording, run_log = _read()
    st.header("How it will look: a recorded run", anchor=False)
    st.caption(
        f"A finished run of {models.title_of(recording['model'])} on "
        f"{datasets.title_of(recording['dataset'])}, recorded on "
        f"{recording['hardware']} with torch {recording['torch']}. Press Start, and your own run takes its "
        "place."
    )
    left, right = st.columns([0.64, 0.36], gap="large")
    with left:
        charts(run_log, published_accuracy(Recipe.model_validate(recording["recipe"])), "recorded")
    with right:
        sample_predictions(run_log, "recorded")


def to_run_data(recording: dict[str, Any]) -> RunData:
    """Convert the recording to run data."""
    return RunData(
        curves={name: _curve(name, rows) for name, rows in recording["curves"].items()},
        layer_stats=tuple(LayerStatsAt(*statistics) for statistics in recording["looks"]),
        confused=ConfusionAt(*recording["confused"]),
        data=recording["data"],
        images=recording["images"],
        predictions=recording["predictions"],
        predicted_at=recording["predicted_at"],
        history=(StatusChange(1, None, Status.RUNNING, recording["began"], None),),
    )


def _curve(name: str, rows: dict[str, list[float]]) -> Curve:
    return Curve(
        name,
        np.array(rows["steps"], np.int64),
        np.array(rows["epochs"], np.float64),
        np.array(rows["values"], np.float64),
        np.array(rows["times"], np.float64),
    )


@st.cache_resource(show_spinner=False)
def _read() -> tuple[dict[str, Any], RunData]:
    recording: dict[str, Any] = orjson.loads(RECORDED.read_bytes())
    return recording, to_run_data(recording)


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
