"""Networks with fresh weights and a picture for them: the same for the app and for the test of it."""

import torch
from torch import Tensor, nn

from cnnviz import models


class Few(nn.Sequential):
    """The kinds of layer that small models of ours do not have, at sizes that one can check."""

    def __init__(self) -> None:
        super().__init__()
        self.add_module("conv", nn.Conv2d(3, 6, 3, stride=2, padding=2, dilation=2, groups=3))
        self.add_module("bn", nn.BatchNorm2d(6))
        self.add_module("gelu", nn.GELU())
        self.add_module("norm", nn.LocalResponseNorm(3, alpha=0.5, k=2.0))
        self.add_module("max", nn.MaxPool2d(3, 2, padding=1, ceil_mode=True))
        self.add_module("mean", nn.AvgPool2d(2, 1, padding=1))
        self.add_module("up", nn.Upsample((5, 7), mode="bilinear"))
        self.add_module("cells", nn.AdaptiveAvgPool2d((2, 3)))
        self.add_module("flatten", nn.Flatten())
        self.add_module("fc", nn.Linear(36, 4))


def network(name: str) -> tuple[nn.Module, Tensor]:
    """The model called `name`, or `few`, in evaluation mode, and one picture `(1, C, H, W)`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        if name == "few":
            model: nn.Module = Few()
            shape = (3, 11, 13)
            batch_norm = model.get_submodule("bn")
            assert isinstance(batch_norm, nn.BatchNorm2d)
            mean, variance = batch_norm.running_mean, batch_norm.running_var
            assert mean is not None
            assert variance is not None
            nn.init.uniform_(mean)
            nn.init.uniform_(variance, 0.5, 2)
        else:
            model, shape = models.build(name), models.get(name).input_shape
        return model.eval(), torch.randn(1, *shape)
