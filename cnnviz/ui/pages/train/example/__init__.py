"""Recorded example run, shown before a user's first run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import streamlit as st

from cnnviz.tracking import Curve, Status, StatusChange
from cnnviz.training import Recipe
from cnnviz.ui.pages.train.charts import charts, published_accuracy
from cnnviz.ui.pages.train.run_views import sample_predictions
from cnnviz.ui.shared.runs.live_run import ConfusionAt, LayerStatsAt, RunData

RECORDED = Path(__file__).with_name("digits.json")


def draw() -> None:
    """Draw the recorded run, labeled as recorded."""
    recording = _read()
    st.header("How it will look: a recorded run", anchor=False)
    st.caption(
        f"A finished run of {recording['model']} on {recording['dataset']}, recorded on "
        f"{recording['hardware']} with torch {recording['torch']}. Press Start, and your own run takes its "
        "place."
    )
    left, right = st.columns([0.64, 0.36], gap="large")
    with left:
        charts(
            to_run_data(recording), published_accuracy(Recipe.model_validate(recording["recipe"])), "recorded"
        )
    with right:
        sample_predictions(to_run_data(recording), "recorded")


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


@st.cache_data(show_spinner=False)
def _read() -> dict[str, Any]:
    recording: dict[str, Any] = orjson.loads(RECORDED.read_bytes())
    return recording
