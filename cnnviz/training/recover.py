"""Recovery of runs from their folders: from checkpoints, and from the summary saved beside them.

The summary, `run.json`, has the content of `runs show --json` and is written periodically with a checkpoint
and at the end of a run: from it a recovered run has its name, metrics and status. Without it (workers of
earlier versions) only the contents of the checkpoint are known. Importing this module imports torch.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnviz import tracking
from cnnviz.paths import home
from cnnviz.tracking import Checkpoint, Status
from cnnviz.tracking.lifecycle import RecoveredRun, insert_run, known_keys, set_aside
from cnnviz.tracking.metrics import Value
from cnnviz.tracking.run_files import SUMMARY
from cnnviz.training import checkpoint
from cnnviz.training.queue import UNNAMED
from cnnviz.training.recipe import Recipe, spec_for
from cnnviz.training.setup import device_of
from cnnviz.training.trainer import BEST, LAST

_FOLDER = re.compile(r"([0-9]{6,18})-([0-9a-f]{12})")
_FACTS = ("params", "versions", "hardware", "fingerprint", "notes", "tags")
_ENDS = frozenset((Status.FINISHED, Status.STOPPED, Status.PAUSED, Status.FAILED))


@dataclass(frozen=True)
class Recovery:
    """Result of `recover`."""

    set_aside: Path | None
    """New path of the damaged database; None if none was damaged."""
    runs: tuple[int, ...]
    """Ids of the inserted runs."""
    skipped: tuple[str, ...]
    """A message for each folder that holds no usable data, or whose id another run has."""


def recover() -> Recovery:
    """Move a damaged SQLite database aside and insert every run that has a folder but no row.

    Raises:
        DatabaseUnavailableError: The database is not SQLite, or cannot be created.
    """
    damaged = set_aside()
    inserted, skipped = [], []
    with tracking.connect() as database:
        keys_by_id = known_keys(database)
        for folder in sorted((home() / "runs").glob("*-*")):
            match = _FOLDER.fullmatch(folder.name)
            if match is None or match[2] in keys_by_id.values():
                continue
            try:
                if int(match[1]) in keys_by_id:
                    raise ValueError(f"the database has another run {int(match[1])}")
                run = read_folder(folder, int(match[1]), match[2])
            except ValueError as error:
                skipped.append(f"{folder.name}: {str(error).rstrip('.')}.")
                continue
            insert_run(database, run)
            inserted.append(run.id)
    return Recovery(damaged, tuple(inserted), tuple(skipped))


def read_folder(folder: Path, run_id: int, key: str) -> RecoveredRun:
    """Reconstruct a run from its folder; raise `ValueError` if that is impossible."""
    positions, reasons = {}, []
    for path in (folder / LAST, folder / BEST):
        try:
            positions[path] = checkpoint.position_of(path)
        except (ValueError, KeyError, TypeError) as error:
            if path.exists():
                reasons.append(str(error))
    summary = _summary(folder / SUMMARY)
    if not positions and "recipe" not in summary:
        raise ValueError(reasons[0] if reasons else "there is no checkpoint in it")
    newest = max(positions.values(), key=lambda position: position.step, default=None)
    recipe = Recipe.model_validate(summary["recipe"]) if "recipe" in summary else Recipe.read(newest.recipe)  # type: ignore[union-attr]
    step = newest.step if newest else 0
    steps_per_epoch = _steps_per_epoch(summary, recipe)
    values = _of_summary(summary) or _of_checkpoints(positions.values(), steps_per_epoch)
    return RecoveredRun(
        id=run_id,
        key=key,
        name=str(summary.get("name") or _name(recipe)),
        recipe=recipe.model_dump(mode="json"),
        model=str(summary.get("model") or _model(recipe)),
        dataset=recipe.dataset,
        seed=recipe.seed,
        device=str(summary.get("device") or _device(recipe)),
        status=_status(summary, step),
        attempt=max(1, int(summary.get("attempt") or 1)),
        step=step,
        epoch=step / steps_per_epoch if steps_per_epoch else float(summary.get("epoch") or 0.0),
        created=float(summary.get("created") or folder.stat().st_mtime),
        seconds=float(summary.get("seconds") or 0.0),
        facts={name: summary[name] for name in _FACTS if summary.get(name) is not None}
        | {"total_steps": summary.get("total_steps"), "total_epochs": float(recipe.epochs)}
        | ({} if "fingerprint" in summary or newest is None else {"fingerprint": newest.fingerprint}),
        values=tuple(value for value in values if not positions or value.step <= step),
        checkpoints=tuple(
            Checkpoint(
                path.stem, path.name, 1, position.step,
                position.step / steps_per_epoch if steps_per_epoch else 0.0,
                path.stat().st_size, path.stat().st_mtime,
            )
            for path, position in positions.items()
        ),
    )  # fmt: skip


def _summary(path: Path) -> Mapping[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _status(summary: Mapping[str, Any], step: int) -> Status:
    """Return the final status in the summary if the checkpoint has the same step, else `INTERRUPTED`."""
    name = str(summary.get("status"))
    if name in _ENDS and summary.get("step") == step:
        return Status(name)
    return Status.INTERRUPTED


def _steps_per_epoch(summary: Mapping[str, Any], recipe: Recipe) -> float | None:
    total = summary.get("total_steps")
    return total / recipe.epochs if total else None


def _of_summary(summary: Mapping[str, Any]) -> list[Value]:
    """Return the last and the best value of every metric."""
    result, now = [], time.time()
    scale = summary.get("epoch", 0) / summary["step"] if summary.get("step") else 0.0
    for name, figures in (summary.get("metrics") or {}).items():
        points = {figures["best_step"]: figures["best"], figures["step"]: figures["last"]}
        for step, value in points.items():
            if step is not None:
                result.append(Value(name, step, step * scale, math.nan if value is None else value, now))
    return result


def _of_checkpoints(positions: Any, steps_per_epoch: float | None) -> list[Value]:
    """Return the validation accuracy stored in each checkpoint."""
    scores = {position.step: position.score for position in positions if position.score is not None}
    now = time.time()
    return [
        Value("val/accuracy", s, s / steps_per_epoch if steps_per_epoch else 0.0, score, now)
        for s, score in scores.items()
    ]


def _device(recipe: Recipe) -> str:
    try:
        return str(device_of(recipe))
    except ValueError:
        return "cpu"  # The GPU of the run is not in this machine.


def _name(recipe: Recipe) -> str:
    return recipe.name if recipe.name != UNNAMED else f"{_model(recipe)} on {Path(recipe.dataset).name}"


def _model(recipe: Recipe) -> str:
    try:
        return spec_for(recipe).name
    except ValueError:
        return recipe.model  # The model no longer exists; keep its name.
