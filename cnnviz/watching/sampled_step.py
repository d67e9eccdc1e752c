"""Sampled step of a watched loop: its layers, stale gradients, and the input and scale of its loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from cnnviz.training.layer_stats import LayerStats, LayerStatsHook
from cnnviz.watching.loss_functions import LossCall

FEW_PARAMETERS = 8
"""Parameters whose `.grad` buffers are compared with the new gradient: the largest."""


class SampledStep:
    """Measurements of one step, from before its forward pass until after its optimizer step.

    Args:
        step: Number of the step, from 1.
        layer_hook: Hook that measures the layers; None for a network that takes no hooks.
        trained: Parameters that the optimizers update.
    """

    def __init__(self, step: int, layer_hook: LayerStatsHook | None, trained: Sequence[nn.Parameter]) -> None:
        self.facts: dict[str, Any] = {"step": step}
        self._layer_hook = layer_hook
        self._recording = None if layer_hook is None else layer_hook.recording()
        if self._recording is not None:
            self._recording.__enter__()
        largest = sorted(trained, key=lambda p: -p.numel())[:FEW_PARAMETERS]
        self._handles: list[Any] = [
            parameter.register_hook(_stale_check(parameter, self.facts))  # type: ignore[no-untyped-call]
            for parameter in largest
        ]

    def loss_called(self, call: LossCall) -> None:
        """Summarize the input of the step's first loss, and the gradient that its result gets."""
        if "function" in self.facts:
            return
        self.facts |= _loss_input_facts(call.function, call.input, call.target, call.result)
        self.facts["reduction"] = call.reduction
        if call.result is not None and call.result.requires_grad and call.result.dim() == 0:
            facts = self.facts

            def scale(gradient: Tensor) -> None:
                facts.setdefault("scale", float(gradient.detach()))

            call.result.register_hook(scale)  # type: ignore[no-untyped-call]

    def before_step(self, parameters: Sequence[nn.Parameter], backwards: int) -> None:
        """Detect gradients that were cleared between the step's `backwards` and the optimizer's step."""
        gradients = [p.grad for p in parameters if p.grad is not None]
        if gradients and "cleared" not in self.facts:
            flat = torch.stack([g.detach().abs().max().float() for g in gradients])
            self.facts["cleared"] = bool(backwards and float(flat.max()) == 0.0)
        elif not gradients and backwards:
            self.facts["cleared"] = self.facts.get("arrived", False)

    def end(self) -> tuple[dict[str, Any], list[LayerStats]]:
        """Return the facts as JSON-compatible values, and the statistics of the layers."""
        layers = [] if self._layer_hook is None else self._layer_hook.compute()
        self.cancel()
        facts = dict(self.facts)
        stale, fresh, dot = facts.pop("kept2", None), facts.pop("fresh2", None), facts.pop("dot", None)
        if stale is not None and fresh is not None and dot is not None:
            stale, fresh, dot = float(stale), float(fresh), float(dot)
            facts |= {"kept": stale**0.5, "fresh": fresh**0.5}
            total = (stale + 2 * dot + fresh) ** 0.5 if stale + 2 * dot + fresh > 0 else 0.0
            if fresh > 0 and total > 0:
                facts["cosine"] = (dot + fresh) / (total * fresh**0.5)
        facts.pop("seen", None)
        return facts, layers

    def cancel(self) -> None:
        """Remove all hooks."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        if self._recording is not None:
            self._recording.__exit__(None, None, None)
        self._recording = None


def _stale_check(parameter: nn.Parameter, sample: dict[str, Any]) -> Callable[[Tensor], None]:
    """Build a hook that compares, at a step's first gradient, the `.grad` buffer with the new gradient."""

    def arrived(gradient: Tensor) -> None:
        seen = sample.setdefault("seen", set())
        if id(parameter) in seen:
            # A further backward pass of the step.
            empty = parameter.grad is None or not bool(parameter.grad.any())
            sample["cleared_between"] = sample.get("cleared_between", True) and empty
            return
        seen.add(id(parameter))
        sample["arrived"] = True
        fresh = gradient.detach().double()
        stale = torch.zeros_like(fresh) if parameter.grad is None else parameter.grad.detach().double()
        for name, value in (
            ("kept2", stale.square().sum()),
            ("fresh2", fresh.square().sum()),
            ("dot", (stale * fresh).sum()),
        ):
            sample[name] = sample.get(name, 0.0) + value

    return arrived


def _loss_input_facts(
    function: str, loss_input: Tensor, target: Tensor, result: Tensor | None
) -> dict[str, Any]:
    """Summarize the input of a loss function `(N, C)`: bounds, row sums, and row logsumexp."""
    values = loss_input.detach().float()
    facts: dict[str, Any] = {
        "function": function,
        "shape": list(values.shape),
        "target": list(target.shape),
        "low": float(values.min()) if values.numel() else None,
        "high": float(values.max()) if values.numel() else None,
        "loss": float(result.detach().float().mean()) if result is not None else None,
    }
    if values.dim() == 2 and values.shape[1] > 1:
        sums, logsumexp = values.sum(1), values.logsumexp(1)
        facts |= {
            "row_low": float(sums.min()),
            "row_high": float(sums.max()),
            "log_low": float(logsumexp.min()),
            "log_high": float(logsumexp.max()),
        }
    return facts
