"""Recover runs from their folders: from checkpoints, and from the summary that a worker leaves beside them.

The summary, `run.json`, is what `runs show --json` prints, written with a checkpoint now and then and when a
run ends: with it a recovered run has its name, figures and state. Without it, from a worker of an earlier
version, there is what the checkpoint itself says. Importing this imports torch.
"""

from __future__ import annotations

import json
import math
import os
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnviz import tracking
from cnnviz.models.library import home
from cnnviz.tracking import Checkpoint, Database, Status
from cnnviz.tracking.lifecycle import RecoveredRun, insert_run, known_keys, set_aside
from cnnviz.tracking.metrics import Value
from cnnviz.training import checkpoint
from cnnviz.training.queue import UNNAMED
from cnnviz.training.recipe import Recipe, spec_for
from cnnviz.training.setup import device_of
from cnnviz.training.trainer import BEST, LAST

SUMMARY = "run.json"
_FOLDER = re.compile(r"([0-9]{6,18})-([0-9a-f]{12})")
_FACTS = ("params", "versions", "hardware", "fingerprint", "notes", "tags")
_ENDS = frozenset((Status.FINISHED, Status.STOPPED, Status.PAUSED, Status.FAILED))


@dataclass(frozen=True)
class Recovery:
    """What became of the runs' folders."""

    set_aside: Path | None
    """The damaged database under its new name; None where there was none."""
    runs: tuple[int, ...]
    """Numbers of the runs that were inserted."""
    skipped: tuple[str, ...]
    """A sentence for each folder that tells nothing, or whose number another run has."""


def write_summary(database: Database, run_id: int) -> None:
    """Leave a run's summary in its folder; where that cannot be done the run goes on all the same."""
    with suppress(OSError, tracking.TrackingError):
        run = tracking.get_run(database, run_id)
        folder = tracking.run_folder(run.id, run.key)
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".{SUMMARY}.{os.getpid()}.tmp"
        document = tracking.report(database, run_id) | {"total_steps": run.total_steps}
        try:
            temporary.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
            temporary.replace(folder / SUMMARY)
        finally:
            temporary.unlink(missing_ok=True)


def recover() -> Recovery:
    """Set a damaged SQLite database aside and insert every run that has a folder and no row.

    Raises `DatabaseUnavailableError` where the database is no SQLite file or cannot be made.
    """
    damaged = set_aside()
    inserted, skipped = [], []
    with tracking.connect() as database:
        known = known_keys(database)
        for folder in sorted((home() / "runs").glob("*-*")):
            match = _FOLDER.fullmatch(folder.name)
            if match is None or match[2] in known.values():
                continue
            try:
                if int(match[1]) in known:
                    raise ValueError(f"the database has another run {int(match[1])}")
                run = read_folder(folder, int(match[1]), match[2])
            except ValueError as error:
                skipped.append(f"{folder.name}: {str(error).rstrip('.')}.")
                continue
            insert_run(database, run)
            inserted.append(run.id)
    return Recovery(damaged, tuple(inserted), tuple(skipped))


def read_folder(folder: Path, run_id: int, key: str) -> RecoveredRun:
    """What a run's folder tells of it; raises `ValueError` where that is nothing."""
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
    each = _steps_per_epoch(summary, recipe)
    values = _of_summary(summary) or _of_checkpoints(positions.values(), each)
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
        epoch=step / each if each else float(summary.get("epoch") or 0.0),
        created=float(summary.get("created") or folder.stat().st_mtime),
        seconds=float(summary.get("seconds") or 0.0),
        facts={name: summary[name] for name in _FACTS if summary.get(name) is not None}
        | {"total_steps": summary.get("total_steps"), "total_epochs": float(recipe.epochs)}
        | ({} if "fingerprint" in summary or newest is None else {"fingerprint": newest.fingerprint}),
        values=tuple(value for value in values if not positions or value.step <= step),
        checkpoints=tuple(
            Checkpoint(
                path.stem, path.name, 1, position.step, position.step / each if each else 0.0,
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
    """The end that the summary tells of, if the checkpoint is of that end; else it was interrupted."""
    known = str(summary.get("status"))
    if known in _ENDS and summary.get("step") == step:
        return Status(known)
    return Status.INTERRUPTED


def _steps_per_epoch(summary: Mapping[str, Any], recipe: Recipe) -> float | None:
    total = summary.get("total_steps")
    return total / recipe.epochs if total else None


def _of_summary(summary: Mapping[str, Any]) -> list[Value]:
    """The last and the best value of every metric."""
    result, now = [], time.time()
    scale = summary.get("epoch", 0) / summary["step"] if summary.get("step") else 0.0
    for name, figures in (summary.get("metrics") or {}).items():
        points = {figures["best_step"]: figures["best"], figures["step"]: figures["last"]}
        for step, value in points.items():
            if step is not None:
                result.append(Value(name, step, step * scale, math.nan if value is None else value, now))
    return result


def _of_checkpoints(positions: Any, each: float | None) -> list[Value]:
    """What a checkpoint itself knows: the validation accuracy that it was kept for."""
    scores = {position.step: position.score for position in positions if position.score is not None}
    now = time.time()
    return [Value("val/accuracy", s, s / each if each else 0.0, score, now) for s, score in scores.items()]


def _device(recipe: Recipe) -> str:
    try:
        return str(device_of(recipe))
    except ValueError:
        return "cpu"  # The GPU that it was trained on is not here.


def _name(recipe: Recipe) -> str:
    return recipe.name if recipe.name != UNNAMED else f"{_model(recipe)} on {Path(recipe.dataset).name}"


def _model(recipe: Recipe) -> str:
    try:
        return spec_for(recipe).name
    except ValueError:
        return recipe.model  # It has gone; the row says what it was.
