"""Sentences that are made of others end as one."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cnnviz
from cnnviz.sentences import american, full_stop, key_words, percent, short_names


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


def test_stored_keys_are_shown_in_american_spelling() -> None:
    assert (key_words("colour_jitter"), key_words("optimiser")) == ("color jitter", "optimizer")
    assert american("unit-standardised") == "unit-standardized"
    assert american("/data/colours/Grey.png") == "/data/colours/Grey.png"


BRITISH = re.compile(
    r"\b\w*(colour|neighbour|behaviour|normalis|standardis|initialis|optimis|generalis|summaris|memoris|"
    r"recognis|visualis|regularis|organis|labell|cancelled|analysed|analysing|centred)\w*\b(?![_.=`(:-])",
    re.IGNORECASE,
)


def test_documents_are_in_american_spelling() -> None:
    """Keys that are stored or typed stay as they began; in prose they stand between backquotes."""
    root = Path(cnnviz.__file__).parents[1]
    found = []
    for path in sorted([root / "README.md", *(root / "docs").glob("*.md")]):
        text = re.sub(
            r"```.*?```|`[^`\n]*`|\]\([^)]*\)", "", path.read_text(encoding="utf-8"), flags=re.DOTALL
        )
        found += [f"{path.name}: {match.group()}" for match in BRITISH.finditer(text)]
    assert not found


def test_what_the_program_says_is_in_american_spelling() -> None:
    """In strings of several words: one word alone may be a stored key."""
    folder = Path(cnnviz.__file__).parent
    found = []
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
                text = re.sub(r"`[^`\n]*`|'[^'\n]*'|\"[^\"\n]*\"", "", node.value)
                found += [f"{path.relative_to(folder)}: {word}" for word in _british(text)]
    assert not found


def _british(text: str) -> list[str]:
    return [match.group() for match in BRITISH.finditer(text) if match.group().islower()]
