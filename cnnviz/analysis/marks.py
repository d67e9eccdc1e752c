"""What makes two rows the same layer; apart from the alignment, whose numpy the first page needs not."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from cnnviz.analysis.types import Row

CONSEQUENCES = frozenset({"in", "features", "weights"})
"""Settings that an earlier layer decides."""
OWN = ("kernel", "out", "stride", "padding", "groups")
"""Settings that are compared one by one; the rest count together."""

Mark = tuple[Hashable, ...]


def mark(row: Row) -> Mark:
    """What makes two rows the same layer: type, own settings, parameters; not names nor shapes."""
    settings = {key: repr(plain(value)) for key, value in row.settings.items() if key not in CONSEQUENCES}
    own = [settings.pop(key, "") for key in OWN]
    return (f"{row.kind} {row.type}", *own, tuple(sorted(settings.items())), row.params)


def plain(value: Any) -> Any:
    """A setting without its spelling: `[3, 3]` is 3."""
    if isinstance(value, list | tuple):
        return value[0] if value and all(side == value[0] for side in value) else tuple(value)
    return value
