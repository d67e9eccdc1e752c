"""One run, from its row in the database to its end: what a worker process does, and `cnnviz train`."""

from __future__ import annotations

import errno
import platform
import time
import traceback
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from cnnviz import datasets, tracking
from cnnviz.datasets import Progress, Step
from cnnviz.sentences import full_stop
from cnnviz.tracking import Command, Database, Lease, MetricWriter, RunFacts, Status
from cnnviz.training import checkpoint
from cnnviz.training.flops import device_name
from cnnviz.training.recipe import Recipe
from cnnviz.training.recover import write_summary
from cnnviz.training.setup import build_training
from cnnviz.training.trainer import LAST, NonFiniteLossError, Trainer

SUMMARY_SECONDS = 10.0
"""Between two summaries of a run that goes on, for a database that may be lost."""
_VERSIONS = ("torch", "torchvision", "numpy")


def work(database: Database, lease: Lease, progress: Progress, interrupted: Callable[[], bool]) -> Status:
    """Train the leased run until it ends or somebody stops it, and record how it ended.

    `interrupted` is asked between steps; what a page asks for comes through the database. A run goes on from
    its last checkpoint. Errors of the run end as its state, not as exceptions; what keeps the database from
    being written is raised.
    """
    try:
        status, error, last_lines = _train(database, lease, progress, interrupted), None, None
    except NonFiniteLossError as failure:
        status, error, last_lines = Status.FAILED, str(failure), None
    except OSError as failure:
        full = failure.errno == errno.ENOSPC
        status = Status.PAUSED if full else Status.FAILED
        error, last_lines = _disk_sentence(failure, full), None if full else traceback.format_exc()
    except tracking.TrackingError:
        raise
    except ValueError as failure:
        status, error, last_lines = Status.FAILED, str(failure), None
    except Exception as failure:
        status, error, last_lines = Status.FAILED, _message(failure), traceback.format_exc()
    stopped = tracking.latest_record(database, lease.run_id, "early_stopping")
    note = stopped.body["note"] if stopped is not None and status is Status.FINISHED else None
    tracking.end(database, lease, status, error, last_lines, note)
    write_summary(database, lease.run_id)
    return status


def _train(database: Database, lease: Lease, progress: Progress, interrupted: Callable[[], bool]) -> Status:
    run = tracking.get_run(database, lease.run_id)
    recipe = Recipe.model_validate(run.recipe)
    folder = tracking.run_folder(run.id, run.key)
    checkpoint.clear(folder)
    if (folder / LAST).exists():  # The last bits of a sum depend on how many threads share it.
        torch.set_num_threads(checkpoint.position_of(folder / LAST).threads)
    ready = build_training(recipe, datasets.load(recipe.dataset, progress=progress))
    log = _DatabaseLog(database, lease)
    trainer = Trainer(ready.recipe, ready.model, ready.material, ready.side, log, folder, ready.macs)
    notes = [ready.note] if ready.note else []
    if (folder / LAST).exists():
        trainer.restore(folder / LAST)
        before = Recipe.read(checkpoint.position_of(folder / LAST).recipe).precision
        if before != ready.recipe.precision:
            notes.append(f"Resumed in {ready.recipe.precision}; the steps before were made in {before}.")
    from_step = trainer.step or tracking.FROM_SCRATCH
    tracking.begin(database, lease, from_step, trainer.step / trainer.steps_per_epoch, _facts(trainer))
    with MetricWriter(database, lease) as writer:
        log.writer = writer
        for note in notes:
            log.record(trainer.step, trainer.step / trainer.steps_per_epoch, "engine", {"note": note})

        def keep_on() -> bool:
            progress(Step("Training", trainer.step, trainer.total_steps, "steps"))
            writer.progress(trainer.step, trainer.step / trainer.steps_per_epoch)
            return writer.command is None and not interrupted()

        ended = trainer.run(keep_on)
        asked = writer.command
    if ended:
        return Status.FINISHED
    return Status.PAUSED if asked is Command.PAUSE else Status.STOPPED


class _DatabaseLog:
    """Tells the run database."""

    writer: MetricWriter

    def __init__(self, database: Database, lease: Lease) -> None:
        self._database, self._lease = database, lease
        self._summarized = time.monotonic()

    def scalars(self, step: int, epoch: float, values: Mapping[str, float]) -> None:
        self.writer.log_all(values, step, epoch)

    def record(self, step: int, epoch: float, kind: str, value: Any) -> None:
        self.writer.record(kind, value, step, epoch)

    def flush(self) -> None:
        self.writer.flush()

    def saved(self, step: int, epoch: float, path: Path) -> None:
        size = path.stat().st_size
        tracking.add_checkpoint(self._database, self._lease, path.stem, path.name, step, epoch, size)
        if path.name == LAST and time.monotonic() - self._summarized > SUMMARY_SECONDS:
            write_summary(self._database, self._lease.run_id)
            self._summarized = time.monotonic()


def _facts(trainer: Trainer) -> RunFacts:
    threads = torch.get_num_threads()
    return RunFacts(
        params=sum(parameter.numel() for parameter in trainer.model.parameters()),
        versions={"python": platform.python_version()} | {package: version(package) for package in _VERSIONS},
        hardware=f"{device_name(trainer.device)}, {threads} thread{'s' if threads > 1 else ''}",
        fingerprint=trainer.material.fingerprint,
        total_steps=trainer.total_steps,
        total_epochs=float(trainer.recipe.epochs),
    )


def _disk_sentence(failure: OSError, full: bool) -> str:
    if full:
        return "The disk is full; the last checkpoint is whole. Make room and resume the run."
    return full_stop(f"{failure.filename or 'The system'}: {failure.strerror or failure}")


def _message(failure: Exception) -> str:
    first = str(failure).strip().splitlines()[0] if str(failure).strip() else "no message"
    return f"{type(failure).__name__}: {first}"
