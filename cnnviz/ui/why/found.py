"""Attributions and their checks, worked out once for each network, picture, method, class and layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cnnviz.interpret.maps import Floats
from cnnviz.ui.dataset.waiting import Progress
from cnnviz.ui.inside.weights import Network
from cnnviz.ui.pictures.prepared import Prepared
from cnnviz.ui.result_cache import RESULTS
from cnnviz.ui.why.state import Asked

if TYPE_CHECKING:
    from cnnviz.interpret.attribution import Attribution, Method
    from cnnviz.interpret.regions import Check

PLACES = (
    ("at the upper left", "at the top", "at the upper right"),
    ("at the left", "in the middle", "at the right"),
    ("at the lower left", "at the bottom", "at the lower right"),
)
"""Thirds of a picture, down and along."""


@dataclass(frozen=True, eq=False)
class Found:
    """One network's attribution of the picture, and the check on it."""

    network: Network
    ready: Prepared
    attribution: Attribution
    check: Check

    @property
    def target(self) -> str:
        """The class's name."""
        return self.network.loaded.classes[self.attribution.target]


def found(network: Network, ready: Prepared, asked: Asked, first: bool = True) -> Found:
    """The attribution that is asked for; `first` says whether class and layer are of this very network.

    In the network beside, the class is the one of the same name and the layer the one of the same name; where
    there is none, its own answer and its own last block. Raises `ValueError` with one sentence for what
    cannot be attributed.
    """
    target = asked.target if first else alike(network, asked.target_name)
    layer = asked.layer if first or asked.layer in cells(network) else None
    if asked.method != "gradcam":
        layer = None
    attribution, checked = _worked_out(
        network.stamp, ready.digest, asked.method, target, layer, network, ready
    )
    return Found(network, ready, attribution, checked)


def alike(network: Network, name: str | None) -> int | None:
    """The network's class of that name, capitals aside; None where it has none."""
    folded = [one.casefold() for one in network.loaded.classes]
    return folded.index(name.casefold()) if name is not None and name.casefold() in folded else None


def cells(network: Network) -> tuple[str, ...]:
    """The layers that Grad-CAM can look at."""
    from cnnviz.interpret.gradcam import layers_with_cells

    return layers_with_cells(network.analysis)


@RESULTS.cached()
def strip_cells(
    stamp: str, digest: str, target: int, layers: tuple[str, ...], _network: Network, _ready: Prepared
) -> dict[str, Floats]:
    """Grad-CAM at many layers, each `(h, w)`."""
    from cnnviz.interpret.gradcam import grad_cams

    return grad_cams(_network.loaded.model, _ready.tensor, target, layers)


def where(values: Floats) -> str:
    """Where a map is strongest, in words: `at the upper left`, `in the middle`."""
    if not np.any(values > 0):
        return "nowhere"
    row, column = np.unravel_index(int(values.argmax()), values.shape)
    return PLACES[3 * int(row) // values.shape[0]][3 * int(column) // values.shape[1]]


# Without the network and the picture, which are kept once for all that is found with them.
@RESULTS.cached()
def _worked_out(
    stamp: str,
    digest: str,
    method: Method,
    target: int | None,
    layer: str | None,
    _network: Network,
    _ready: Prepared,
) -> tuple[Attribution, Check]:
    from cnnviz.interpret.attribution import attribute
    from cnnviz.interpret.regions import check

    model, progress = _network.loaded.model, Progress()
    attribution = attribute(model, _ready.tensor, method, target, layer, _network.analysis, progress)
    progress.clear()
    return attribution, check(model, _ready.tensor, attribution)
