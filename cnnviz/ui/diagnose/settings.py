"""In what two recipes differ, as words and as a small table."""

from __future__ import annotations

from html import escape

from cnnviz.experiments.changes import changed
from cnnviz.training.recipe import Recipe
from cnnviz.ui.train.fields import title_of


def in_words(old: Recipe, new: Recipe) -> str:
    """As `learning rate 0.5 → 0.05, scale unit → standardised`; empty where nothing differs."""
    return ", ".join(f"{title_of(field).lower()} {words}" for field, words in changed(old, new))


def in_rows(old: Recipe, new: Recipe) -> str:
    """HTML: each setting that changes, what it is and what it becomes."""
    rows = "".join(
        f'<tr><th scope="row">{escape(title_of(field))}</th>{_becoming(words)}</tr>'
        for field, words in changed(old, new)
    )
    return f'<table class="change"><tbody>{rows}</tbody></table>'


def _becoming(words: str) -> str:
    """The cells of a value's change, the new one in bold; what becomes of a layer list is one cell."""
    was, arrow, will = words.partition(" → ")
    if not arrow or "→" in will:
        return f'<td colspan="3">{escape(words)}</td>'
    return f"<td>{escape(was)}</td><td>→</td><td><b>{escape(will)}</b></td>"
