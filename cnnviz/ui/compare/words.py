"""A row of an analysis in a few words, for a cell of a table."""

from __future__ import annotations

from typing import Any

from cnnviz.analysis.marks import plain
from cnnviz.analysis.types import Row
from cnnviz.sentences import percent

USUAL = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}


def settings(row: Row) -> str:
    """What a row is set to: `96 maps · 4×4 · stride 2`; its type where it has no settings of note."""
    made = {"conv": "maps", "fc": "units"}.get(row.kind)
    parts = [f"{row.settings['out']:,} {made}"] if made and "out" in row.settings else [row.type]
    if "kernel" in row.settings:
        parts.append(_times(row.settings["kernel"]))
    parts += [
        f"{name} {_side(row.settings[name])}"
        for name, usual in USUAL.items()
        if plain(row.settings.get(name, usual)) != usual
    ]
    if "p" in row.settings:
        parts.append(percent(row.settings["p"]))
    return " · ".join(parts)


def _side(value: Any) -> str:
    return f"{plain(value)}" if isinstance(plain(value), int | str) else _times(value)


def _times(value: Any) -> str:
    sides = value if isinstance(value, list | tuple) else (value, value)
    return "×".join(map(str, sides))
