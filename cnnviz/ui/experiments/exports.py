"""The experiment taken along: its runs as CSV, its answer as JSON, and itself, to be run elsewhere."""

from __future__ import annotations

import streamlit as st

from cnnviz.experiments.table import to_csv
from cnnviz.ui.experiments.chosen import Chosen


def exports(chosen: Chosen) -> None:
    """Draw the menu."""
    stem = f"experiment-{chosen.key}"
    with st.popover("Export", icon=":material/download:", key="experiments-export", type="tertiary"):
        if chosen.result is not None:
            _button("Runs (CSV)", "A line for each run: arm, seed, accuracies, seconds.",
                    to_csv(chosen.result), f"{stem}.csv", "text/csv")  # fmt: skip
            _button("Answer (JSON)", "As `cnnviz experiment show --json` writes it.",
                    chosen.result.write(), f"{stem}-answer.json", "application/json")  # fmt: skip
        _button("The experiment itself (JSON)", "`cnnviz experiment run FILE` runs it anywhere.",
                chosen.experiment.write(), f"{stem}.json", "application/json")  # fmt: skip


def _button(label: str, about: str, data: str, name: str, mime: str) -> None:
    st.download_button(
        label, data, name, mime, key=f"experiments-{label}", help=about, on_click="ignore", type="tertiary",
        icon=":material/download:",
    )  # fmt: skip
