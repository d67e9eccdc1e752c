"""Custom Streamlit components; each has a folder of its JavaScript and CSS.

Here is what they share: mounting, reading their files, binary packets. `shared/` holds their common
JavaScript and CSS.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from cnnviz.figures.plotly_theme import kind_variables

SHARED = Path(__file__).with_name("shared")
"""Folder of the JavaScript and CSS that several components use."""
HOST = '<div class="host"></div>'


@st.cache_resource(show_spinner=False)
def component(
    name: str, folder: Path, *, js: tuple[str, ...], css: str | tuple[str, ...] = "", html: str = HOST
) -> Any:
    """Register the component `cnnviz.NAME` with Streamlit, once, and return the function that mounts it.

    Args:
        name: Its name, after `cnnviz.`.
        folder: Folder of its files; a file that is not there is read from the shared ones.
        js: JavaScript files, concatenated in this order.
        css: A CSS file, or several, after the shared style; none if empty.
        html: Markup, or the name of an HTML file; none if empty.
    """
    return register(
        name,
        html=(read(folder, html) if html.endswith(".html") else html) or None,
        css=styles(folder, *((css,) if isinstance(css, str) else css)) if css else None,
        js=read(folder, *js),
    )


def register(name: str, **files: Any) -> Any:
    """Register the component `cnnviz.NAME` with Streamlit and return the function that mounts it.

    The script gets `data` as the only item of an array, or as a `Uint8Array` if it is bytes. Among a dict's
    values Streamlit looks for data frames, for which it imports pandas and pyarrow (70 MB, also where no page
    has a data frame); a list it passes on as it is.
    """
    mount = st.components.v2.component(f"cnnviz.{name}", **files)

    def mount_with(*, data: Any = None, **settings: Any) -> Any:
        return mount(data=data if data is None or isinstance(data, bytes) else [data], **settings)

    return mount_with


def read(folder: Path, *names: str) -> str:
    """Concatenate the files `names` in `folder`; those that are not there are read from the shared ones."""
    paths = [folder / name if (folder / name).exists() else SHARED / name for name in names]
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


def styles(folder: Path, *names: str) -> str:
    """Return a component's CSS, after the shared one and the colors of layer kinds, before that for touch."""
    return (
        f":host {{ {kind_variables()} }}\n{read(folder, 'parts.css', 'figure_menu.css', *names, 'touch.css')}"
    )


def state_callback(key: str, name: str, callback: Callable[[str], None] | None) -> Callable[[], None]:
    """Return a handler for the component under `key` that passes its state `name`, a text, to `callback`."""

    def changed() -> None:
        text = st.session_state[key].get(name)
        if callback is not None and isinstance(text, str):
            callback(text)

    return changed


# Packets: facts and arrays in one bytes object, since Streamlit passes raw bytes to a component only alone.

ALIGNED = 8
"""Alignment of arrays in bytes, so that a browser reads them in place."""


def packet(facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray[Any, Any]]) -> bytes:
    """Serialize for `unpack` of packet.js: facts, arrays (little-endian, C order), a digest of the arrays.

    Raises:
        ValueError: JSON cannot represent the facts (it has no NaN).
        TypeError: An array has another dtype than uint8, int32, float16 or float32.
    """
    parts, table, offset = [], {}, 0
    for name, array in arrays.items():
        raw = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        table[name] = {"kind": _kind(array), "shape": array.shape, "at": offset, "bytes": len(raw)}
        padded = raw + b"\0" * (-len(raw) % ALIGNED)
        parts.append(padded)
        offset += len(padded)
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
