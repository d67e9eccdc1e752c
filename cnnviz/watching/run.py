"""Watched run: records a user's training loop in the run database from its first step to its end.

Nothing here may break the loop: an internal error becomes one warning, and watching ends.
"""

from __future__ import annotations

import itertools
import os
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cnnviz import tracking
from cnnviz.diagnosis import diagnose, gather
from cnnviz.diagnosis.evidence.loop import LoopImages
from cnnviz.diagnosis.outcome import describe_probes
from cnnviz.tracking import Command, Database, Kind, MetricWriter, RunFacts, Status
from cnnviz.training.layer_stats import LayerStats, locate_nonfinite
from cnnviz.training.metrics import EpochMetrics, NonFiniteLossError, describe_batch_norm
from cnnviz.training.optimizer import layer_rates
from cnnviz.training.run_logger import Pace, PeakFlops
from cnnviz.training.trainer import LOG_EARLY, LOG_EVERY
from cnnviz.watching import diagnosing, loss_functions, recording, step_loss
from cnnviz.watching.diagnosing import Report
from cnnviz.watching.loop_facts import unregistered
from cnnviz.watching.monitor import LoopMonitor
from cnnviz.watching.recording import EvaluationPass
from cnnviz.watching.step_loss import StepLoss

UNSEEN = 10
"""Steps without a loss after which a warning explains how to pass it."""
FACTS_EVERY, FACTS_PART = 5.0, 0.002
"""Seconds between writes of the loop facts, and the part of the time that they may take, since they grow with
the run; they are also written at the end and for a diagnosis.
"""
COPIED = 100
"""Steps in which losses and predictions are copied, to see whether the loop writes over its tensors."""
WRITE_EVERY = 2.0
"""Seconds between transactions: each costs milliseconds of the loop's own process."""
MAX_CLASSES = 1_000
"""Most classes for which a confusion matrix is recorded."""


_MIXED = (
    "Two losses of one output with different labels were added, as mixup and CutMix do. The first of them is "
    "recorded, which is not the loss that is minimized: call run.step(loss, logits, labels) with the sum. "
    "The training accuracy is that of mixed images, so that a diagnosis does not use it."
)


class WatchWarning(UserWarning):
    """Warning about the watching, not about the loop."""


class WatchedRun:
    """A watched training loop, created by `cnnviz.watch`.

    As a context manager it ends with its block, as failed where the block raises. Otherwise it ends with
    `finish`, with the process, or with the exception that ends the process.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizers: list[torch.optim.Optimizer],
        *,
        name: str = "",
        dataset: str = "",
        classes: Sequence[str] | None = None,
        steps_per_epoch: int | None = None,
        database: Database | str | None = None,
        framework: str = "torch",
    ) -> None:
        self.ended: Status | None = None
        self.id: int | None = None
        self._model, self._optimizers = model, optimizers
        self._classes, self._steps_per_epoch = tuple(classes or ()), steps_per_epoch
        self._pid, self._framework = os.getpid(), framework
        self._epoch_ends: list[int] = []
        self._metrics: EpochMetrics | None = None
        self._waiting: list[tuple[int, StepLoss]] = []
        self._overwrites = False
        self._images = {"train": 0, "test": 0, "validation": 0}
        self._image_count = 0
        self._distinct = 0
        """Number of different training images, where they come again as they were."""
        self._shape: tuple[int, ...] = ()
        self._facts_due = 0.0
        self._nonfinite = self._mixed = False
        self._notes: list[str] = []
        self._macs = 0
        compiled = hasattr(model, "_orig_mod") or isinstance(model, nn.DataParallel)
        self.monitor = LoopMonitor(model, optimizers, self, layers=not compiled)
        if compiled:
            kind = "A compiled model" if hasattr(model, "_orig_mod") else "A DataParallel model"
            self._note(
                f"{kind} is watched without its layers: pass the module itself to cnnviz.watch for these."
            )
        self._open(database, model, name, dataset)

    def _open(self, database: Database | str | None, model: nn.Module, name: str, dataset: str) -> None:
        try:
            recording.check_hooks(model)
            opened = database if isinstance(database, Database) else tracking.connect(database)
            self._own_database = opened is not database
            self._database = opened
            device = next((p.device for p in model.parameters()), torch.device("cpu"))
            self._lease = tracking.create_external_run(
                opened, Kind.WATCHED, model=recording.class_name(model), dataset=dataset or "my own data",
                name=name, device=str(device), recipe=recording.settings(self._optimizers),
                process=(self._pid, psutil.Process().create_time()),
            )  # fmt: skip
            self.id = self._lease.run_id
            tracking.describe_run(opened, self._lease, recording.facts(model, device))
            self._writer = MetricWriter(opened, self._lease, every=WRITE_EVERY)
        except (ValueError, OSError) as error:
            self.ended = Status.FAILED
            warnings.warn(f"cnnviz.watch does not record this run. {error}", WatchWarning, stacklevel=4)
            return
        log = recording.Log(self._writer)
        self._report = recording.Reporter(log, Pace(device, 0, PeakFlops(1.0, "unknown")), self._epoch)
        self._report.batch_norm(0, describe_batch_norm(model))
        self._probe_inputs = diagnosing.ProbeInputs(model)
        self.monitor.attach()
        loss_functions.listen(self.monitor)
        recording.register(self)

    # Public methods, for the loop.

    @property
    def should_stop(self) -> bool:
        """Whether a stop was requested in the app or on the command line; poll it in your loop."""
        if self.ended is not None:
            return False
        try:
            return self._writer.command is Command.STOP
        except tracking.TrackingError:
            return False

    @property
    def step_count(self) -> int:
        """Optimizer steps so far."""
        return self.monitor.step

    def step(self, loss: Tensor, logits: Tensor | None = None, labels: Tensor | None = None) -> None:
        """Record a loss that torch's own functions do not compute; call it before the optimizer's step.

        Args:
            loss: Loss of this batch, a scalar.
            logits: Output of the network, `(N, classes)`, or one value an image for two classes.
            labels: Class indices `(N,)`, or probabilities `(N, classes)`.
        """
        if self.ended is None:
            with self._errors_reported():
                self.monitor.add_loss(loss, logits, labels)

    def evaluate(self, logits: Tensor, labels: Tensor, part: str = "test") -> None:
        """Record the predictions for a batch of an evaluation pass; call it for each batch.

        Args:
            logits: Output of the network, `(N, classes)`; for two classes also `(N,)` or `(N, 1)`, logits or
                probabilities as in training.
            labels: Class indices `(N,)`; beside one output `(N, 1)` and floating-point values too.
            part: `test` or `validation`.

        Raises:
            ValueError: For another part, or other shapes.
        """
        if part not in ("test", "validation"):
            raise ValueError(f"Images that are judged are 'test' or 'validation', not {part!r}.")
        may_be_binary = self.monitor.probability is not None or not self.monitor.facts.classes
        is_binary = may_be_binary and all(step_loss.has_one_output(given) for given in (logits, labels))
        if not (is_binary or (logits.dim() == 2 and labels.dim() == 1)) or len(logits) != len(labels):
            raise ValueError(
                "run.evaluate takes logits (N, classes) and class numbers (N,), or one value an image, not "
                f"{tuple(logits.shape)} and {tuple(labels.shape)}."
            )
        if self.ended is None:
            with self._errors_reported():
                self.monitor.evaluate(logits, labels, part)

    def diagnose(self, probes: bool = False) -> Report:
        """Diagnose the loop from what was recorded so far.

        Args:
            probes: Also run some seconds of checks on copies of the network: the loss at initialization, the
                gradient of each layer, and whether it overfits one batch. The loop is not affected.

        Raises:
            RuntimeError: For a run that was not recorded.
        """
        if self.id is None:
            raise RuntimeError("This run was not recorded, so there is nothing to judge; a warning said why.")
        if self.ended is None:
            self.monitor.finish()
            self._report_step(self.monitor.step, force=True)
            self._write_facts()
            self._write_agreement()
            self._writer.flush()
        evidence = gather(self._database, self.id)
        if probes:
            self._probe_inputs.probability = self.monitor.probability
            with self.monitor.paused():
                evidence = diagnosing.run_probes(self._model, self._probe_inputs, evidence, self._macs)
        return Report(diagnose(evidence), tuple(describe_probes(evidence.probes)))

    def finish(self) -> None:
        """End the run, as stopped where that was requested, else as finished; a second call does nothing."""
        self._end(Status.STOPPED if self.should_stop else Status.FINISHED)

    def fail(self, error: BaseException) -> None:
        """End the run as failed, with the error's message."""
        kind = type(error)
        first = next(iter(str(error).strip().splitlines()), "")
        text = f"{kind.__name__}: {first}" if first else kind.__name__
        lines = "".join(traceback.format_exception(kind, error, error.__traceback__))
        stopped = isinstance(error, KeyboardInterrupt)
        self._end(Status.STOPPED if stopped else Status.FAILED, text, lines)

    def interrupt(self, reason: str) -> None:
        """End the run as interrupted; a run that has ended stays as it is."""
        self._end(Status.INTERRUPTED, reason)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if error is None or isinstance(error, SystemExit | GeneratorExit):
            self.finish()
        else:
            self.fail(error)

    def __repr__(self) -> str:
        if self.id is None:
            return "<cnnviz watched run, not recorded>"
        return f"<cnnviz watched run {self.id}, step {self.monitor.step}, {self.ended or 'running'}>"

    # Events of the monitor.

    def on_first_pass(self, images: Tensor, logits: Tensor) -> None:
        """Record the input, the classes and the network's layers."""
        self._shape = tuple(images.shape[1:])
        if images.is_floating_point():
            self._report.input_stats(images.detach())
        if logits.dim() == 2 and logits.shape[1] > 1:
            self._begin_classes(logits.shape[1])
        analysis, reason = recording.analyze_network(self._model, self._shape)
        if analysis is not None:
            self._macs = analysis.macs
            network = recording.network_record(analysis, self._model)
        else:
            network = recording.layers_record(self._model, reason)
        self._report.body(0, "network", network | {"framework": self._framework})
        self._report.trained_layers(layer_rates(self._model, self._optimizers))
        self._write_data()
        self._report.start_clock()

    def _begin_classes(self, count: int) -> None:
        self._metrics = EpochMetrics(count)
        if len(self._classes) != count:
            self._classes = tuple(map(str, range(count)))

    def on_batch(self, images: Tensor, labels: Tensor) -> None:
        """Store part of a sampled batch for probes."""
        self._probe_inputs.keep(images, labels)

    def on_step(self, step: int, losses: list[StepLoss]) -> None:
        """Keep a step's losses, and report them at the trainer's interval."""
        self.monitor.facts.counts["unseen_losses"] += not losses
        self._waiting += ((step, loss) for loss in losses)
        if self.monitor.facts.counts["losses_mixed"] and not self._mixed:
            self._mixed = True
            if "given" not in self.monitor.functions:
                self._note(_MIXED)
        if step in LOG_EARLY or step % LOG_EVERY == 0:
            self._report_step(step)
        if (
            step == UNSEEN
            and not self.monitor.facts.counts["losses"]
            and self.monitor.facts.counts["backwards"]
        ):
            self._note(
                f"No loss was seen in {UNSEEN} steps: cnnviz.watch sees cross_entropy, nll_loss, "
                "binary_cross_entropy, mse_loss, l1_loss and huber_loss of torch.nn.functional and their "
                "classes (as nn.CrossEntropyLoss). Call run.step(loss, logits, labels) before "
                "optimizer.step()."
            )
        if self._steps_per_epoch and step % self._steps_per_epoch == 0:
            self._end_epoch(step)

    def on_layer_stats(self, step: int, layers: Sequence[LayerStats]) -> None:
        """Record the layer statistics of a sampled step."""
        self._report.layer_stats(step, layers, ())
        if time.monotonic() >= self._facts_due:
            self._write_facts()

    def on_evaluation(self, step: int, evaluation: EvaluationPass) -> None:
        """Record an evaluation pass; without `steps_per_epoch` it also marks the end of an epoch."""
        if step and not self._steps_per_epoch:
            self._end_epoch(step)
        self._images[evaluation.part] = max(
            self._images[evaluation.part], evaluation.images, evaluation.labelled
        )
        score = evaluation.score()
        if score is not None and score.confusion.shape[0] <= MAX_CLASSES:
            self._report.score(step, evaluation.part, score)
        elif evaluation.part == "test":
            if evaluation.predicted:
                self._report.body(step, "test/predicted", evaluation.predicted)
            self._report.body(step, "in_training_mode", list(evaluation.in_training_mode))
        self._write_data()
        self._report.skip(time.perf_counter() - evaluation.began)

    def on_error(self, error: Exception) -> None:
        """Stop watching after an internal error; the loop goes on, and what was recorded stays."""
        if self.ended is None:
            text = f"cnnviz.watch stopped watching: {type(error).__name__}: {error}"
            warnings.warn(text, WatchWarning, stacklevel=3)
            self._end(Status.INTERRUPTED, text)

    # Internal.

    @contextmanager
    def _errors_reported(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.on_error(error)

    def _epoch(self, step: int) -> float:
        """Convert a step to epochs: by the given length, or by the epoch ends detected so far."""
        if self._steps_per_epoch:
            return step / self._steps_per_epoch
        ends = [mark for mark in self._epoch_ends if mark <= step]
        if not ends:
            return 0.0
        length = ends[-1] / len(ends)
        return len(ends) + min(0.99, (step - ends[-1]) / max(length, 1.0))

    def _end_epoch(self, step: int) -> None:
        if self._epoch_ends and self._epoch_ends[-1] == step:
            return
        self._epoch_ends.append(step)
        self._drain(step)
        if self._metrics is not None and self._metrics.epoch.images:
            if len(self._epoch_ends) == 1:
                self._images["train"] = int(self._metrics.epoch.images)
            self._report.epoch(step, self._metrics)
            self._metrics.begin_epoch()
        self._note_settings()

    def _report_step(self, step: int, force: bool = False) -> None:
        if not step:
            return
        self._drain(step)
        rate = max((float(g["lr"]) for o in self._optimizers for g in o.param_groups), default=0.0)
        if self._metrics is not None and self._metrics.recent.images:
            self._report.report(step, rate, self._metrics)
        elif not force:
            self._report.figures(step, {"lr": rate})
        if not force and not self._epoch_ends and not self._steps_per_epoch:
            self._writer.progress(step, 0.0)

    def _drain(self, step: int) -> None:
        """Fetch losses, predictions and labels of the steps since the last report."""
        waiting, self._waiting = self._waiting, []
        if waiting and self._metrics is None:  # one output, which a loss has told to be of two classes
            self._begin_classes(self.monitor.facts.classes)
        if not waiting or self._metrics is None or self._nonfinite:
            return
        overwritten = [entry.is_overwritten for _, entry in waiting]
        self._overwrites |= any(overwritten)
        if not self.monitor.copies_losses:  # what the loop has written over is lost
            waiting = [kept for kept, gone in zip(waiting, overwritten, strict=True) if not gone]
        self.monitor.copies_losses = self._overwrites or step < COPIED
        if not waiting:
            return
        sizes = itertools.accumulate(len(entry.labels) for _, entry in waiting)
        fetched = torch.cat([entry.labels for _, entry in waiting]).cpu().numpy()
        batches = np.split(fetched, list(sizes)[:-1])
        if waiting[0][1].binary:
            batches = step_loss.mask_discriminator_labels(waiting, batches)
        for (_, entry), labels in zip(waiting, batches, strict=True):
            if entry.marks is not None:
                self.monitor.images.add_trained(entry.marks, labels)
        counted = [self._add(at, entry, labels) for (at, entry), labels in zip(waiting, batches, strict=True)]
        self.monitor.facts.add_labels([labels for labels in counted if len(labels)])
        try:
            self._metrics.drain()
        except NonFiniteLossError as error:
            self._nonfinite = True
            self._report.nonfinite(error.step, locate_nonfinite(self._model, lambda: None))

    def _add(self, step: int, entry: StepLoss, labels: NDArray[Any]) -> NDArray[Any]:
        """Add a forward pass, whose labels were fetched; return those of the images that count."""
        predicted, truth = entry.predicted, entry.labels
        if entry.ignored is not None and (labels == entry.ignored).any():
            counts = labels != entry.ignored
            mask = torch.from_numpy(counts).to(truth.device)
            predicted, truth, labels = predicted[mask], truth[mask], labels[counts]
        if self._metrics is None or not len(labels):
            return labels
        loss = entry.loss.float()
        loss = loss.mean() if loss.dim() else loss / len(labels) if entry.reduction == "sum" else loss
        self._image_count += len(labels)
        self._metrics.add(step, loss[None], predicted, truth)
        return labels

    def _note_settings(self) -> None:
        smoothing = {"label_smoothing": self.monitor.smoothing} if self.monitor.smoothing else {}
        sizes = self.monitor.facts.batch_sizes.most_common(1)
        batch = {"batch_size": sizes[0][0]} if sizes else {}
        epochs = {"epochs": max(1, round(self._epoch(self.monitor.step)))} if self._epoch_ends else {}
        rates = self.monitor.facts.body()["rates"]
        largest = {"lr": min(rates["largest"], 1_000.0)} if rates.get("largest") else {}  # no recipe has more
        schedule = {"schedule": "constant"} if rates and not rates["changes"] else {}
        tracking.describe_run(
            self._database,
            self._lease,
            RunFacts(total_epochs=None),
            batch | epochs | smoothing | largest | schedule,
        )

    def _write_data(self) -> None:
        facts = self.monitor.facts
        counts = [facts.labels.get(i, 0) for i in range(len(self._classes))]
        train = self._distinct or self._images["train"] or self._image_count
        scale = train / sum(counts) if sum(counts) else 0.0
        self._report.body(self.monitor.step, "data", {
            "classes": list(self._classes), "train": train, "available": train,
            "validation": self._images["validation"], "test": self._images["test"],
            "shape": list(self._shape),
            "counts": [max(round(n * scale), n > 0) for n in counts], "notes": self._notes,
        })  # fmt: skip

    def _write_facts(self) -> None:
        began = time.monotonic()
        facts = self.monitor.facts
        facts.notes = self._notes
        body = facts.body() | {
            "functions": list(self.monitor.functions),
            "images": self.monitor.images.counts(self._images["train"]),
        }
        images = LoopImages.model_validate(body["images"])
        self._distinct = images.distinct if images.unchanged else 0
        self._report.body(self.monitor.step, "loop", body)
        self._write_data()
        ended = time.monotonic()
        self._facts_due = ended + max(FACTS_EVERY, (ended - began) / FACTS_PART)

    def _write_agreement(self) -> None:
        """Record how often images that look alike share a label, where images show it at all."""
        images, classes = self.monitor.images, self.monitor.facts.classes
        measured = images.agreement(classes) if classes > 1 and not self._mixed else {}
        if measured:
            self._report.body(self.monitor.step, "census", measured)

    def _note(self, sentence: str) -> None:
        self._notes.append(sentence)
        warnings.warn(sentence, WatchWarning, stacklevel=5)

    def _end(self, status: Status, error: str | None = None, last_lines: str | None = None) -> None:
        if self.ended is not None or os.getpid() != self._pid:
            return
        self.ended = status
        recording.unregister(self)
        loss_functions.unlisten(self.monitor)
        try:
            if status is not Status.INTERRUPTED:
                self._write_final(status)
        finally:
            self.monitor.detach()
            self._close(status, error, last_lines)

    def _write_final(self, status: Status) -> None:
        try:
            self.monitor.finish()
            step = self.monitor.step
            self._report_step(step, force=True)
            open_epoch = self._metrics is not None and self._metrics.epoch.images and not self._epoch_ends
            if open_epoch and self._metrics is not None and not self._steps_per_epoch:
                self._images["train"] = self._images["train"] or int(self._metrics.epoch.images)
                self._end_epoch(step)
            if step:
                self._report.batch_norm(step, describe_batch_norm(self._model))
            self._write_facts()
            self._write_agreement()
            self._note_settings()
            # How long a loop was meant to be is known from one that reached its end.
            total = round(self._epoch(step), 3) if status is Status.FINISHED else 0.0
            tracking.describe_run(
                self._database, self._lease, RunFacts(total_steps=step, total_epochs=total or None)
            )
        except Exception as failure:
            warnings.warn(f"cnnviz.watch did not record the end: {failure}", WatchWarning, stacklevel=4)

    def _close(self, status: Status, error: str | None, last_lines: str | None) -> None:
        try:
            self._writer.close()
            tracking.end(self._database, self._lease, status, error, last_lines)
        except tracking.TrackingError as failure:
            warnings.warn(f"The end of run {self.id} was not recorded. {failure}", WatchWarning, stacklevel=5)


__all__ = ["WatchWarning", "WatchedRun", "unregistered"]
