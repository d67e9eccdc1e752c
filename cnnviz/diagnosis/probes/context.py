"""Probe context: the run's images, and its network at initialization and at the newest checkpoint."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from cnnviz import tracking
from cnnviz.diagnosis.evidence import Evidence
from cnnviz.tracking.run_files import checkpoint_file
from cnnviz.training import Recipe, checkpoint
from cnnviz.training.data import DataModule, Labelled, derive_seed, portion
from cnnviz.training.data.transforms import Statistics, Transform
from cnnviz.training.setup import build_training

if TYPE_CHECKING:
    from cnnviz.datasets import Dataset
    from cnnviz.tracking import Database

MAX_BYTES = 64 << 20
"""Most bytes of a probe's images: 256 MiB as floating-point numbers."""
MAX_IMAGES = 2_000
"""Most images of a probe: a fraction of 2,000 has a 95 % interval of ± 2.2 points at worst, and no threshold
needs more.
"""
MULTIPLY_ADDS = 1e11
"""Budget of a probe: two or three seconds on two cores."""


@dataclass(frozen=True)
class ProbeContext:
    """A run to be probed, on this machine's first device, in single precision, one crop per image."""

    evidence: Evidence
    recipe: Recipe
    data_module: DataModule
    transform: Transform
    device: torch.device
    trained: nn.Module | None
    """Network at the newest checkpoint; None without one, with the reason in `why_untrained`."""
    why_untrained: str
    step: int
    """Step of the checkpoint; 0 without one."""
    macs: int
    """Multiply-adds of one image."""
    _fresh: nn.Module

    @classmethod
    def of(cls, database: Database, evidence: Evidence, dataset: Dataset) -> ProbeContext:
        """Build the network and read the checkpoint; raises `ValueError` as `build_training` does."""
        plain = {"precision": "fp32", "compile": False, "device": "auto", "ten_crop": False}
        recipe = evidence.recipe.model_copy(update=plain)
        setup = build_training(recipe, dataset)
        device = setup.data_module.train.labels.device
        trained, reason, stored = _trained(database, evidence.run, setup.model)
        signature = stored and stored.signature
        statistics = signature.statistics if signature else Statistics.of(setup.data_module.train.images)
        return cls(
            evidence=evidence,
            recipe=recipe,
            data_module=setup.data_module,
            transform=Transform(recipe, _to_device(statistics, device), setup.side),
            device=device,
            trained=trained,
            why_untrained=reason,
            step=stored.position.step if stored else 0,
            macs=setup.macs,
            _fresh=setup.model,
        )

    def fresh(self) -> nn.Module:
        """Return a copy of the network with the run's own initial weights."""
        return copy.deepcopy(self._fresh)

    def copy(self) -> nn.Module:
        """Return a copy of the trained network; only for probes that need a checkpoint."""
        return copy.deepcopy(self.trained or self._fresh)

    def affordable(self, passes: float = 1.0, most: int = MAX_IMAGES) -> int:
        """Return how many images may go through the network `passes` times; at least 2."""
        return int(max(2, min(most, MULTIPLY_ADDS / max(self.macs * passes, 1.0))))

    def some(self, part: Labelled, most: int, purpose: int = 0) -> tuple[Tensor, Tensor]:
        """Sample at most `most` images of a part, uint8 `(N, C, H, W)`, and their labels; always the same.

        Of large images fewer, so that they take at most `MAX_BYTES`.
        """
        rows = self.rows(part, min(most, max(2, portion(part.images.shape, MAX_BYTES))), purpose)
        return part.images[rows], part.labels[rows]

    def rows(self, part: Labelled, most: int, purpose: int = 0) -> Tensor:
        """Return the rows that `some` samples, int64, in random order."""
        seed = torch.Generator().manual_seed(derive_seed(self.recipe.seed, purpose, 4))
        return torch.randperm(len(part), generator=seed)[:most].to(self.device)


def main_logits(out: Tensor | tuple[Tensor, ...]) -> Tensor:
    """Return the logits `(N, classes)` of a network that may have auxiliary classifiers."""
    return out[0] if isinstance(out, tuple) else out


def finite_or_none(value: float) -> float | None:
    """Return the value for JSON: None for NaN and Inf."""
    return value if math.isfinite(value) else None


def format_value(value: float | None) -> str:
    """Format a value of `finite_or_none`."""
    return "no number" if value is None else f"{value:.3g}"


def _to_device(statistics: Statistics, device: torch.device) -> Statistics:
    return Statistics(
        **{field.name: getattr(statistics, field.name).to(device) for field in fields(Statistics)}
    )


def _trained(
    database: Database, run_id: int | None, network: nn.Module
) -> tuple[nn.Module | None, str, checkpoint.CheckpointContents | None]:
    """Return the network at its last checkpoint, or why there is none, and the stored checkpoint."""
    if run_id is None:
        return None, "What ships has no checkpoint to probe.", None
    run = tracking.get_run(database, run_id)
    last = tracking.checkpoints(database, run_id).get("last")
    if last is None:
        reason = f"Run {run_id} ({run.status}) has no checkpoint: the first is written after an epoch."
        return None, reason, None
    try:
        path = checkpoint_file(run, last)
    except tracking.TrackingError as error:
        return None, str(error), None
    if not path.exists():
        return None, f"The checkpoint of run {run_id} is not on this machine.", None
    stored, model = checkpoint.read(path), copy.deepcopy(network)
    try:
        model.load_state_dict(stored.weights)
    except RuntimeError:
        return None, f"The checkpoint of run {run_id} is of another network than its recipe makes now.", None
    return model.eval(), "", stored
