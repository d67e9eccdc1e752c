"""How large a layer list may be: it comes from anywhere, and a typo must not cost anyone's memory."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cnnviz.models.layers.base import AnyShape, MisfitError

MAX_LAYERS = 500
MAX_PARAMS = 2_000_000_000
MAX_VALUES = 1_000_000_000
"""That leave all layers together for one image: 4 GB, which backward needs at hand."""
MAX_MACS = 10**13
"""Ten times what the largest of torchvision's networks costs for one image."""


@dataclass
class Budget:
    """What the layers so far cost together; nothing is too much where it is not `bounded`."""

    bounded: bool
    params: int = 0
    values: int = 0
    macs: int = 0

    def spend(self, params: int, out: AnyShape) -> None:
        """Add one layer; raises `MisfitError` where the list becomes larger than anyone can run."""
        self.params += params
        self.values += math.prod(out)
        # Never less than the true count: every weight is used at most once at each position.
        self.macs += params * math.prod(out[1:])
        if self.bounded:
            self._check()

    def _check(self) -> None:
        for amount, limit, what in (
            (self.params, MAX_PARAMS, "parameters"),
            (self.values, MAX_VALUES, "values to keep for one image"),
            (self.macs, MAX_MACS, "multiply-adds for one image"),
        ):
            if amount > limit:
                raise MisfitError(f"with it the list has {amount:,} {what}; at most {limit:,} are allowed.")
