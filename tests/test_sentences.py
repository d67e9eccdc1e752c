"""Sentences that are made of others end as one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnviz.sentences import full_stop


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
