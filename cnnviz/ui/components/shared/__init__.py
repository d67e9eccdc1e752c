"""What drawn components have in common: reading their files, and the little JavaScript they all need."""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from cnnviz.figures.palette import kind_variables
from cnnviz.figures.sprite import GAP, Sprite

HERE = Path(__file__).parent


def read(folder: Path, *names: str) -> str:
    """The files called `names` in `folder`, joined; those that are not there are the shared ones."""
    paths = [folder / name if (folder / name).exists() else HERE / name for name in names]
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


def styles(folder: Path, name: str) -> str:
    """A component's CSS behind the shared one and the colours of the kinds."""
    return f":host {{ {kind_variables()} }}\n{read(folder, 'parts.css', name)}"


def sheet(sprite: Sprite) -> dict[str, Any]:
    """Many small pictures as a component's script takes them."""
    return {
        "png": base64.b64encode(sprite.png).decode(),
        "columns": sprite.columns,
        "rows": sprite.lines,
        "size": [sprite.height, sprite.width],
        "gap": GAP,
    }


def says(key: str, what: str, tell: Callable[[str], None] | None) -> Callable[[], None]:
    """A callback for the component under `key`: `tell` is called with the text that it has set `what` to."""

    def changed() -> None:
        text = st.session_state[key].get(what)
        if tell is not None and isinstance(text, str):
            tell(text)

    return changed
