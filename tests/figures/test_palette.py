"""Colors stay apart for color-blind eyes, by the simulation of Machado, Oliveira and Fernandes, 2009."""

import itertools
from collections.abc import Iterable

import numpy as np
import pytest
from numpy.typing import NDArray

from cnnviz.analysis.types import KINDS
from cnnviz.figures.plotly_theme import COMPARED, KIND_COLORS, Theme, kind_variables

VISION = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = np.array([0.9505, 1.0, 1.089])
Array = NDArray[np.float64]


def linear(colour: str) -> Array:
    values = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(light: Array) -> Array:
    ratio = XYZ @ light / WHITE
    f = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def nearest(colours: Iterable[str], vision: Array) -> float:
    """The smallest CIE76 difference of any two."""
    seen = [lab(np.clip(vision @ linear(colour), 0, 1)) for colour in colours]
    return min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(seen, 2))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("vision", VISION)
def test_kinds_stay_apart(theme: Theme, vision: str) -> None:
    assert nearest([colour.of(theme) for colour in KIND_COLORS.values()], VISION[vision]) > 14


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("vision", VISION)
def test_compared_models_stay_apart(theme: Theme, vision: str) -> None:
    assert nearest([colour.of(theme) for colour in COMPARED], VISION[vision]) > 20


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_compared_model_has_no_colour_of_a_kind(theme: Theme) -> None:
    for model in COMPARED:
        assert all(
            nearest([model.of(theme), kind.of(theme)], VISION["normal"]) > 20 for kind in KIND_COLORS.values()
        )


def test_every_kind_has_a_colour() -> None:
    assert tuple(KIND_COLORS) == KINDS
    assert all(f"--kind-{kind}: light-dark(#" in kind_variables() for kind in KINDS)
