"""What an initialization says of its spread is what torch draws."""

from typing import Literal

import pytest
import torch
from torch import nn

from cnnviz.models.layers import Init


@pytest.mark.parametrize("weights", ["default", "he", "glorot", "normal"])
def test_the_deviation_is_that_of_the_weights(weights: Literal["default", "he", "glorot", "normal"]) -> None:
    torch.manual_seed(0)
    init = Init(weights=weights, std=0.03)
    conv = nn.Conv2d(32, 64, 5, groups=2)
    init.apply(conv)
    drawn = float(conv.weight.detach().std())
    assert drawn == pytest.approx(init.deviation(16 * 25, 64 * 25), rel=0.02)
