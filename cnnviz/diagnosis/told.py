"""What probes found, a sentence each, for page and command line alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cnnviz.diagnosis.probing import MISSING, probes


def told(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Title and sentence of each probe in `Evidence.probes`; of one that could not be made, why not."""
    known = probes()
    return [
        (known[name].title, str(one[MISSING]) if MISSING in one else known[name].told(one))
        for name, one in found.items()
        if name in known and one
    ]
