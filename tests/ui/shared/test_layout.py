"""What all pages share in looks: the ring around what the keyboard is at."""

import re
import tomllib

import pytest

from tests.browser.server import ROOT
from tests.figures.test_palette import linear

LUMINANCE = (0.2126, 0.7152, 0.0722)
MIN_CONTRAST = 4.5
"""WCAG 2.2, success criterion 1.4.3, of text on its background; a ring needs 3 (1.4.11)."""
CSS = (ROOT / "cnnviz" / "ui" / "shared" / "layout.css").read_text(encoding="utf-8")


def contrast(first: str, second: str) -> float:
    low, high = sorted(float(linear(colour) @ LUMINANCE) + 0.05 for colour in (first, second))
    return high / low


@pytest.mark.parametrize(("scheme", "place"), [("light", 0), ("dark", 1)])
def test_the_ring_and_hovered_words_are_seen_in_the_theme_they_stand_in(scheme: str, place: int) -> None:
    theme = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))["theme"][scheme]
    used = {pair[place] for pair in re.findall(r"light-dark\((#\w+), (#\w+)\)", CSS)}
    assert used == {theme["linkColor"]}
    for behind in ("backgroundColor", "secondaryBackgroundColor"):
        assert contrast(theme["linkColor"], theme[behind]) >= MIN_CONTRAST
