"""Choices given as K=V."""

from __future__ import annotations

from collections.abc import Sequence


def pairs(given: Sequence[str], example: str) -> dict[str, str]:
    """K=V texts as a dictionary; raises `ValueError` for one without an equals sign."""
    wrong = next((pair for pair in given if "=" not in pair), None)
    if wrong is not None:
        raise ValueError(f"An option is given as K=V, as {example}, not {wrong!r}.")
    return dict(pair.split("=", 1) for pair in given)
