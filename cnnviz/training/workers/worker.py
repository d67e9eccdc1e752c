"""Worker: trains one run from its database row to its end, for worker processes and `cnnviz train`."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from cnnviz import tracking
from cnnviz.datasets import Progress, Step
from cnnviz.device_class import ranks as ranks_of
from cnnviz.device_class import split
from cnnviz.tracking import Command, Database, Lease, MetricWriter, Run, RunFacts, Status
from cnnviz.tracking.run_files import delete_superseded, ensure_local, publish, write_summary
from cnnviz.tracking.store import Store, StoreError, open_store, sha256_of
from cnnviz.training import checkpoint, travel
from cnnviz.training.ranks import SINGLE, Ranks
from cnnviz.training.recipe import Recipe
from cnnviz.training.run_logger import SilentLogger, device_name
from cnnviz.training.setup import build_training, torch_device
from cnnviz.training.trainer import LAST, Trainer
from cnnviz.training.workers.failures import failure_of

SUMMARY_SECONDS = 10.0
"""Interval between summaries of an active run, for recovery of a lost database."""
_VERSIONS = ("torch", "torchvision", "numpy")


def work(
    database: Database,
    lease: Lease,
    progress: Progress,
    interrupted: Callable[[], bool],
    devices: str = "",
) -> Status:
    """Train the leased run until it ends or is stopped, and record how it ended.

    A run resumes from its last checkpoint. Errors of the run become its status, not exceptions; errors of the
    database are raised.

    Args:
        database: The run database.
        lease: From `claim`.
        progress: Progress callback.
        interrupted: Called between steps; returns whether to stop. Commands of pages come through the
            database.
        devices: Names of the run's devices in this process; by default those of its row.
    """
    run = tracking.get_run(database, lease.run_id)
    device_names = split(devices or run.device)
    rank_count = ranks_of(run.device_class)
    if rank_count > 1:
        return _work_together(database, lease, rank_count, device_names)
    try:
        status = train(database, lease, progress, interrupted, device=device_names[0])
    except Exception as error:
        if isinstance(error, tracking.TrackingError) and not isinstance(error, StoreError):
            raise
        failure = failure_of(error)
        return end(database, lease, failure.status, failure.error, failure.last_lines)
    return end(database, lease, status)


def end(
    database: Database, lease: Lease, status: Status, error: str | None = None, last_lines: str | None = None
) -> Status:
    """Record how a run ended, with the reason of an early stop, and write its summary; return the status."""
    stopped = tracking.latest_record(database, lease.run_id, "early_stopping")
    note = stopped.body["note"] if stopped is not None and status is Status.FINISHED else None
    tracking.end(database, lease, status, error, last_lines, note)
    write_summary(database, lease.run_id)
    return status


def _work_together(database: Database, lease: Lease, rank_count: int, devices: tuple[str, ...]) -> Status:
    """Train the run with several ranks, and record how it ended; requeue it if one was lost."""
    from cnnviz.training.workers.group import train_together

    try:
        ending = train_together(database, lease, rank_count, train, devices)
    except tracking.TrackingError:
        raise
    except Exception as error:
        failure = failure_of(error)
        return end(database, lease, failure.status, failure.error, failure.last_lines)
    if ending.status is not None:
        return end(database, lease, ending.status, ending.error, ending.last_lines)
    killed = f"One of its {rank_count} processes was ended from outside, and the others with it."
    status = tracking.requeue_lost(database, lease, ending.error or killed, here=True)
    write_summary(database, lease.run_id)
    return status


def train(
    database: Database,
    lease: Lease,
    progress: Progress,
    interrupted: Callable[[], bool],
    ranks: Ranks = SINGLE,
    device: str = "",
) -> Status:
    """Train the leased run from its last checkpoint, and return its final status.

    Args:
        database: The run database.
        lease: From `claim`.
        progress: Progress callback.
        interrupted: Called between steps; returns whether to stop.
        ranks: The ranks that train it; all but rank 0 only compute.
        device: This rank's device; the run's by default.
    """
    run = tracking.get_run(database, lease.run_id)
    recipe = Recipe.model_validate(run.recipe)
    folder = tracking.run_folder(run.id, run.key)
    store = open_store()
    wait_for_preparation = ranks.preparation()
    if not ranks.prepares:
        wait_for_preparation()  # The first rank of its node downloads the files.
    else:
        checkpoint.clear(folder)
        if store is not None:
            _sync_checkpoints(store, run, tracking.checkpoints(database, run.id), folder)
    recipe = travel.prepare(recipe, run.needs or {}, store)
    dataset = travel.load_data(recipe, run.needs or {}, store, progress)
    if ranks.prepares:
        wait_for_preparation()
    if (folder / LAST).exists():  # The rounding of sums depends on the number of threads.
        torch.set_num_threads(checkpoint.position_of(folder / LAST).threads)
    setup = build_training(recipe, dataset, torch_device(device or split(run.device)[0]))
    log = _DatabaseLog(database, lease, run, store)
    trainer = Trainer(
        setup.recipe, setup.model, setup.data_module, setup.side, log if ranks.first else SilentLogger(),
        folder, setup.macs, ranks=ranks,
    )  # fmt: skip
    notes = [note for note in (setup.note, ranks.note(trainer.model)) if note]
    if (folder / LAST).exists():
        trainer.restore(folder / LAST)
        position = checkpoint.position_of(folder / LAST)
        before = Recipe.read(position.recipe).precision
        if position.world != ranks.world:
            notes.append(f"Resumed by {ranks.world} ranks; the steps before were made by {position.world}.")
        if before != setup.recipe.precision:
            notes.append(f"Resumed in {setup.recipe.precision}; the steps before were made in {before}.")
    ranks.require_same(trainer.step)  # And no rank writes a checkpoint while another one still reads it.
    if not ranks.first:
        return Status.FINISHED if trainer.run() else Status.STOPPED
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

        reached_end = trainer.run(keep_on)
        command = writer.command
    if reached_end:
        return Status.FINISHED
    return Status.PAUSED if command is Command.PAUSE else Status.STOPPED


def _sync_checkpoints(
    store: Store, run: Run, checkpoints: Mapping[str, tracking.Checkpoint], folder: Path
) -> None:
    """Synchronize the run's checkpoints in its folder with the database; delete one that it does not know.

    An attempt on this machine may have left a checkpoint that is older than those of an attempt elsewhere.
    """
    if LAST.partition(".")[0] not in checkpoints:
        (folder / LAST).unlink(missing_ok=True)
    for checkpoint_ in checkpoints.values():
        ensure_local(store, run, checkpoint_)


class _DatabaseLog:
    """Logger that writes to the run database, and uploads checkpoints to the store if there is one."""

    writer: MetricWriter

    def __init__(self, database: Database, lease: Lease, run: Run, store: Store | None) -> None:
        self._database, self._lease, self._run, self._store = database, lease, run, store
        self._failure = ""
        self._summarized = time.monotonic()

    def scalars(self, step: int, epoch: float, values: Mapping[str, float]) -> None:
        self.writer.log_all(values, step, epoch)

    def record(self, step: int, epoch: float, kind: str, value: Any) -> None:
        self.writer.record(kind, value, step, epoch)

    def flush(self) -> None:
        self.writer.flush()

    def saved(self, step: int, epoch: float, path: Path) -> None:
        size, kind, stored = path.stat().st_size, path.stem, None
        if self._store is None:
            digest = sha256_of(path)
        else:
            stored, digest = self._publish(self._store, path, step, epoch)
            if stored is None and self._run.on_cluster:
                return  # Other nodes could not read it: the run resumes from the previous one.
        tracking.add_checkpoint(
            self._database, self._lease, kind, path.name, step, epoch, size, digest, stored
        )
        if self._store is not None and stored is not None:
            delete_superseded(self._store, self._run, kind, keep=stored)
        if path.name == LAST and time.monotonic() - self._summarized > SUMMARY_SECONDS:
            write_summary(self._database, self._lease.run_id)
            self._summarized = time.monotonic()

    def _publish(self, store: Store, path: Path, step: int, epoch: float) -> tuple[str | None, str]:
        """Upload a checkpoint; while the store is unavailable the run continues with its own disk."""
        try:
            published = publish(store, self._run, path, step)
        except StoreError as error:
            if str(error) != self._failure:
                self._failure = str(error)
                consequence = "the run would go on from its last stored checkpoint"
                if not self._run.on_cluster:
                    consequence = "the run can go on on this machine alone"
                note = f"{error} Until it can be, {consequence}."
                self.record(step, epoch, "engine", {"note": note})
            return None, sha256_of(path)
        self._failure = ""
        return published


def _facts(trainer: Trainer) -> RunFacts:
    threads = torch.get_num_threads()
    return RunFacts(
        params=sum(parameter.numel() for parameter in trainer.model.parameters()),
        versions={"python": platform.python_version()} | {package: version(package) for package in _VERSIONS},
        hardware=f"{device_name(trainer.device)}, {threads} thread{'s' if threads > 1 else ''}",
        fingerprint=trainer.data_module.fingerprint,
        total_steps=trainer.total_steps,
        total_epochs=float(trainer.recipe.epochs),
    )
