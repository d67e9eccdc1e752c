"""The glossary: terms are complete, their addresses open, their words are found, and links lead to them."""

import re
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from cnnviz.ui.shared import url_state
from cnnviz.ui.shared.layout import find_pages

ROOT = Path(__file__).parents[1]
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
TERMS = {entry.partition("\n")[0]: entry for entry in re.split(r"^### ", GLOSSARY, flags=re.MULTILINE)[1:]}
ADDRESSES = sorted(set(re.findall(r"`(/\w*(?:\?[^`]+)?)`", GLOSSARY)))
SOURCES = {path: path.read_text(encoding="utf-8") for path in sorted((ROOT / "cnnviz").rglob("*.py"))}


def test_there_are_terms() -> None:
    assert len(TERMS) > 50
    assert len({term.lower() for term in TERMS}) == len(TERMS)


@pytest.mark.parametrize("term", TERMS)
def test_a_term_has_definition_formula_place_and_word(term: str) -> None:
    definition, _, details = TERMS[term].partition("\n\n")[2].partition("\n\n")
    assert definition.endswith(".")
    assert re.match(r"Formula: (`[^`]+`|none, it is a name\.)  \nSeen: .+  \nGrep: `[\w.-]+`\n", details)


@pytest.mark.parametrize("term", TERMS)
def test_a_terms_word_is_found_in_the_code(term: str) -> None:
    (word,) = re.findall(r"^Grep: `(.+)`$", TERMS[term], re.MULTILINE)
    assert any(word in source for source in SOURCES.values()), word


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_opens(address: str) -> None:
    parts = urlsplit(address)
    assert parts.path.strip("/") in {*find_pages(ROOT / "pages"), ""}
    selection = url_state.read(dict(parse_qsl(parts.query)))
    assert not selection.problems


def test_links_to_the_glossary_name_terms_that_are_there() -> None:
    """In pages, figures and documents: `glossary.md#receptive-field`, by GitHub's rule for anchors."""
    anchors = {re.sub(r"[^\w\- ]", "", term.lower()).replace(" ", "-") for term in TERMS}
    documents = {path: path.read_text(encoding="utf-8") for path in ROOT.glob("*.md")}
    documents |= {path: path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md")}
    linked = {
        anchor
        for text in (*SOURCES.values(), *documents.values())
        for anchor in re.findall(r"glossary\.md#([\w-]+)", text)
    }
    assert linked <= anchors
    assert linked
