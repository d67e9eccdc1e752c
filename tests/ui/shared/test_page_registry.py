"""The registry of pages reads headers without running pages, and says what is wrong with one."""

import os
from pathlib import Path

import pytest

from cnnviz.ui.shared.layout import Page, find_pages

HEADER = 'PAGE = Page(title="{title}", icon=":material/home:", order={order}, blurb="What it shows.")\n'


def write(folder: Path, name: str, text: str) -> None:
    (folder / f"{name}.py").write_text(text, encoding="utf-8")


def test_pages_come_in_their_order_and_nothing_of_them_runs(tmp_path: Path) -> None:
    write(tmp_path, "late", "raise SystemExit\n" + HEADER.format(title="Late", order=2))
    write(tmp_path, "early", HEADER.format(title="Early", order=1))
    write(tmp_path, "navigation", "")
    write(tmp_path, "__init__", "")
    assert list(find_pages(tmp_path)) == ["early", "late"]
    assert find_pages(tmp_path)["late"] == Page(
        title="Late", icon=":material/home:", order=2, blurb="What it shows."
    )


def test_a_changed_header_is_read_again(tmp_path: Path) -> None:
    write(tmp_path, "a", HEADER.format(title="Before", order=1))
    assert find_pages(tmp_path)["a"].title == "Before"
    write(tmp_path, "a", HEADER.format(title="After", order=1))
    os.utime(tmp_path / "a.py", ns=(1, 1))
    assert find_pages(tmp_path)["a"].title == "After"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("import streamlit\n", "bad.py has no header"),
        ('PAGE = Page(title="T")\n', "missing"),
        ("PAGE = Page(title=name())\n", "malformed"),
        ("PAGE = 3\n", "not a call"),
        (HEADER.format(title=" ", order=1), "title and a blurb"),
        (HEADER.replace(":material/home:", "🏠").format(title="T", order=1), ":material/name:"),
    ],
)
def test_a_bad_header_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    write(tmp_path, "bad", text)
    with pytest.raises(ValueError, match=complaint) as raised:
        find_pages(tmp_path)
    assert "bad.py" in str(raised.value)


def test_two_pages_cannot_have_one_place(tmp_path: Path) -> None:
    write(tmp_path, "a", HEADER.format(title="A", order=1))
    write(tmp_path, "b", HEADER.format(title="B", order=1))
    with pytest.raises(ValueError, match="same order"):
        find_pages(tmp_path)
