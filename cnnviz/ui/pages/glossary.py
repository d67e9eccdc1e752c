"""Glossary page: a search field, and the terms by section."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby
from urllib.parse import parse_qsl, urlsplit

import streamlit as st

from cnnviz import paths
from cnnviz.ui.shared import layout, notice, url_state
from cnnviz.ui.shared.glossary import Term, terms
from cnnviz.ui.shared.url_state import quoted

FIND, TERM = "glossary-find", "term"


def glossary() -> None:
    """Draw the term that the URL names, and all terms or those that match the search."""
    selected, find = st.query_params.get(TERM), st.query_params.get("find", "")
    known = terms()
    if selected is not None and selected not in known:
        notice.show([f"The glossary has no term {quoted(selected)}; here are all of them."])
    url_state.show_value(FIND, find)
    st.text_input("Find a term", key=FIND, on_change=_write, placeholder="such as receptive field", width=420)
    if selected in known and not find:
        with st.container(border=True, key="glossary-wanted"):
            _entry(known[selected])
    shown = [term for term in known.values() if _matches(term, find)]
    if not shown:
        st.info(f"No term holds {quoted(find)}. Try a shorter word, or one of the paper or PyTorch.")
    for section, entries in groupby(shown, key=lambda term: term.section):
        _section(section, entries)


def _write() -> None:
    url_state.change(find=str(st.session_state[FIND]).strip() or None, term=None)


def _matches(term: Term, find: str) -> bool:
    """Return whether every word occurs in the term's name, definition or code word."""
    text = f"{term.name} {term.definition} {term.word}".lower()
    return all(word in text for word in find.lower().split())


def _section(section: str, entries: Iterable[Term]) -> None:
    st.header(section, anchor=False)
    for term in entries:
        with st.container(key=f"glossary-{term.anchor}", gap="xsmall"):
            _entry(term)


def _with_code(text: str) -> str:
    """Escape text for Markdown, except for code between backticks."""
    pieces = re.split(r"(`[^`]+`)", text)
    return "".join(piece if piece.startswith("`") else _escaped(piece) for piece in pieces)


def _escaped(piece: str) -> str:
    """Escape a piece of a sentence with the blanks at its ends, which `notice.escape` drops."""
    left, right = (" " if piece[at : at + 1].isspace() else "" for at in (0, len(piece) - 1))
    return f"{left}{notice.escape(piece)}{right}"


def _entry(term: Term) -> None:
    formula = f"  \n`{term.formula}`" if term.formula else ""
    st.markdown(f"**{term.name}.** {_with_code(term.definition)}{formula}")
    addresses = re.findall(r"`(/[^`]*)`", term.seen)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        for address in addresses:
            parts = urlsplit(address)
            page = parts.path.strip("/") or "start"
            label = f"See it on {layout.find_pages(paths.ROOT / 'pages')[page].title}"
            layout.link(page, label, icon=":material/arrow_forward:", **dict(parse_qsl(parts.query)))
        st.caption(f"in the code: `{term.word}`", width="content")
