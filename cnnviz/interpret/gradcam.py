"""Grad-CAM (Selvaraju et al., 2017): a layer's maps, each weighted by a class's mean gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from cnnviz.analysis.types import Analysis, Row
from cnnviz.interpret.errors import InterpretError
from cnnviz.interpret.maps import Floats
from cnnviz.interpret.names import unknown
from cnnviz.interpret.twin import twin

_BELONGS = ("norm", "activation", "other")
"""Kinds that end a convolution's block."""


def default_layer(analysis: Analysis | None) -> str:
    """The last convolutional block's output: its last convolution and what follows on the same cells.

    Raises `InterpretError` for a model without convolutions that leave a grid of cells.
    """
    rows = [] if analysis is None else [row for row in analysis.predicting if row.name]
    last = max(
        (i for i, row in enumerate(rows) if row.kind == "conv" and _grid(row) is not None), default=None
    )
    if last is None:
        raise InterpretError("No convolution of this model leaves a grid of cells; choose a layer.")
    end = last
    for number in range(last + 1, len(rows)):
        row = rows[number]
        same = _grid(row) == _grid(rows[last]) and not row.type.startswith("Dropout")
        if row.kind not in _BELONGS or not same:
            break
        end = number
    return rows[end].name


def layers_with_cells(analysis: Analysis) -> tuple[str, ...]:
    """The layers that Grad-CAM can look at, in order: modules whose output is maps of more than one cell."""
    return tuple(row.name for row in analysis.predicting if row.name and row.calls and _grid(row) is not None)


def _grid(row: Row) -> tuple[int, int] | None:
    shape = row.output_shape
    return (shape[1], shape[2]) if len(shape) == 3 and shape[1] * shape[2] > 1 else None


def grad_cam(model: nn.Module, image: Tensor, target: int, layer: str) -> Floats:
    """The class activation map at `layer` for one image `(1, C, H, W)`, float32 `(h, w)`, never below 0.

    Of a module that is called several times, the last call counts. Raises `UnknownLayerError` for a layer
    that is not a module, and `InterpretError` for one that gives no maps.
    """
    from captum.attr import LayerGradCam

    other = twin(model)
    modules = dict(other.named_modules())
    if layer not in modules:
        raise unknown(layer, modules)
    found = LayerGradCam(other, modules[layer]).attribute(image, target, relu_attributions=True)
    if not isinstance(found, Tensor) or found.dim() != 4:
        raise InterpretError(f"'{layer}' gives no maps, so Grad-CAM has nothing to weigh there.")
    array: Floats = found[0, 0].detach().cpu().float().numpy()
    return array


def grad_cams(model: nn.Module, image: Tensor, target: int, layers: Sequence[str]) -> dict[str, Floats]:
    """The class activation maps of many layers from one pass forward and one back; as `grad_cam` each."""
    other = twin(model)
    modules = dict(other.named_modules())
    outputs: dict[str, Tensor] = {}

    def hook(name: str) -> Any:
        def keep(module: nn.Module, args: Any, out: Any) -> Tensor:
            # The first layer's output is where gradients begin to be followed.
            outputs[name] = out if out.requires_grad else out.detach().requires_grad_()
            # What comes next may work in place; it must not on what is kept.
            return outputs[name].clone()

        return keep

    for name in layers:
        if name not in modules:
            raise unknown(name, modules)
        modules[name].register_forward_hook(hook(name))
    score = other(image)[0, target]
    gradients = torch.autograd.grad(score, [outputs[name] for name in layers])
    found = {}
    for name, gradient in zip(layers, gradients, strict=True):
        if gradient.dim() != 4:
            raise InterpretError(f"'{name}' gives no maps, so Grad-CAM has nothing to weigh there.")
        weighted = (gradient.mean(dim=(2, 3), keepdim=True) * outputs[name]).sum(dim=1)
        found[name] = functional.relu(weighted)[0].detach().cpu().float().numpy()
    return found


def enlarged(cells: Floats, size: tuple[int, int]) -> Floats:
    """A map `(h, w)` at another size `(H, W)`, bilinearly."""
    wide = torch.from_numpy(cells)[None, None]
    array: Floats = functional.interpolate(wide, size, mode="bilinear", align_corners=False)[0, 0].numpy()
    return array
