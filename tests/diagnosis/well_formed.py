"""Check of a finding: whole sentences, values in range, and changes that can be made."""

from __future__ import annotations

import re

from cnnviz.diagnosis import Evidence, Finding

UNTIDY = re.compile(r"^\s|\s$|  | [.,;:]|[{}]|\bnan\b|\.\.|[^.]$")
"""In a sentence: blanks where none belong, a place that was not filled in, and an end that is no end."""


def assert_well_formed(finding: Finding, evidence: Evidence) -> None:
    """Fails where a sentence is untidy, a number is out of range, or a change cannot be made."""
    description = [finding.verdict, *finding.explanation.split("\n\n"), *finding.ruled_out]
    description += [change.why for change in finding.changes]
    assert [text for text in description if UNTIDY.search(text)] == []
    assert finding.cause not in finding.explains
    assert 0 <= finding.confidence <= 1
    assert 0 <= finding.effect <= 1
    assert finding.pictures
    assert finding.facts
    for change in finding.changes:
        assert change.recipe(evidence.recipe).difference(evidence.recipe)
