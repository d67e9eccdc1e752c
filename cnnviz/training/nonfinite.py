"""Where numbers first stopped being numbers, once a run has failed of it; a healthy run never comes here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Broken:
    """The record `nonfinite` but its step; `what` is `output`, `gradient`, `weights` or `loss`."""

    layer: str | None
    """None where no layer of its own can be named."""
    what: str

    @property
    def sentence(self) -> str:
        """Ends an error's sentence; empty where there is no layer to name."""
        return f" The first to break: the {self.what} of '{self.layer}'." if self.layer else ""


def broken(model: nn.Module, forward: Callable[[], object]) -> Broken:
    """Find the place: `forward` repeats the failed step's forward pass with the weights it had.

    Weights go before outputs, since the step before may have broken them. Gradients flow from the output
    backwards, so of several layers with broken ones the one nearest the output is where it began; of
    outputs it is the first that was made. Where all of them are finite it is the loss itself.
    """
    layers = _layers(model)
    weights = _nearest_the_output(layers, lambda part: part)
    if weights is not None:
        gradient = _nearest_the_output(layers, lambda part: part.grad)
        return Broken(weights, "weights") if gradient is None else Broken(gradient, "gradient")
    output = _first_output(layers, forward)
    return Broken(None, "loss") if output is None else Broken(output, "output")


def _layers(model: nn.Module) -> dict[str, nn.Module]:
    named = model.named_modules()
    return {name: part for name, part in named if name and not any(True for _ in part.children())}


def _nearest_the_output(
    layers: dict[str, nn.Module], of: Callable[[nn.Parameter], Tensor | None]
) -> str | None:
    for name, part in reversed(layers.items()):
        if not _finite(of(parameter) for parameter in part.parameters(recurse=False)):
            return name
    return None


def _first_output(layers: dict[str, nn.Module], forward: Callable[[], object]) -> str | None:
    found: list[str] = []

    def watch(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, args: Any, out: Any) -> None:
            if not found and isinstance(out, Tensor) and not _finite([out]):
                found.append(name)

        return hook

    handles = [part.register_forward_hook(watch(name)) for name, part in layers.items()]
    try:
        with torch.no_grad():
            forward()
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else None


def _finite(tensors: Iterable[Tensor | None]) -> bool:
    return all(bool(tensor.isfinite().all()) for tensor in tensors if tensor is not None)
