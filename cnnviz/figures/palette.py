"""The one place of colour. One meaning, one colour, on every page and in both themes.

The hues of the kinds are the family of Okabe and Ito, "Color universal design", 2008, moved in lightness
until every two stay apart under protanopia, deuteranopia and tritanopia as well.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from cnnviz.analysis.types import Kind

Theme = Literal["light", "dark"]


class Colour(NamedTuple):
    """A colour as `#rrggbb`, for a light and for a dark page."""

    light: str
    dark: str

    @property
    def css(self) -> str:
        """The colour as CSS that follows the page's theme by itself."""
        return f"light-dark({self.light}, {self.dark})"

    def of(self, theme: Theme) -> str:
        """The colour under one theme, for what cannot follow it: a downloaded picture, a Plotly figure."""
        return self.light if theme == "light" else self.dark


OUTCOME_COLORS: dict[str, Colour] = {
    "healthy": Colour("#0b6472", "#6cc7d3"),
    "cause-found": Colour("#a3450b", "#f0a06a"),
    "unexplained": Colour("#7a5200", "#e8b64c"),
    "not-judged": Colour("#5a6064", "#a9b4b9"),
}
"""Of each outcome of a diagnosis, for a word and a mark beside it: never the only difference."""

KIND_COLOURS: dict[Kind, Colour] = {
    "conv": Colour("#0072b2", "#2f8fd6"),
    "fc": Colour("#e69f00", "#f0a81e"),
    "norm": Colour("#00a873", "#1fcb99"),
    "pool": Colour("#bd75a2", "#c36ba2"),
    "activation": Colour("#5a6064", "#656c71"),
    "attention": Colour("#55c8fa", "#a8ecff"),
    "recurrent": Colour("#a9301c", "#d2553c"),
    "other": Colour("#ead1a2", "#efd9a0"),
}
"""The colour of each kind of layer."""

COMPARED: tuple[Colour, ...] = (
    Colour("#4b3fae", "#8f86f5"),
    Colour("#a3195b", "#ec4f86"),
    Colour("#8a8a00", "#bdbd3a"),
    Colour("#0f9fae", "#3cc6d4"),
)
"""Models side by side, in this order: none of these stands for a kind."""

TRAIN_DASH, VALIDATION_DASH, TEST_DASH = "solid", "dot", "dash"
"""Lines of the training, validation and test set, as Plotly names them."""

PAPER = "var(--st-background-color)"
"""The page behind a figure, which stands for zero in every scale."""


RAMP = ((0.0, 0), (0.01, 6), (0.05, 14), (0.2, 28), (0.5, 44), (1.0, 60))
"""Where a colour scale has how many percent of its colour; never so many that text cannot be read on it."""


def ramp(colour: Colour) -> list[list[float | str]]:
    """A colour scale of Plotly's from the page to `colour`, fast at first: small shares are to be seen."""
    return [[at, f"color-mix(in oklab, {colour.css} {much}%, {PAPER})"] for at, much in RAMP]


def diverging(low: Colour, high: Colour) -> list[list[float | str]]:
    """A colour scale of Plotly's from `low` over the page, at the middle, to `high`."""
    return [
        *([0.5 - 0.5 * at, paint] for at, paint in reversed(ramp(low)) if isinstance(at, float)),
        *([0.5 + 0.5 * at, paint] for at, paint in ramp(high) if isinstance(at, float) and at > 0),
    ]


def kind_variables() -> str:
    """The colours of the kinds as CSS declarations, `--kind-conv: …;` and so on."""
    return " ".join(f"--kind-{kind}: {colour.css};" for kind, colour in KIND_COLOURS.items())
