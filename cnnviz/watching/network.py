"""Layer table and graph of a watched network, as a JSON record for pages and diagnosis."""

from __future__ import annotations

from typing import Any

from torch import nn

from cnnviz.analysis import Analysis
from cnnviz.analysis import analyze as analyze_module
from cnnviz.analysis.precomputed import encode
from cnnviz.models.builder import meta_copy


def analyze(model: nn.Module, shape: tuple[int, ...]) -> tuple[Analysis | None, str]:
    """Analyze a network on a copy on the meta device; None and the reason where that fails."""
    if len(shape) != 3:
        return None, f"Only networks that read images (C, H, W) are analysed, not {shape}."
    inner = getattr(model, "_orig_mod", None) or (
        model.module if isinstance(model, nn.DataParallel) else model
    )
    try:
        copied = meta_copy(inner)
        for part in copied.modules():  # hooks, ours and others', must not run in the analysis
            for hooks in (part._forward_hooks, part._forward_pre_hooks):
                hooks.clear()
        return analyze_module(copied, (shape[0], shape[1], shape[2])), ""
    except Exception as error:
        return None, str(error)


def body(analysis: Analysis, model: nn.Module) -> dict[str, Any]:
    """Return the analysis as JSON-compatible values, with the rate of each dropout layer."""
    return {"analysis": encode(analysis), "why": "", "dropout": _dropout(model)}


def plain_body(model: nn.Module, why: str) -> dict[str, Any]:
    """Return names, types and parameter counts of the layers, for a network that cannot be analyzed."""
    layers = [
        {"name": name, "type": type(part).__name__, "params": sum(p.numel() for p in part.parameters())}
        for name, part in model.named_modules()
        if name and not any(True for _ in part.children())
    ]
    return {"analysis": None, "why": why, "layers": layers, "dropout": _dropout(model)}


def _dropout(model: nn.Module) -> dict[str, float]:
    return {
        name: float(part.p)
        for name, part in model.named_modules()
        if isinstance(part, nn.modules.dropout._DropoutNd) and part.p > 0
    }
