"""What the arithmetic of a layer is drawn of, as one piece of bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cnnviz.interpret.colours import DIVERGING
from cnnviz.ui.components.shared.packet import packet

if TYPE_CHECKING:
    from cnnviz.interpret.arithmetic import Payload, Working


@dataclass(frozen=True, eq=False)
class ArithmeticView:
    """A layer's arithmetic for one picture, and the cell to begin with."""

    payload: Payload
    channel: int
    """Output map, or unit, that is shown; the payload's own where that is of one channel."""
    name: str
    """What a download is called."""
    cell: tuple[int, int] | None = None
    """`(y, x)` on that map; the one with the largest magnitude where None."""
    working: Working | None = None
    """How a cell came about, where the payload leaves each to be asked for."""
    units: Sequence[str] = ()
    """What the values of a vector stand for: classes, behind the last layer."""


def arithmetic_packet(view: ArithmeticView) -> bytes:
    """The view as `main.js` reads it."""
    payload = view.payload
    facts = {
        "layer": payload.layer or "the model",
        "kind": payload.kind,
        "scope": payload.scope,
        "channel": view.channel,
        "cell": view.cell,
        "outputShape": payload.output_shape,
        "settings": payload.settings,
        "note": payload.note,
        "asked": None if view.working is None else view.working.to_dict(),
        "units": list(view.units),
        "name": view.name,
    }
    arrays = {
        name: np.frombuffer(data, "<f4").reshape(shape) for name, (shape, data) in payload.arrays.items()
    }
    return packet(facts, arrays | {"light": DIVERGING["light"], "dark": DIVERGING["dark"]})
