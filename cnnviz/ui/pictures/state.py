"""Which picture the URL means: `sample:NAME`, `test:ROW`, `handed:NUMBER`, `drawn` or `camera`.

What was handed in or drawn is this visitor's: its address opens for others what they would see without it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from cnnviz.ui import url_state
from cnnviz.ui.inside.address import put

Kind = Literal["sample", "test", "handed", "drawn", "camera"]
WITH_DETAIL = {"sample": r"[\w.-]{1,80}", "test": r"[0-9]{1,9}", "handed": r"[0-9]{1,6}"}
"""Kinds that say more, and what it may be."""
PLAIN = ("drawn", "camera")


@dataclass(frozen=True)
class Asked:
    """Which picture, as the URL says it."""

    kind: Kind
    detail: str = ""

    @property
    def text(self) -> str:
        """As it stands in the URL."""
        return f"{self.kind}:{self.detail}" if self.detail else self.kind


def read(text: str | None) -> tuple[Asked | None, str | None]:
    """What `picture=` says, and a sentence where it says nothing sensible."""
    if text is None:
        return None, None
    kind, _, detail = text.partition(":")
    if kind in PLAIN and not detail:
        return Asked(kind), None  # type: ignore[arg-type]
    if kind in WITH_DETAIL and re.fullmatch(WITH_DETAIL[kind], detail):
        return Asked(kind, detail), None  # type: ignore[arg-type]
    forms = "sample:NAME, test:NUMBER, handed:NUMBER, drawn or camera"
    return None, f"“picture” cannot be {url_state.quoted(text)}; it can be {forms}."


def choose(text: str) -> None:
    """Make a picture the chosen one, for use in callbacks."""
    put(picture=text)
