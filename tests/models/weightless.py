"""Models without memory for their weights, each default built once."""

import functools
from typing import Any

import torch
from torch import Tensor, nn

from cnnviz.models import ModelSpec, Shape, build, get
from cnnviz.models.torchvision_metadata import Weightless


def weightless(model: str | ModelSpec, **choices: Any) -> nn.Module:
    """A model on the meta device, in evaluation mode; `choices` as for `build`."""
    with Weightless():
        return build(model, **choices).to("meta").eval()


@functools.cache
def default(name: str) -> nn.Module:
    """The model as registered."""
    return weightless(name)


def output(module: nn.Module, shape: Shape) -> tuple[int, ...]:
    """What a batch of two images of `shape` becomes."""
    with torch.no_grad():
        out: Tensor = module(torch.empty(2, *shape, device="meta"))
    return tuple(out.shape)


def trainable(module: nn.Module) -> int:
    """How many parameters training changes."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def rows(name: str, **choices: Any) -> dict[str, tuple[tuple[int, ...], int]]:
    """By qualified name, what leaves each module for the default input, and the parameters inside it."""
    module = weightless(name, **choices)
    result: dict[str, tuple[tuple[int, ...], int]] = {}

    def record(part: nn.Module, qualified: str) -> None:
        part.register_forward_hook(
            lambda _part, _inputs, out: result.update({qualified: (tuple(out.shape[1:]), trainable(part))})
        )

    for qualified, part in module.named_modules():
        record(part, qualified)
    output(module, get(name).input_shape)
    return result
