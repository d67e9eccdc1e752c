"""In what two recipes differ, as words and as a small table."""

from __future__ import annotations

from html import escape

from cnnviz.training.differing import value_text
from cnnviz.training.recipe import Recipe
from cnnviz.ui.train.fields import title_of


def in_words(old: Recipe, new: Recipe) -> str:
    """As `learning rate 0.5 → 0.05, scale unit → standardised`; empty where nothing differs."""
    return ", ".join(f"{title_of(field).lower()} {was} → {will}" for field, was, will in _differing(old, new))


def in_rows(old: Recipe, new: Recipe) -> str:
    """HTML: each setting that changes, what it is and what it becomes."""
    rows = "".join(
        f'<tr><th scope="row">{escape(title_of(field))}</th><td>{escape(was)}</td>'
        f"<td>→</td><td><b>{escape(will)}</b></td></tr>"
        for field, was, will in _differing(old, new)
    )
    return f'<table class="change"><tbody>{rows}</tbody></table>'


def _differing(old: Recipe, new: Recipe) -> list[tuple[str, str, str]]:
    """Fields with both values; of options only those that differ."""
    found = []
    for field, (was, will) in old.difference(new).items():
        if isinstance(was, dict) and isinstance(will, dict):
            names = [name for name in {**was, **will} if was.get(name) != will.get(name)]
            was, will = ({name: one[name] for name in names if name in one} for one in (was, will))
        found.append((field, value_text(was), value_text(will)))
    return found
