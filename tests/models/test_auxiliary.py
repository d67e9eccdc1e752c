"""The small network with auxiliary classifiers: its heads by hand, and what it says in training."""

import pytest

from cnnviz.analysis import analyze
from tests.models.weightless import weightless


def head(maps: int) -> int:
    """128 maps of 1×1, then 128 maps of 2×2 to 1024 units, then ten classes."""
    return 128 * (maps + 1) + 1024 * (128 * 4 + 1) + 10 * (1024 + 1)


def test_its_parameters_are_the_trunks_and_two_heads() -> None:
    """4a leaves (192 + 208 + 48 + 64)/2 = 256 maps, 4d (112 + 288 + 64 + 64)/2 = 264."""
    trunk = analyze("small-googlenet-32").total_params
    assert analyze("small-googlenet-32-aux").total_params == trunk + head(256) + head(264)


def test_heads_that_do_not_fit_name_the_smallest_input() -> None:
    with pytest.raises(ValueError, match=r"at least 5×5\. The smallest input that works is 17×17\."):
        weightless("small-googlenet-32-aux", input_size=16)
