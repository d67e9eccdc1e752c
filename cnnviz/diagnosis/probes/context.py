"""What a probe works on: the run's images, its network with fresh weights, and as its checkpoint left it."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from cnnviz import tracking
from cnnviz.diagnosis.evidence.evidence import Evidence
from cnnviz.tracking.stored_checkpoints import checkpoint_file
from cnnviz.training import Recipe, checkpoint
from cnnviz.training.data.tensors import DataModule, Labelled, derive_seed, portion
from cnnviz.training.data.transforms import Statistics, Transform
from cnnviz.training.setup import build_training

if TYPE_CHECKING:
    from cnnviz.datasets import Dataset
    from cnnviz.tracking import Database

MOST_BYTES = 64 << 20
"""Of images that a probe takes together: as floating-point numbers they are 256 MiB."""
MOST_IMAGES = 2_000
"""A share of 2,000 images is known to ± 2.2 points (95 %) at worst: no threshold here asks for more."""
MULTIPLY_ADDS = 1e11
"""Of a probe: two or three seconds on two cores."""


@dataclass(frozen=True)
class ProbeContext:
    """A run to be probed, on this machine's first device, in single precision, one crop an image."""

    evidence: Evidence
    recipe: Recipe
    data_module: DataModule
    transform: Transform
    device: torch.device
    trained: nn.Module | None
    """As the newest checkpoint left it; None where there is none, and `why_untrained` says why."""
    why_untrained: str
    step: int
    """That the checkpoint was written after; 0 without one."""
    macs: int
    """Multiply-adds of one image."""
    _fresh: nn.Module

    @classmethod
    def of(cls, database: Database, evidence: Evidence, dataset: Dataset) -> ProbeContext:
        """Build the network and read the checkpoint; raises `ValueError` as `make_ready` does."""
        plain = {"precision": "fp32", "compile": False, "device": "auto", "ten_crop": False}
        recipe = evidence.recipe.model_copy(update=plain)
        ready = build_training(recipe, dataset)
        device = ready.data_module.train.labels.device
        trained, why, stored = _trained(database, evidence.run, ready.model)
        known = stored and stored.interface
        statistics = known.statistics if known else Statistics.of(ready.data_module.train.images)
        return cls(
            evidence=evidence,
            recipe=recipe,
            data_module=ready.data_module,
            transform=Transform(recipe, _on(statistics, device), ready.side),
            device=device,
            trained=trained,
            why_untrained=why,
            step=stored.position.step if stored else 0,
            macs=ready.macs,
            _fresh=ready.model,
        )

    def fresh(self) -> nn.Module:
        """A network with the run's own first weights, to do with as one likes."""
        return copy.deepcopy(self._fresh)

    def copy(self) -> nn.Module:
        """The trained network, to do with as one likes; only for probes that need a checkpoint."""
        return copy.deepcopy(self.trained or self._fresh)

    def affordable(self, passes: float = 1.0, most: int = MOST_IMAGES) -> int:
        """How many images may go through the network `passes` times; at least 2."""
        return int(max(2, min(most, MULTIPLY_ADDS / max(self.macs * passes, 1.0))))

    def some(self, part: Labelled, most: int, purpose: int = 0) -> tuple[Tensor, Tensor]:
        """At most so many images of a part, uint8 `(N, C, H, W)`, and their labels; always the same.

        Of large images fewer, so that they have at most `MOST_BYTES`.
        """
        rows = self.rows(part, min(most, max(2, portion(part.images.shape, MOST_BYTES))), purpose)
        return part.images[rows], part.labels[rows]

    def rows(self, part: Labelled, most: int, purpose: int = 0) -> Tensor:
        """The rows that `some` takes, int64, in random order."""
        seed = torch.Generator().manual_seed(derive_seed(self.recipe.seed, purpose, 4))
        return torch.randperm(len(part), generator=seed)[:most].to(self.device)


def main_logits(out: Tensor | tuple[Tensor, ...]) -> Tensor:
    """The logits `(N, classes)` of a network that may have auxiliary classifiers."""
    return out[0] if isinstance(out, tuple) else out


def finite(value: float) -> float | None:
    """The value for JSON: None where it is no number."""
    return value if math.isfinite(value) else None


def written(value: float | None) -> str:
    """What `finite` let through, as people read it."""
    return "no number" if value is None else f"{value:.3g}"


def _on(statistics: Statistics, device: torch.device) -> Statistics:
    return Statistics(
        **{field.name: getattr(statistics, field.name).to(device) for field in fields(Statistics)}
    )


def _trained(
    database: Database, run_id: int | None, like: nn.Module
) -> tuple[nn.Module | None, str, checkpoint.Stored | None]:
    """The network as it was last kept, why there is none, and what lies beside the weights."""
    if run_id is None:
        return None, "What ships has no checkpoint to probe.", None
    run = tracking.get_run(database, run_id)
    known = tracking.checkpoints(database, run_id).get("last")
    if known is None:
        why = f"Run {run_id} ({run.status}) has no checkpoint: the first is written after an epoch."
        return None, why, None
    try:
        path = checkpoint_file(run, known)
    except tracking.TrackingError as error:
        return None, str(error), None
    if not path.exists():
        return None, f"The checkpoint of run {run_id} is not on this machine.", None
    stored, model = checkpoint.read(path), copy.deepcopy(like)
    try:
        model.load_state_dict(stored.weights)
    except RuntimeError:
        return None, f"The checkpoint of run {run_id} is of another network than its recipe makes now.", None
    return model.eval(), "", stored
