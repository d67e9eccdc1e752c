"""Figures of a run's data are built once, and anew for other choices or other data."""

import json

from plotly.graph_objects import Figure

from cnnviz.ui.shared.runs.live_run import RunData


def test_a_figure_is_built_anew_for_other_choices_or_other_data_alone() -> None:
    built: list[str] = []

    def build(title: str) -> Figure:
        built.append(title)
        return Figure(layout={"title": {"text": title}})

    data = RunData()
    first = data.figure("curves", "step", lambda: build("by step"))
    assert json.loads(first)["layout"]["title"]["text"] == "by step"
    assert data.figure("curves", "step", lambda: build("again")) == first
    assert data.figure("heat", "step", lambda: build("another figure")) != first
    assert "by epoch" in data.figure("curves", "epoch", lambda: build("by epoch"))
    assert "of new data" in RunData().figure("curves", "epoch", lambda: build("of new data"))
    assert built == ["by step", "another figure", "by epoch", "of new data"]
