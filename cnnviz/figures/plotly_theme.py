"""Build Plotly figures in two themes: the templates `cnnviz-light` and `cnnviz-dark`, and the way between.

Every measured figure is a `plotly.graph_objects.Figure` made by `build_figure`, valid by Plotly's schema:
the app, a notebook, `fig.show()`, `write_html` and `st.plotly_chart` take the same object. It is drawn for a
light page; `in_theme(fig, "dark")` returns it for a dark one. The app's browser does the same when the reader
changes the theme, since a figure carries the colours of the other theme in `layout.meta`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, get_args

from cnnviz.figures.palette import BORDER, COMPARED, PAPER, TEXT, Colour, Theme, translucent

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["build_figure", "in_theme", "recolor", "register_templates", "template"]

FONT = '"Source Sans", "Source Sans 3", sans-serif'
"""Streamlit's; the app puts the page's own in its place."""


def build_figure(data: Sequence[Mapping[str, Any]], layout: Mapping[str, Any]) -> Figure:
    """Build a figure with the light template from traces and a layout as Plotly names them.

    Args:
        data: The traces; arrays may be lists or numpy's, NaN is a gap. Wherever Plotly takes a colour, a
            `Colour` of the palette stands for it in both themes.
        layout: The layout.

    Returns:
        The figure; `layout.meta` names its theme and, for each of its colours, the one in the other theme.

    Raises:
        ValueError: something in it is not in Plotly's schema.
    """
    import plotly.graph_objects as go

    register_templates()
    shades: dict[Colour, Colour] = {}
    traces, plain_layout = _plain(list(data), shades), _plain(layout, shades)
    meta = {"theme": "light", "other": {shade.light: shade.dark for shade in shades.values()}}
    return go.Figure(data=traces, layout={**plain_layout, "meta": meta, "template": "cnnviz-light"})


def in_theme(figure: Figure, theme: Theme) -> Figure:
    """Return a copy of a figure of cnnviz in a theme: its template, and the colours of traces and layout."""
    import plotly.graph_objects as go

    meta = figure.layout.meta
    if meta["theme"] == theme:
        return go.Figure(figure)
    layout = recolor(figure.layout.to_plotly_json(), meta["other"])
    layout["meta"] = {"theme": theme, "other": {theirs: ours for ours, theirs in meta["other"].items()}}
    layout["template"] = f"cnnviz-{theme}"
    traces = [recolor(trace.to_plotly_json(), meta["other"]) for trace in figure.data]
    return go.Figure(data=traces, layout=layout)


def recolor(value: Any, colors: Mapping[str, str]) -> Any:
    """Replace every text that is a key of `colors`, in whatever depth of dicts and lists."""
    if isinstance(value, str):
        return colors.get(value, value)
    if isinstance(value, Mapping):
        return {key: recolor(part, colors) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [recolor(part, colors) for part in value]
    return value


def _plain(value: Any, shades: dict[Colour, Colour]) -> Any:
    """Replace each `Colour` by its light shade, and note in `shades` what stands for it."""
    if isinstance(value, Colour):
        if value not in shades:
            shades[value] = _distinct(value, shades.values())
        return shades[value].light
    if isinstance(value, Mapping):
        return {key: _plain(part, shades) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part, shades) for part in value]
    return value


def _distinct(colour: Colour, others: Iterable[Colour]) -> Colour:
    """The colour, a shade nobody sees away where its light or dark one is taken: each has one pair."""
    lights, darks = {other.light for other in others}, {other.dark for other in others}
    return Colour(_unused_color(colour.light, lights), _unused_color(colour.dark, darks))


def _unused_color(shade: str, taken: set[str]) -> str:
    candidates = (f"#{int(shade[1:], 16) ^ step:06x}" for step in range(1, len(taken) + 1))
    return shade if shade not in taken else next(c for c in candidates if c not in taken)


# The templates.


@cache
def register_templates() -> None:
    """Register `cnnviz-light` and `cnnviz-dark` in `plotly.io.templates`; `build_figure` does it too."""
    import plotly.io

    for theme in get_args(Theme):
        plotly.io.templates[f"cnnviz-{theme}"] = template(theme)


def template(theme: Theme) -> dict[str, Any]:
    """Return the template of a theme as Plotly's JSON: palette, fonts, axes, legend."""
    text, line = TEXT.of(theme), BORDER.of(theme)
    faint = translucent(TEXT, 0.75).of(theme)
    axis = {
        "gridcolor": translucent(BORDER, 0.65).of(theme), "linecolor": line, "zerolinecolor": line,
        "zeroline": False, "tickcolor": line, "tickfont": {"color": faint}, "automargin": True,
        "title": {"font": {"size": 12, "color": faint}, "standoff": 6},
    }  # fmt: skip
    return {
        "layout": {
            "font": {"family": FONT, "size": 12, "color": text},
            "paper_bgcolor": PAPER.of(theme),
            "plot_bgcolor": PAPER.of(theme),
            "colorway": [hue.of(theme) for hue in COMPARED],
            "margin": {"l": 44, "r": 12, "t": 8, "b": 36},
            "xaxis": axis,
            "yaxis": axis,
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"size": 12}},
            "hoverlabel": {
                "bgcolor": PAPER.of(theme),
                "bordercolor": line,
                "font": {"color": text, "size": 12, "family": FONT},
            },
            "coloraxis": {"colorbar": {"outlinewidth": 0, "thickness": 10}},
            "dragmode": "zoom",
        }
    }
