"""Plotly theme: palette, templates `cnnviz-light` and `cnnviz-dark`, and conversion between them.

Every measured figure is a `plotly.graph_objects.Figure` made by `build_figure`, valid by Plotly's schema:
the app, a notebook, `fig.show()`, `write_html` and `st.plotly_chart` take the same object. It is drawn for a
light page; `in_theme(fig, "dark")` returns it for a dark one. The app's browser does the same when the reader
changes the theme, since a figure carries the colors of the other theme in `layout.meta`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from cnnviz.analysis.types import Kind

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# The palette, defined only here: one meaning, one color, on every page and in both themes.
#
# The hues of the layer kinds are those of Okabe and Ito, "Color universal design", 2008, shifted in lightness
# until every two are distinguishable under protanopia, deuteranopia and tritanopia as well.

Theme = Literal["light", "dark"]


@dataclass(frozen=True)
class Color:
    """Color as `#rrggbb` (or `rgba(…)`), for a light and for a dark page."""

    light: str
    dark: str

    @property
    def css(self) -> str:
        """CSS `light-dark(…)` expression, which follows the page's theme by itself."""
        return f"light-dark({self.light}, {self.dark})"

    def of(self, theme: Theme) -> str:
        """Return the color of one theme, for what cannot follow it, such as a downloaded image."""
        return self.light if theme == "light" else self.dark


OUTCOME_COLORS: dict[str, Color] = {
    "healthy": Color("#0b6472", "#6cc7d3"),
    "cause-found": Color("#a3450b", "#f0a06a"),
    "unexplained": Color("#7a5200", "#e8b64c"),
    "not-judged": Color("#5a6064", "#a9b4b9"),
}
"""Color of each diagnosis outcome, for a word and a symbol beside it: color is never the only difference."""

KIND_COLORS: dict[Kind, Color] = {
    "conv": Color("#0072b2", "#2f8fd6"),
    "fc": Color("#e69f00", "#f0a81e"),
    "norm": Color("#00a873", "#1fcb99"),
    "pool": Color("#bd75a2", "#c36ba2"),
    "activation": Color("#5a6064", "#656c71"),
    "attention": Color("#55c8fa", "#a8ecff"),
    "recurrent": Color("#a9301c", "#d2553c"),
    "other": Color("#ead1a2", "#efd9a0"),
}
"""Color of each kind of layer."""

COMPARED: tuple[Color, ...] = (
    Color("#4b3fae", "#8f86f5"),
    Color("#a3195b", "#ec4f86"),
    Color("#8a8a00", "#bdbd3a"),
    Color("#0f9fae", "#3cc6d4"),
)
"""Colors of compared models and runs, in this order; none of them is the color of a layer kind."""

TRAIN_DASH, VALIDATION_DASH, TEST_DASH = "solid", "dot", "dash"
"""Plotly dash styles of training, validation and test curves."""

PAPER = Color("#ffffff", "#12171a")
"""Page background, which is zero in every color scale."""
TEXT = Color("#1c2529", "#e4e9eb")
"""Text color."""
BORDER = Color("#d9dfe2", "#333d42")
"""Color of axes and dividers. The three are the theme colors in `.streamlit/config.toml`."""

RAMP = ((0.0, 0), (0.01, 6), (0.05, 14), (0.2, 28), (0.5, 44), (1.0, 60))
"""Positions of a color scale with their percentage of the color, low enough that text on it stays legible."""

ColorScale = list[tuple[float, Color]]
"""Plotly color scale: positions in [0, 1] with their colors."""


def ramp(colour: Color) -> ColorScale:
    """Return a color scale from the page background to `colour`, steep at first so that small shares show."""
    return [(position, mix_oklab(colour, PAPER, percent / 100)) for position, percent in RAMP]


def diverging(low: Color, high: Color) -> ColorScale:
    """Return a color scale from `low` through the page background, at the middle, to `high`."""
    return [
        *((0.5 - 0.5 * position, shade) for position, shade in reversed(ramp(low))),
        *((0.5 + 0.5 * position, shade) for position, shade in ramp(high) if position > 0),
    ]


def translucent(colour: Color, opacity: float) -> Color:
    """Return the color with an opacity in [0, 1]."""
    return Color(*(f"rgba({_channels(shade)},{opacity:g})" for shade in (colour.light, colour.dark)))


def mix_srgb(first: Color, second: Color, share: float) -> Color:
    """Mix `share` of the first with the second, channel by channel, as `color-mix(in srgb, …)` does."""

    def mixed(first_shade: str, second_shade: str) -> str:
        return _hex(share * _rgb(first_shade) + (1 - share) * _rgb(second_shade))

    return Color(mixed(first.light, second.light), mixed(first.dark, second.dark))


def mix_oklab(first: Color, second: Color, share: float) -> Color:
    """Mix `share` of the first with the second in OKLab, as `color-mix(in oklab, …)` does."""

    def mixed(first_shade: str, second_shade: str) -> str:
        return _hex(
            _from_oklab(share * _to_oklab(_rgb(first_shade)) + (1 - share) * _to_oklab(_rgb(second_shade)))
        )

    return Color(mixed(first.light, second.light), mixed(first.dark, second.dark))


def oklch(lightness: float, chroma: float, hue: float) -> str:
    """Convert an OKLCh color (hue in degrees) to `#rrggbb`; out-of-gamut channels are clipped."""
    angle = np.deg2rad(hue)
    return _hex(_from_oklab(np.array([lightness, chroma * np.cos(angle), chroma * np.sin(angle)])))


# OKLab conversion: B. Ottosson, "A perceptual color space for image processing", 2020.

_Vector = NDArray[np.float64]
_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def _to_oklab(rgb: _Vector) -> _Vector:
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return np.asarray(_TO_LAB @ np.cbrt(_TO_CONES @ linear), np.float64)


def _from_oklab(lab: _Vector) -> _Vector:
    linear = np.linalg.solve(_TO_CONES, np.linalg.solve(_TO_LAB, lab) ** 3).clip(0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def _rgb(shade: str) -> _Vector:
    return np.array([int(shade[at : at + 2], 16) / 255 for at in (1, 3, 5)])


def _hex(rgb: _Vector) -> str:
    return "#" + "".join(f"{round(255 * float(channel)):02x}" for channel in rgb.clip(0, 1))


def _channels(shade: str) -> str:
    return ",".join(str(int(shade[at : at + 2], 16)) for at in (1, 3, 5))


def kind_variables() -> str:
    """Return the colors of layer kinds as CSS declarations, `--kind-conv: …;` and so on."""
    return " ".join(f"--kind-{kind}: {colour.css};" for kind, colour in KIND_COLORS.items())


__all__ = ["build_figure", "in_theme", "recolor", "register_templates", "template"]

FONT = '"Source Sans", "Source Sans 3", sans-serif'
"""Streamlit's default font; the app replaces it by the page's own."""


def build_figure(data: Sequence[Mapping[str, Any]], layout: Mapping[str, Any]) -> Figure:
    """Build a figure with the light template from traces and a layout as Plotly names them.

    Args:
        data: The traces; arrays may be lists or NumPy arrays, NaN is a gap. Wherever Plotly takes a color, a
            `Color` of the palette stands for it in both themes.
        layout: The layout.

    Returns:
        The figure; `layout.meta` names its theme and maps each of its colors to that of the other theme.

    Raises:
        ValueError: A property is not in Plotly's schema.
    """
    shades: dict[Color, Color] = {}
    traces, plain_layout = _plain(list(data), shades), _plain(layout, shades)
    meta = {"theme": "light", "other": {shade.light: shade.dark for shade in shades.values()}}
    return _figure(data=traces, layout={**plain_layout, "meta": meta, "template": "cnnviz-light"})


def in_theme(figure: Figure, theme: Theme) -> Figure:
    """Return a copy of a figure of cnnviz in a theme: its template, and the colors of traces and layout."""
    meta = figure.layout.meta
    if meta["theme"] == theme:
        return _figure(figure)
    layout = recolor(figure.layout.to_plotly_json(), meta["other"])
    layout["meta"] = {"theme": theme, "other": {other: current for current, other in meta["other"].items()}}
    layout["template"] = f"cnnviz-{theme}"
    traces = [recolor(trace.to_plotly_json(), meta["other"]) for trace in figure.data]
    return _figure(data=traces, layout=layout)


def _figure(*args: Any, **kwargs: Any) -> Figure:
    """Return Plotly's figure, also while another thread is in the middle of importing pandas.

    Plotly and narwhals take pandas from `sys.modules` without its import lock, and miss `pandas.Series` then.
    """
    import plotly.graph_objects as go

    try:
        register_templates()
        return go.Figure(*args, **kwargs)
    except AttributeError:
        if "pandas" not in sys.modules:
            raise
        importlib.import_module("pandas")  # waits until the other thread has all of it
        register_templates()
        return go.Figure(*args, **kwargs)


def recolor(value: Any, colors: Mapping[str, str]) -> Any:
    """Replace every string that is a key of `colors`, at any depth of dicts and lists."""
    if isinstance(value, str):
        return colors.get(value, value)
    if isinstance(value, Mapping):
        return {key: recolor(part, colors) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [recolor(part, colors) for part in value]
    return value


def _plain(value: Any, shades: dict[Color, Color]) -> Any:
    """Replace each `Color` by its light shade, and record in `shades` the pair that represents it."""
    if isinstance(value, Color):
        if value not in shades:
            shades[value] = _distinct_pair(value, shades.values())
        return shades[value].light
    if isinstance(value, Mapping):
        return {key: _plain(part, shades) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part, shades) for part in value]
    return value


def _distinct_pair(colour: Color, others: Iterable[Color]) -> Color:
    """Return the color, changed imperceptibly if one of its shades is in use: pairs must be unique."""
    lights, darks = {other.light for other in others}, {other.dark for other in others}
    return Color(_unused_color(colour.light, lights), _unused_color(colour.dark, darks))


def _unused_color(shade: str, used: set[str]) -> str:
    candidates = (f"#{int(shade[1:], 16) ^ step:06x}" for step in range(1, len(used) + 1))
    return shade if shade not in used else next(c for c in candidates if c not in used)


# Templates.


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
