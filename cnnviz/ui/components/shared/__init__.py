"""What drawn components have in common: reading their files, and the little JavaScript they all need."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from cnnviz.figures.plotly_theme import kind_variables
from cnnviz.figures.sprite_sheet import GAP, Sprite

HERE = Path(__file__).parent
HOST = '<div class="host"></div>'


@st.cache_resource(show_spinner=False)
def component(
    name: str, folder: Path, *, js: tuple[str, ...], css: str | tuple[str, ...] = "", html: str = HOST
) -> Any:
    """Register the component `cnnviz.NAME` with Streamlit, once, and return the function that mounts it.

    Args:
        name: Its name, behind `cnnviz.`.
        folder: Where its files lie; what is not there is taken from the shared ones.
        js: Files of JavaScript, joined in this order.
        css: A file, or several, that stand behind the shared style; none where empty.
        html: Markup, or the name of a file of it; none where empty.
    """
    return st.components.v2.component(
        f"cnnviz.{name}",
        html=(read(folder, html) if html.endswith(".html") else html) or None,
        css=styles(folder, *((css,) if isinstance(css, str) else css)) if css else None,
        js=read(folder, *js),
    )


def read(folder: Path, *names: str) -> str:
    """The files called `names` in `folder`, joined; those that are not there are the shared ones."""
    paths = [folder / name if (folder / name).exists() else HERE / name for name in names]
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


def styles(folder: Path, *names: str) -> str:
    """A component's CSS behind the shared one and the colours of the kinds, and before that of fingers."""
    return (
        f":host {{ {kind_variables()} }}\n{read(folder, 'parts.css', 'figure_menu.css', *names, 'touch.css')}"
    )


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


# Facts and arrays in one piece of bytes: Streamlit hands raw bytes to a component only on their own.

ALIGNED = 8
"""Arrays begin at multiples of so many bytes, so that a browser reads them where they lie."""


def packet(facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray[Any, Any]]) -> bytes:
    """What `unpack` of packet.js reads: the facts, the arrays little-endian in C order, and a digest of all.

    Raises `ValueError` for facts that JSON cannot hold (it has no NaN), `TypeError` for other numbers.
    """
    parts, table, at = [], {}, 0
    for name, array in arrays.items():
        raw = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        table[name] = {"kind": _kind(array), "shape": array.shape, "at": at, "bytes": len(raw)}
        padded = raw + b"\0" * (-len(raw) % ALIGNED)
        parts.append(padded)
        at += len(padded)
    body = b"".join(parts)
    digest = hashlib.blake2b(body, digest_size=12).hexdigest()
    head = json.dumps({"facts": facts, "arrays": table, "digest": digest}, allow_nan=False).encode()
    head += b" " * (-(len(head) + 4) % ALIGNED)
    return len(head).to_bytes(4, "little") + head + body


def _kind(array: np.ndarray[Any, Any]) -> str:
    name = array.dtype.name
    if name not in ("uint8", "int32", "float16", "float32"):
        raise TypeError(f"a packet holds uint8, int32, float16 or float32, not {name}")
    return str(name)
