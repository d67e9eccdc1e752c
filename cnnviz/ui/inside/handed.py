"""Weights files that a visitor handed in: read once, kept for this visitor only."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from cnnviz.ui.inside.references import HANDED

if TYPE_CHECKING:
    from cnnviz.inference.loaded import Loaded

KEY = "inside-files"
MOST = 3
"""Networks kept of one visitor."""


def take(name: str, data: bytes, model: str | None) -> str:
    """Read a weights file and keep its network; its reference. Raises `ValueError` that says why not."""
    from cnnviz.inference.files import from_file

    digest = hashlib.blake2b(data + (model or "").encode(), digest_size=8).hexdigest()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights"
        path.write_bytes(data)
        found = _registered(from_file(path, model, name=name))
    kept = _kept()
    kept[f"{HANDED}{digest}"] = found
    for old in list(kept)[:-MOST]:
        del kept[old]
    return f"{HANDED}{digest}"


def _registered(found: Loaded) -> Loaded:
    """The network without the data that its file names, unless they are registered: no path is looked at."""
    from cnnviz import datasets

    return found if found.dataset in datasets.names() else replace(found, dataset="")


def loaded(reference: str) -> Loaded:
    """A network that was handed in; raises `ValueError` for one that this visitor has not."""
    found = _kept().get(reference)
    if found is None:
        raise ValueError(
            "A weights file that was handed in is known only to who did, until the page is closed."
        )
    return found


def names() -> dict[str, str]:
    """References of this visitor's files, and what they are called."""
    return {reference: f"{found.name} · handed in" for reference, found in _kept().items()}


def _kept() -> dict[str, Loaded]:
    kept: dict[str, Loaded] = st.session_state.setdefault(KEY, {})
    return kept
