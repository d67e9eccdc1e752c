"""Sentences that are made of others end as one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cnnviz
from cnnviz.sentences import full_stop, percent, short_names


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Run 1 failed: The disk is full.", "Run 1 failed: The disk is full."),
        ("Run 1 failed: no space", "Run 1 failed: no space."),
        ("It ends..", "It ends."),
        ("two\n lines ", "two lines."),
        ("Is it so?", "Is it so?"),
    ],
)
def test_a_composed_sentence_ends_with_one_full_stop(text: str, sentence: str) -> None:
    assert full_stop(text) == sentence


@given(st.text())
def test_whatever_it_is_made_of(text: str) -> None:
    ended = full_stop(text)
    assert ended[-1] in ".!?…"
    assert not ended.endswith("..")
    assert full_stop(ended) == ended


def test_a_share_is_written_in_one_way_everywhere() -> None:
    """`9.4 %`, by `percent`; a format of Python's own would write `9.4%`, and Plotly's tells by its `%{`."""
    own = re.compile(r"(?<!%)(?<!%\{)\{[^{}]*:[.0-9]*%\}")
    folder = Path(cnnviz.__file__).parent
    assert not [
        f"{path.relative_to(folder)}: {match.group()}"
        for path in sorted(folder.rglob("*.py"))
        for match in own.finditer(path.read_text(encoding="utf-8"))
    ]


@pytest.mark.parametrize(
    ("fraction", "digits", "text"),
    [(0.094, 1, "9.4 %"), (0.0, 0, "0 %"), (1e-9, 0, "< 1 %"), (0.9999, 1, "> 99.9 %"), (1.0, 0, "100 %")],
)
def test_a_share_is_never_rounded_to_none_or_all(fraction: float, digits: int, text: str) -> None:
    assert percent(fraction, digits) == text


def test_long_names_lose_what_they_share_and_keep_what_tells_them_apart() -> None:
    plants = [f"a plant with a long name, number {number} (Linnaeus)" for number in (1, 2, 11)]
    assert short_names(plants) == ["… 1 (Linnaeus)", "… 2 (Linnaeus)", "… 11 (Linnaeus)"]
    assert short_names(["all", *plants])[:2] == ["all", "… 1 (Linnaeus)"]
    for names in (["cat", "dog"], ["n02085620-Chihuahua", "n02085782-Japanese_spaniel"], plants[:1] * 2, []):
        assert short_names(names) == names
