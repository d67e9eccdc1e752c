"""A run taken along: report, rows, everything, weights. Written when asked for, not before."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from cnnviz.ui.runs import store

if TYPE_CHECKING:
    from collections.abc import Collection

    from cnnviz.tracking import Run


def exports(run: Run, kinds: Collection[str]) -> None:
    """Draw the menu; `kinds` are the checkpoints there are."""
    stem = f"run-{run.id}"
    with st.popover("Export", icon=":material/download:", key="run-export", type="tertiary"):
        _button("Report (HTML)", "One file: curves, matrix, recipe, hardware. Opens without a network.",
                partial(_report, run.id), f"{stem}.html", "text/html")  # fmt: skip
        _button("Metrics (CSV)", "Every value that was logged, a line each.",
                partial(_csv, run.id), f"{stem}.csv", "text/csv")  # fmt: skip
        _button("Everything (JSON)", "Recipe, history, metrics and records.",
                partial(_json, run.id), f"{stem}.json", "application/json")  # fmt: skip
        for kind in ("last", "best"):
            if kind in kinds:
                _weights(run, kind)


def _button(label: str, about: str, data: partial[str] | partial[bytes], name: str, mime: str) -> None:
    st.download_button(
        label, data, name, mime, key=f"export-{label}", help=about, on_click="ignore", type="tertiary",
        icon=":material/download:",
    )  # fmt: skip


def _weights(run: Run, kind: str) -> None:
    from cnnviz.inference.taking import weights_name

    _button(
        f"Weights, {kind} (safetensors)",
        "The model's weights alone, with a card on how to use them; Feature maps and predict open it.",
        partial(_take, run.id, kind),
        weights_name(run, kind),
        "application/octet-stream",
    )


def _report(run_id: int) -> str:
    from cnnviz.figures.report import html_report

    return html_report(store.database(), run_id)


def _csv(run_id: int) -> str:
    from cnnviz import tracking

    return "".join(tracking.to_csv(store.database(), run_id))


def _json(run_id: int) -> str:
    from cnnviz import tracking

    return "".join(tracking.to_json(store.database(), run_id))


def _take(run_id: int, kind: str) -> bytes:
    from cnnviz.inference.taking import take_weights

    return take_weights(store.database(), run_id, kind)
