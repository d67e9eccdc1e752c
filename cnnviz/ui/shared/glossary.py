"""Glossary: the terms of `docs/glossary.md`, and headings that explain themselves."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

import streamlit as st

from cnnviz import paths


@dataclass(frozen=True)
class Term:
    """Entry of the glossary."""

    name: str
    section: str
    definition: str
    formula: str
    """Empty if the term has no formula."""
    seen: str
    """Where the app shows it, with addresses such as `/runs` between backquotes."""
    word: str
    """Word that finds it in the code."""

    @property
    def anchor(self) -> str:
        """Anchor in the document's links and the page's URL: `receptive-field`."""
        return anchor_of(self.name)


def anchor_of(name: str) -> str:
    """Convert a heading to its anchor as GitHub does: lower case, hyphens for spaces, no punctuation."""
    return re.sub(r"[^\w\- ]", "", name.lower()).replace(" ", "-")


@functools.cache
def terms() -> dict[str, Term]:
    """Read the document; return every term by its anchor, in the document's order."""
    by_name: dict[str, Term] = {}
    section = ""
    for block in re.split(r"^(?=##+ )", paths.GLOSSARY.read_text(encoding="utf-8"), flags=re.MULTILINE):
        level, _, entry = block.partition(" ")
        name, _, body = entry.partition("\n")
        if level == "##":
            section = name.strip()
        elif level == "###":
            term = _term(name.strip(), section, body)
            by_name[term.anchor] = term
    return by_name


def _term(name: str, section: str, body: str) -> Term:
    """Parse one entry: a paragraph, then the lines Formula, Seen and Grep."""
    definition, _, details = body.strip().partition("\n\n")
    lines = dict(re.findall(r"^(Formula|Seen|Grep): (.+?)\s*$", details, re.MULTILINE))
    formula = lines["Formula"]
    return Term(
        name=name,
        section=section,
        definition=" ".join(definition.split()),
        formula=formula.strip("`") if formula.startswith("`") else "",
        seen=lines["Seen"],
        word=lines["Grep"].strip("`"),
    )


def explanation(name: str) -> str:
    """Return a term's explanation in Markdown, for the help of a heading or a field.

    Raises:
        KeyError: The glossary has no such term.
    """
    term = terms()[anchor_of(name)]
    formula = f"\n\n`{term.formula}`" if term.formula else ""
    return f"{term.definition}{formula}\n\n[Glossary](glossary?term={term.anchor})"


def term_heading(title: str, name: str | None = None) -> None:
    """Draw a heading with its explanation: `title` is a term, or `name` is the term it is about."""
    st.header(title, anchor=False, help=explanation(name or title))
