"""What comes from a URL is shown as text and never as Markdown."""

import pytest

from cnnviz.ui.shared.notice import escape


@pytest.mark.parametrize(
    "text", ["![x](http://a/b)", "[x](http://a)", ":red[x]", "**x**", "<b>x</b>", "$x$", "`x`"]
)
def test_marks_are_escaped(text: str) -> None:
    escaped = escape(text)
    assert escaped.replace("\\", "") == text
    assert all(f"\\{mark}" in escaped for mark in set(text) & set("![]():*<>$`"))


def test_lines_become_one() -> None:
    assert escape("a\n\n# b") == "a \\# b"
