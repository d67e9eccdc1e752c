"""What comes from a URL is shown as text and never as Markdown."""

import pytest

from cnnviz.ui.shared.notice import WORD_JOINER, escape


@pytest.mark.parametrize(
    "text", ["![x](http://a/b)", "[x](http://a)", ":red[x]", "**x**", "<b>x</b>", "$x$", "`x`"]
)
def test_marks_are_escaped(text: str) -> None:
    escaped = escape(text)
    assert escaped.replace("\\", "").replace(WORD_JOINER, "") == text
    assert all(f"\\{mark}" in escaped for mark in set(text) & set("![]():*<>$`"))


def test_lines_become_one() -> None:
    assert escape("a\n\n# b") == "a \\# b"


@pytest.mark.parametrize(
    "address", ["https://a.example/b", "HTTP://a.example", "www.a.example", "me@a.example"]
)
def test_an_address_in_a_text_is_kept_from_becoming_a_link(address: str) -> None:
    """Markdown links whole addresses only, and looks for them after backslashes have done their work."""
    shown = escape(f"not {address}.").replace("\\", "")
    assert address not in shown
    assert shown.replace(WORD_JOINER, "") == f"not {address}."
