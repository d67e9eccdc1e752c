"""Layer statistics by hooks, and localization of the first NaN or Inf."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

# Layer statistics of one training step: activations, gradients and weight updates.

_SLOTS = ("mean", "spread", "zeros", "dead", "signal")

_MAPS_OF = 32
"""Images per batch whose feature maps are measured: a sample suffices, and all maps of a GoogLeNet

take as long as several training steps.
"""


@dataclass(frozen=True)
class LayerStats:
    """Statistics of one layer in one step. Fractions are in [0, 1]; None if not applicable to the layer."""

    name: str
    mean: float | None
    spread: float | None
    zeros: float | None
    """Sparsity: fraction of outputs that are exactly 0."""
    dead: float | None
    """Dead units: fraction of channels that are 0 for every image measured, or of units, for the batch."""
    signal: float | None
    """The part of `spread` that differs between images: RMS over outputs of the standard deviation

    over the batch. Biases alone cause a spread, but no signal.
    """
    gradient: float | None
    """L2 norm of the gradients of its weights."""
    update: float | None
    """Update-to-weight ratio: L2 norm of the update over that of the weights; about 1e-3 is usual."""


class LayerStatsHook:
    """Forward hooks that measure one step: `with hook.recording(): forward, backward, optimizer step`."""

    def __init__(self, model: nn.Module) -> None:
        self._layers = _layers(model)
        self._outputs: dict[str, Tensor] = {}
        self._weights: dict[str, list[Tensor]] = {}
        self.is_measuring = True
        """False while outputs of the step are not measured."""

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Register the hooks for the step inside the block."""
        self._outputs.clear()
        self.is_measuring = True
        handles = [part.register_forward_hook(self._hook(name)) for name, part in self._layers.items()]
        self._weights = {
            name: [p.detach().clone() for p in part.parameters(recurse=False)]
            for name, part in self._layers.items()
        }
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    @property
    def measured(self) -> frozenset[str]:
        """Names of the layers that have run since the step began."""
        return frozenset(self._outputs)

    def compute(self) -> list[LayerStats]:
        """Return the statistics of each layer, in a single transfer from the device."""
        names = list(self._layers)
        rows = [self._row(name) for name in names]
        values = torch.stack(rows).cpu().tolist() if rows else []
        return [
            LayerStats(name, *(None if value != value else value for value in row))
            for name, row in zip(names, values, strict=True)
        ]

    def _hook(self, name: str) -> Any:
        def hook(module: nn.Module, args: Any, out: Any) -> None:
            # Reduced at once, since a following in-place activation would modify the output. A scalar is no
            # layer's output, but that of a loss or a metric; and whatever fails here would end the forward
            # pass of somebody's own network.
            measurable = isinstance(out, Tensor) and out.is_floating_point() and out.dim() and out.numel()
            if self.is_measuring and measurable:
                with suppress(RuntimeError, IndexError):
                    self._outputs[name] = _reduced(out.detach())

        return hook

    def _row(self, name: str) -> Tensor:
        parameters = list(self._layers[name].parameters(recurse=False))
        device = parameters[0].device if parameters else None
        statistics = self._outputs.get(name)
        if statistics is None:
            statistics = torch.full((len(_SLOTS),), torch.nan, device=device)
        return torch.cat(
            [statistics, _gradient_and_update(parameters, self._weights[name], statistics.device)]
        )


def _reduced(out: Tensor) -> Tensor:
    """Compute mean, spread, sparsity, fraction of dead channels, and signal of `(N, C, …)` or `(N, F)`."""
    values = (out if out.dim() == 2 else out[:_MAPS_OF]).float()
    is_zero = values == 0
    axes = [axis for axis in range(values.dim()) if axis != 1]
    dead = is_zero.all(dim=0).float().mean() if values.dim() == 2 else is_zero.amin(dim=axes).float().mean()
    # The variance is that within outputs plus that between them: several times faster than `std` and `var`.
    means = values.mean(0)
    mean, within = means.mean(), (values - means).square_().mean()
    spread = (within + (means - mean).square_().mean()).sqrt()
    return torch.stack([mean, spread, is_zero.float().mean(), dead, within.sqrt()])


def _gradient_and_update(
    parameters: list[nn.Parameter], before: list[Tensor], device: torch.device
) -> Tensor:
    """Compute gradient norm and update-to-weight ratio of a layer's own parameters; NaN if it has none."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    if not gradients:
        return torch.full((2,), torch.nan, device=device)
    with torch.no_grad():
        gradient = torch.stack([g.float().norm() for g in gradients]).norm()
        update = torch.stack([(p - b).float().norm() for p, b in zip(parameters, before, strict=True)]).norm()
        weights = torch.stack([b.float().norm() for b in before]).norm()
        return torch.stack([gradient, update / weights.clamp(min=1e-12)])


# Origin of the first NaN or Inf, searched for only after a run has failed.


@dataclass(frozen=True)
class NonFiniteOrigin:
    """Origin of a non-finite value: the record `nonfinite` without its step.

    `what` is `output`, `gradient`, `weights` or `loss`.
    """

    layer: str | None
    """None if no layer can be named."""
    what: str

    @property
    def sentence(self) -> str:
        """Sentence for the error message; empty without a layer."""
        return f" The first to break: the {self.what} of '{self.layer}'." if self.layer else ""


def locate_nonfinite(model: nn.Module, forward: Callable[[], object]) -> NonFiniteOrigin:
    """Locate the first layer with a NaN or Inf in its weights, gradients or outputs.

    Weights are checked before outputs, since the preceding step may have broken them. Gradients flow backward
    from the output, so of several layers with non-finite gradients the one nearest the output is the origin;
    of outputs it is the first one computed. If all of them are finite, the loss itself is.

    Args:
        model: The model, with the weights of the failed step.
        forward: Repeats the forward pass of the failed step.
    """
    layers = _layers(model)
    weights = _nearest_to_output(layers, lambda part: part)
    if weights is not None:
        gradient = _nearest_to_output(layers, lambda part: part.grad)
        return (
            NonFiniteOrigin(weights, "weights") if gradient is None else NonFiniteOrigin(gradient, "gradient")
        )
    output = _first_output(layers, forward)
    return NonFiniteOrigin(None, "loss") if output is None else NonFiniteOrigin(output, "output")


def _layers(model: nn.Module) -> dict[str, nn.Module]:
    """Return the leaf modules by name, except losses and TorchScript modules, which do not support hooks."""
    named = model.named_modules()
    return {
        name: part
        for name, part in named
        if name
        and not any(True for _ in part.children())
        and not isinstance(part, torch.jit.ScriptModule | nn.modules.loss._Loss)
    }


def _nearest_to_output(
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
