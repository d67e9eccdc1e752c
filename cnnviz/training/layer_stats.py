"""Layer statistics by hooks, step by step, and where the first NaN or Inf arose."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

# A look at every layer during one training step: activations, gradients, and how far weights move.

_SLOTS = ("mean", "spread", "zeros", "dead", "signal")

_MAPS_OF = 32
"""Images of a batch whose maps are looked at: thousands of values each say what all would, and a look at
every map of a GoogLeNet takes as long as several steps."""


@dataclass(frozen=True)
class LayerStats:
    """What one layer did in a step. Fractions are in [0, 1]; None where a layer has no such thing."""

    name: str
    mean: float | None
    spread: float | None
    zeros: float | None
    """Part of its outputs that are exactly 0."""
    dead: float | None
    """Part of its channels that are 0 for every image looked at, or of its units for the whole batch."""
    signal: float | None
    """The part of `spread` that tells images apart: of each of its outputs the standard deviation over the
    batch, root mean square over outputs. Biases alone make a spread, but no signal."""
    gradient: float | None
    """L2 norm of its weights' gradient."""
    update: float | None
    """L2 norm of the step, by that of the weights; about 1e-3 is usual."""


class LayerStatsHook:
    """Watches one step: `with observer.watching(): forward, backward, optimiser step`."""

    def __init__(self, model: nn.Module) -> None:
        self._layers = _layers(model)
        self._outputs: dict[str, Tensor] = {}
        self._weights: dict[str, list[Tensor]] = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch the step that is made inside; hooks are there no longer than that."""
        self._outputs.clear()
        handles = [part.register_forward_hook(self._saw(name)) for name, part in self._layers.items()]
        self._weights = {
            name: [p.detach().clone() for p in part.parameters(recurse=False)]
            for name, part in self._layers.items()
        }
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def looks(self) -> list[LayerStats]:
        """What was seen, layer by layer: one transfer from the device for all of it."""
        names = list(self._layers)
        rows = [self._row(name) for name in names]
        values = torch.stack(rows).cpu().tolist() if rows else []
        return [
            LayerStats(name, *(None if value != value else value for value in line))
            for name, line in zip(names, values, strict=True)
        ]

    def _saw(self, name: str) -> Any:
        def hook(module: nn.Module, args: Any, out: Any) -> None:
            # An activation in place that comes next would change what is seen, so it is reduced at once.
            if isinstance(out, Tensor) and out.is_floating_point():
                self._outputs[name] = _reduced(out.detach())

        return hook

    def _row(self, name: str) -> Tensor:
        parameters = list(self._layers[name].parameters(recurse=False))
        device = parameters[0].device if parameters else None
        seen = self._outputs.get(name)
        if seen is None:
            seen = torch.full((len(_SLOTS),), torch.nan, device=device)
        return torch.cat([seen, _moved(parameters, self._weights[name], seen.device)])


def _reduced(out: Tensor) -> Tensor:
    """Mean, spread, fraction of zeros and of dead channels, and signal of `(N, C, …)` or `(N, F)`."""
    values = (out if out.dim() == 2 else out[:_MAPS_OF]).float()
    nothing = values == 0
    around = [axis for axis in range(values.dim()) if axis != 1]
    dead = nothing.all(dim=0).float().mean() if values.dim() == 2 else nothing.amin(dim=around).float().mean()
    spread, signal = values.std(correction=0), values.var(dim=0, correction=0).mean().sqrt()
    return torch.stack([values.mean(), spread, nothing.float().mean(), dead, signal])


def _moved(parameters: list[nn.Parameter], before: list[Tensor], device: torch.device) -> Tensor:
    """Gradient norm and update-to-weight ratio of a layer's own parameters, NaN where it has none."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    if not gradients:
        return torch.full((2,), torch.nan, device=device)
    with torch.no_grad():
        gradient = torch.stack([g.float().norm() for g in gradients]).norm()
        moved = torch.stack([(p - b).float().norm() for p, b in zip(parameters, before, strict=True)]).norm()
        weights = torch.stack([b.float().norm() for b in before]).norm()
        return torch.stack([gradient, moved / weights.clamp(min=1e-12)])


# Where numbers first stopped being numbers, once a run has failed of it; a healthy run never comes here.


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


def locate_nonfinite(model: nn.Module, forward: Callable[[], object]) -> Broken:
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
    """The modules without children, by name; TorchScript ones, which take no hooks, are left out."""
    named = model.named_modules()
    return {
        name: part
        for name, part in named
        if name and not any(True for _ in part.children()) and not isinstance(part, torch.jit.ScriptModule)
    }


def _nearest_the_output(
    layers: dict[str, nn.Module], of: Callable[[nn.Parameter], Tensor | None]
) -> str | None:
    for name, part in reversed(layers.items()):
        if not _finite(of(parameter) for parameter in part.parameters(recurse=False)):
            return name
    return None


def _first_output(layers: dict[str, nn.Module], forward: Callable[[], object]) -> str | None:
    result: list[str] = []

    def watch(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, args: Any, out: Any) -> None:
            if not result and isinstance(out, Tensor) and not _finite([out]):
                result.append(name)

        return hook

    handles = [part.register_forward_hook(watch(name)) for name, part in layers.items()]
    try:
        with torch.no_grad():
            forward()
    finally:
        for handle in handles:
            handle.remove()
    return result[0] if result else None


def _finite(tensors: Iterable[Tensor | None]) -> bool:
    return all(bool(tensor.isfinite().all()) for tensor in tensors if tensor is not None)
