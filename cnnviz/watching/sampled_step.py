"""Sampled step of a watched loop: its layers, stale gradients, and the input and scale of its loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from cnnviz.training.layer_stats import LayerStats, LayerStatsHook
from cnnviz.watching.loss_functions import LossCall
from cnnviz.watching.step_loss import BINARY_LOSSES, activation_of

FEW_PARAMETERS = 8
"""Parameters whose `.grad` buffers are compared with the new gradient: the largest."""
MAX_VALUES = 1 << 16
"""Values of each that are compared, evenly spaced: all of VGG-16's in double precision, held during a step,
would be 2 GB.
"""
INDEPENDENT = 1e-3
"""1 − cos² of the angle between stale and new gradients from which both can be told apart in their sum."""


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
        self._gradients: list[_Gradients] = [_Gradients(parameter) for parameter in largest]
        self._handles: list[Any] = [
            gradients.parameter.register_hook(  # type: ignore[no-untyped-call]
                _harmless(_stale_check(gradients, self.facts))
            )
            for gradients in self._gradients
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

            call.result.register_hook(_harmless(scale))  # type: ignore[no-untyped-call]

    def before_step(self, parameters: Sequence[nn.Parameter], backwards: int) -> None:
        """Detect gradients that were cleared between the step's `backwards` and the optimizer's step."""
        gradients = [p.grad for p in parameters if p.grad is not None and not p.grad.is_sparse]
        if gradients and "cleared" not in self.facts:
            flat = torch.stack([g.detach().abs().max().float() for g in gradients])
            self.facts["cleared"] = bool(backwards and float(flat.max()) == 0.0)
        elif not gradients and backwards:
            self.facts["cleared"] = self.facts.get("arrived", False)
        # Of several optimizers the first: what it clears after its step is not cleared before it.
        if not {"fresh_in_step", "stale_in_step"} & self.facts.keys():
            self.facts |= _composition(self._gradients)
        if "along_weights" not in self.facts:
            with suppress(Exception):  # too little memory
                self.facts |= _along_weights(self._gradients)

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


@dataclass(slots=True)
class _Gradients:
    """Gradients of a parameter in one step: what the buffer held before, and the sum of the new ones.

    Both hold at most `MAX_VALUES` values, float64.
    """

    parameter: nn.Parameter
    stale: Tensor | None = None
    fresh: Tensor | None = None


def _values(gradient: Tensor) -> Tensor:
    """Copy a gradient's values, at most `MAX_VALUES` evenly spaced ones, float64: the buffer is added to."""
    flat = gradient.detach().reshape(-1)
    return flat[:: max(1, -(-flat.numel() // MAX_VALUES))].to(torch.float64, copy=True)


def _composition(every: Sequence[_Gradients]) -> dict[str, float]:
    """Return how much of the new and of the stale gradients the step follows: factors by least squares.

    1 and 1 where gradients are not cleared; 1 and 0 where they were cleared or replaced after the first
    backward pass; 1/k each where the loop divides the sum of k passes before its step.
    """
    seen = [
        one
        for one in every
        if one.fresh is not None and one.parameter.grad is not None and not one.parameter.grad.is_sparse
    ]
    if not seen:
        return {}
    # Sums of scalar products: of the fresh, the stale and the step's gradient.
    ff = fs = ss = fg = sg = 0.0
    for one in seen:
        assert one.fresh is not None
        assert one.parameter.grad is not None
        step = _values(one.parameter.grad)
        ff, fg = ff + float((one.fresh * one.fresh).sum()), fg + float((one.fresh * step).sum())
        if one.stale is not None:
            fs, ss = fs + float((one.fresh * one.stale).sum()), ss + float((one.stale * one.stale).sum())
            sg += float((one.stale * step).sum())
    determinant = ff * ss - fs * fs
    if determinant > INDEPENDENT * ff * ss:
        return {
            "fresh_in_step": (fg * ss - sg * fs) / determinant,
            "stale_in_step": (sg * ff - fg * fs) / determinant,
        }
    return {"fresh_in_step": fg / ff} if ff > 0 and ss == 0 else {}


def _along_weights(every: Sequence[_Gradients]) -> dict[str, float]:
    """Return the median cosine between a weight and its gradient."""
    parameters = [one.parameter for one in every if one.parameter.dim() > 1]
    cosines = [
        functional.cosine_similarity(_values(p.grad), _values(p), dim=0)
        for p in parameters
        if p.grad is not None and not p.grad.is_sparse
    ]
    return {"along_weights": float(torch.stack(cosines).median())} if cosines else {}


def _harmless(hook: Callable[[Tensor], None]) -> Callable[[Tensor], None]:
    """Return a hook that raises nothing, as by too little memory: it would end the user's backward pass."""

    def harmless(gradient: Tensor) -> None:
        with suppress(Exception):
            hook(gradient)

    return harmless


def _stale_check(gradients: _Gradients, sample: dict[str, Any]) -> Callable[[Tensor], None]:
    """Build a hook that compares, at a step's first gradient, the `.grad` buffer with the new gradient."""
    parameter = gradients.parameter

    def arrived(gradient: Tensor) -> None:
        if gradient.is_sparse:  # of an embedding: most rows have none
            sample["arrived"] = True
            return
        seen = sample.setdefault("seen", set())
        fresh = _values(gradient)
        if id(parameter) in seen:
            # A further backward pass of the step.
            empty = parameter.grad is None or not bool(parameter.grad.any())
            if not empty or (gradients.fresh is not None and bool(gradients.fresh.any())):
                # Zeros say nothing where only zeros had come, as to layers above which all units are dead.
                sample["cleared_between"] = sample.get("cleared_between", True) and empty
            gradients.fresh = fresh if gradients.fresh is None else gradients.fresh + fresh
            return
        seen.add(id(parameter))
        sample["arrived"] = True
        stale = torch.zeros_like(fresh) if parameter.grad is None else _values(parameter.grad)
        gradients.fresh, gradients.stale = fresh, stale
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
        "activation": activation_of(loss_input) if loss_input.grad_fn is not None else None,
        "shape": list(values.shape),
        "target": list(target.shape),
        "low": float(values.min()) if values.numel() else None,
        "high": float(values.max()) if values.numel() else None,
        "loss": float(result.detach().float().mean()) if result is not None else None,
    }
    if function in BINARY_LOSSES and target.numel():
        facts |= {"target_low": float(target.detach().min()), "target_high": float(target.detach().max())}
    if values.dim() == 2 and values.shape[1] > 1:
        sums, logsumexp = values.sum(1), values.logsumexp(1)
        facts |= {
            "row_low": float(sums.min()),
            "row_high": float(sums.max()),
            "log_low": float(logsumexp.min()),
            "log_high": float(logsumexp.max()),
        }
    return facts
