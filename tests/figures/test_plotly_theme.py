"""Figures are valid by Plotly's schema, in two templates; each color has its pair in the other theme."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import plotly.colors
import plotly.graph_objects as go
import plotly.io
import pytest

from cnnviz.figures.plotly_theme import (
    BORDER,
    COMPARED,
    PAPER,
    TEXT,
    Color,
    build_figure,
    in_theme,
    mix_oklab,
    oklch,
    ramp,
    register_templates,
)
from tests.figures.every_figure import FIGURES

COLOR = ("#", "rgb")
VIRIDIS = {shade.lower() for shade in plotly.colors.sequential.Viridis}
"""A scale of its own, the same on every ground."""


def colors_of(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value.startswith(COLOR):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from colors_of(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from colors_of(part)


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_valid_and_each_of_its_colors_has_a_pair(name: str) -> None:
    figure = FIGURES[name]()
    assert isinstance(figure, go.Figure)
    go.Figure(figure.to_plotly_json(), skip_invalid=False)
    content = figure.to_plotly_json()
    assert content["layout"].pop("template") == plotly.io.templates["cnnviz-light"].to_plotly_json()
    meta = content["layout"].pop("meta")
    used = set(colors_of(content))
    assert used - VIRIDIS == set(meta["other"])
    assert len(set(meta["other"].values())) == len(meta["other"]), "each stands for one"


@pytest.mark.parametrize("name", FIGURES)
def test_a_theme_changes_the_colors_and_nothing_else(name: str) -> None:
    light = FIGURES[name]()
    dark = in_theme(light, "dark")
    assert dark.layout.template == plotly.io.templates["cnnviz-dark"]
    content = dark.to_plotly_json()
    content["layout"].pop("template")
    meta = content["layout"].pop("meta")
    assert set(colors_of(content)) - VIRIDIS == set(meta["other"])
    assert in_theme(dark, "light") == light == in_theme(light, "light")


def test_a_figure_is_a_page_of_its_own() -> None:
    figure = next(iter(FIGURES.values()))()
    assert "#4b3fae" in figure.to_html(include_plotlyjs=False)


def test_the_templates_carry_the_palette() -> None:
    register_templates()
    for theme in ("light", "dark"):
        template = plotly.io.templates[f"cnnviz-{theme}"]
        assert template.layout.colorway == tuple(hue.of(theme) for hue in COMPARED)
        assert template.layout.paper_bgcolor == PAPER.of(theme)
        assert template.layout.font.color == TEXT.of(theme)
        assert template.layout.xaxis.linecolor == BORDER.of(theme)


def test_what_plotly_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="sort"):
        build_figure([{"type": "scatter", "sort": 1}], {})


def test_two_colors_with_one_light_shade_stay_two() -> None:
    colors = [Color("#ffffff", "#000000"), Color("#ffffff", "#111111"), Color("#eeeeee", "#000000")]
    figure = build_figure([{"type": "scatter", "marker": {"color": colors}}], {})
    shades = figure.data[0].marker.color
    assert shades == ("#ffffff", "#fffffe", "#eeeeee")
    assert in_theme(figure, "dark").data[0].marker.color == ("#000000", "#111111", "#000001")


def test_colors_are_mixed_as_css_does() -> None:
    # Read from Chromium: color-mix(in oklab, #4b3fae 28%, #ffffff), oklch(0.48 0.14 25).
    red, white = Color("#ff0000", "#ff0000"), Color("#ffffff", "#ffffff")
    assert mix_oklab(red, white, 1) == red
    assert mix_oklab(red, white, 0) == white
    assert oklch(1, 0, 0) == "#ffffff"
    assert oklch(0.62796, 0.25768, 29.23) == "#ff0000"
    assert ramp(COMPARED[0])[0] == (0.0, PAPER)
    steps = [int(shade.light[1:3], 16) for _, shade in ramp(COMPARED[0])]
    assert np.all(np.diff(steps) < 0), "darker with every step"


def test_an_axis_of_percentages_has_as_many_digits_as_tell_its_ticks_apart() -> None:
    """With whole percentages, accuracies from 98 to 99 % stood at ticks that all said 99%."""
    axes = [
        (name, axis["tickformat"])
        for name, make in FIGURES.items()
        for axis in _axes(make().to_plotly_json()["layout"])
        if "%" in str(axis.get("tickformat", ""))
    ]
    assert len(axes) > 5
    assert {form for _, form in axes} <= {"~%", "+~%"}, axes


def _axes(layout: dict[str, Any]) -> list[dict[str, Any]]:
    return [value for key, value in layout.items() if key.startswith(("xaxis", "yaxis"))]


WHILE_PANDAS_IS_IMPORTED = """
import importlib, sys, threading
from importlib.machinery import PathFinder
import plotly.graph_objects
from _plotly_utils import basevalidators
from cnnviz.figures.plotly_theme import build_figure

begun, asked = threading.Event(), threading.Event()

class Pausing(PathFinder):
    "Pause the import of pandas in its middle, until Plotly has taken what there is of it."
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name != "pandas.core.api":
            return None
        spec = super().find_spec(name, path, target)
        execute = spec.loader.exec_module
        def pause(module):
            begun.set()
            asked.wait(60)
            execute(module)
        spec.loader.exec_module = pause
        return spec

def ask(name, should_load=True, original=basevalidators.get_module):
    module = original(name, should_load)
    if name == "pandas":
        asked.set()
    return module

sys.meta_path.insert(0, Pausing)
basevalidators.get_module = ask
threading.Thread(target=importlib.import_module, args=("pandas",)).start()
assert begun.wait(60) and not hasattr(sys.modules["pandas"], "Series")
build_figure([{"type": "scatter", "y": [1, 2], "hovertemplate": "%{y}"}], {"title": {"text": "accuracy"}})
assert asked.is_set()
"""


def test_a_figure_is_built_while_another_thread_imports_pandas() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WHILE_PANDAS_IS_IMPORTED], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
