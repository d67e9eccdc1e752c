"""What all pages share: the ring around what the keyboard is at, and how a page is left by itself."""

import re
import tomllib

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from cnnviz.ui.shared import layout
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


def leaving() -> None:
    import streamlit as st

    from cnnviz.ui.shared import layout

    if st.session_state.pop("leave", False):
        layout.follow("train", "Watch run 1", run="1")
    left = layout.following()
    st.session_state["ended"] = True
    if not left:
        st.write("the page")


def test_a_page_that_is_left_ends_its_run_as_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that was stopped keeps its fragments, and a late tick of one would blank the page."""
    monkeypatch.setattr(layout, "link", lambda page, *_, **__: st.write(f"to {page}"))
    app = AppTest.from_function(leaving, default_timeout=60)
    app.session_state["leave"] = True
    app.run()
    assert not app.exception
    assert [text.value for text in app.markdown] == ["to train"]
    assert app.session_state["ended"]
    app.run()
    assert [text.value for text in app.markdown] == ["the page"]
