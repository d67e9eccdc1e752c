"""Trainer: the training loop.

Images are on the device as uint8; batches are cropped, augmented and scaled there. A step never waits for the
device: losses and predicted classes stay on it and are read every `LOG_EVERY` steps. Random numbers of a step
are derived from the seed and the step alone, so a run that is stopped anywhere and resumed from its
checkpoint gives the same results.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from cnnviz.training import checkpoint, cuda_graphs, optimizer
from cnnviz.training.checkpoint import ModelSignature
from cnnviz.training.data import (
    DataModule,
    Labelled,
    StreamedImages,
    derive_seed,
    permutation,
    steps_per_epoch,
)
from cnnviz.training.data.transforms import Statistics, Transform
from cnnviz.training.layer_stats import LayerStatsHook, locate_nonfinite
from cnnviz.training.metrics import (
    LOSS,
    EpochMetrics,
    NonFiniteLossError,
    Score,
    TrackedImages,
    describe_batch_norm,
    evaluate,
    evaluation_batch,
)
from cnnviz.training.optimizer import (
    EarlyStopping,
    build_optimizer,
    class_weights,
    cross_entropy,
    head_parameters,
    layer_rates,
    mixup,
    set_lr,
    skip_after_nonfinite,
    state_bytes,
)
from cnnviz.training.ranks import SINGLE, Ranks
from cnnviz.training.recipe import Recipe
from cnnviz.training.run_logger import Logger, Pace, RunLogger, peak_flops
from cnnviz.training.setup import CudaGauge, TooLittleMemoryError, out_of_memory_message

__all__ = ["BEST", "LAST", "NonFiniteLossError", "Trainer"]


class TrainStep:
    """One training step: forward, loss, backward, gradient clipping, optimizer.

    Args:
        recipe: Precision, label smoothing, clipping, weight of auxiliary losses.
        forward: A model in training mode, compiled or not.
        optimizer: Optimizer of the model's parameters.
        class_weights: Class weights of the loss, float `(classes,)`; None for equal weights.
        ranks: The ranks that share the step, each with a part of the batch.
    """

    def __init__(
        self,
        recipe: Recipe,
        forward: Callable[[Tensor], Tensor | tuple[Tensor, ...]],
        optimizer: torch.optim.Optimizer,
        class_weights: Tensor | None = None,
        ranks: Ranks = SINGLE,
    ) -> None:
        self._recipe, self._forward, self._optimizer = recipe, forward, optimizer
        self._class_weights, self._ranks = class_weights, ranks
        self._trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        self.part = 1.0
        """Weight of this rank's part of the batch in the mean over the whole batch."""

    def __call__(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Run the step; return its losses, and the predictions before the update.

        bf16 needs no loss scaling, so clipping applies to the true gradients. Does not synchronize with the
        device.
        """
        logits, loss, extra = self.loss(images, labels)
        skip_after_nonfinite(self._optimizer, loss.detach())
        self._optimizer.zero_grad()
        if self._ranks.several:
            (loss * self.part).backward()  # type: ignore[no-untyped-call]
            self._ranks.sum_gradients(self._trained, self._optimizer.found_inf)  # type: ignore[attr-defined]
        else:
            loss.backward()  # type: ignore[no-untyped-call]
        if self._recipe.clip_norm:
            nn.utils.clip_grad_norm_(self._trained, self._recipe.clip_norm)
        self._optimizer.step()
        return torch.stack([loss.detach(), *extra]), logits.detach().argmax(1)

    def loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return logits `(N, classes)`, the training loss, and the detached losses of auxiliary classifiers.

        The training loss includes the weighted auxiliary losses. `labels` are int64 `(N,)`, or float `(N,
        classes)` with mixup.
        """
        is_half_precision = self._recipe.precision == "bf16"
        # A CUDA graph cannot use autocast's cache from outside of it, and no weight is cast twice here.
        with torch.autocast(
            images.device.type, torch.bfloat16, enabled=is_half_precision, cache_enabled=False
        ):
            out = self._forward(images)
        main, *extra = out if isinstance(out, tuple) else (out,)
        loss, aux_losses = self._entropy(main, labels), [self._entropy(logits, labels) for logits in extra]
        for aux_loss in aux_losses:
            loss = loss + self._recipe.aux_weight * aux_loss
        return main, loss, [aux_loss.detach() for aux_loss in aux_losses]

    def _entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        return cross_entropy(logits.float(), labels, self._recipe.label_smoothing, self._class_weights)


LOG_EARLY, LOG_EVERY = (1, 5, 10), 20
STATS_EARLY, STATS_EVERY = (1, 2, 5, 10, 20, 50, 100), 200
SAVE_SECONDS = 180.0
SAMPLE = 500
"""Images of additional evaluations after the last step: accuracies are then known to ±4.4 points."""
LAST, BEST = "last.safetensors", "best.safetensors"


class Trainer:
    """Trains one run: model, data module and training state.

    Args:
        recipe: The recipe.
        model: On the device, with initial weights; maps `(N, C, *side)` to logits `(N, classes)`, or in
            training mode to a tuple of the main logits and those of auxiliary classifiers.
        data_module: The data, on the same device.
        side: Height and width of the model's input.
        log: Logger of the run.
        folder: Folder of checkpoints; without one none are written.
        macs: MACs per image, 0 if unknown.
        data_report: Whether to record the data-quality report, which takes seconds that a benchmark excludes.
        ranks: The ranks that train the run, each with a part of every batch; rank 0 records and writes.
    """

    def __init__(
        self,
        recipe: Recipe,
        model: nn.Module,
        data_module: DataModule,
        side: tuple[int, int],
        log: Logger,
        folder: Path | None = None,
        macs: int = 0,
        *,
        data_report: bool = True,
        ranks: Ranks = SINGLE,
    ) -> None:
        self.ranks, model = ranks, ranks.prepare(model)
        self._data_report = data_report and ranks.first
        self.recipe, self.model, self.data_module, self.log, self.folder = (
            recipe,
            model,
            data_module,
            log,
            folder,
        )
        self.device = data_module.train.images.device
        self.steps_per_epoch = steps_per_epoch(len(data_module.train), recipe.batch_size)
        self.total_steps = self.steps_per_epoch * recipe.epochs
        self.step = 0
        self.transform = Transform(recipe, Statistics.of(data_module.train.images), side)
        self.optimizer = build_optimizer(recipe, model.parameters(), head_parameters(model))
        self.plateau = optimizer.Plateau(recipe.patience, recipe.step_factor)
        self.pace = Pace(
            self.device, macs, peak_flops(self.device, recipe.precision, torch.get_num_threads()), ranks.world
        )
        self.stopping = EarlyStopping.of(recipe)
        self._class_weights = class_weights(recipe, data_module.train.labels, len(data_module.classes))
        self._plain = TrainStep(recipe, model, self.optimizer, self._class_weights, ranks)
        self._fast = self._fast_step()
        self._layer_stats = LayerStatsHook(model)
        self._signature = ModelSignature(data_module.classes, side, self.transform.statistics)
        self._tracked_images = TrackedImages.of(data_module.test)
        self._run_logger = RunLogger(log, self.steps_per_epoch, self.pace)
        self._metrics = EpochMetrics(len(data_module.classes), ranks)
        self._generator = torch.Generator(self.device)
        self._order = self._rows = torch.empty(0, dtype=torch.int64)
        self._best: float | None = None
        self._best_weights: dict[str, Tensor] | None = None
        self._checkpoints = checkpoint.BackgroundWriter()
        self._saved = time.monotonic()
        self._data_report_due = False

    def run(self, keep_on: Callable[[], bool] = lambda: True) -> bool:
        """Train to the end, or until `keep_on`, called between steps, returns False.

        Returns:
            Whether the end was reached.

        Raises:
            NonFiniteLossError: The loss or a weight became NaN or infinite.
            TooLittleMemoryError: A step does not fit into the device's memory.
            OSError: A checkpoint cannot be written; the previous one is intact.
        """
        try:
            ended = self._run(keep_on)
            self._checkpoints.wait()
            return ended
        except NonFiniteLossError as error:
            self._record_data_report()
            raise self._locate_nonfinite(error) from None
        except torch.OutOfMemoryError:
            # The step's tensors are freed with its frames, after this block.
            pass
        finally:
            self._checkpoints.close()
            self.data_module.close()
        with suppress(torch.OutOfMemoryError):
            self._record_data_report()
        raise TooLittleMemoryError(self._describe_out_of_memory())

    def _run(self, keep_on: Callable[[], bool]) -> bool:
        self.model.train()
        if self.step == 0:
            self._run_logger.data(self.data_module, self._tracked_images.pictures())
            self._run_logger.batch_norm(0, describe_batch_norm(self.model))
            self._run_logger.trained_layers(layer_rates(self.model, [self.optimizer]))
            self._data_report_due = self._data_report
        self._run_logger.start_clock()
        while not self._ended:
            if not self.ranks.decide(keep_on()):
                self.save()
                return False
            rate, record_layers = self.rate(), self._is_recording_layers()
            self._train_step(rate, record_layers)
            if record_layers or self._is_reporting():
                self._metrics.drain()
            if self._is_reporting():
                self._checkpoints.poll()
                self._run_logger.report(self.step, rate, self._metrics)
            if record_layers:
                self._log_layer_stats()
            if self._data_report_due:
                self._record_data_report()
                self._run_logger.start_clock()
            if self.step % self.steps_per_epoch == 0:
                self._end_epoch()
            elif self.ranks.decide(time.monotonic() - self._saved > SAVE_SECONDS):
                self.save()
        return True

    @property
    def _ended(self) -> bool:
        return self.step >= self.total_steps or self.stopping.stopped

    def save(self, *names: str) -> None:
        """Write checkpoints with these names, by default `LAST`, from one snapshot, while training continues.

        Each is renamed into place after everything logged before it is committed.

        Raises:
            NonFiniteLossError: A weight is NaN or infinite; the previous checkpoint is kept.
            OSError: The previous checkpoint could not be written.
        """
        self._metrics.drain()
        self._check_weights()
        if self.folder is None or not self.ranks.first:
            return
        self._checkpoints.wait()
        position = checkpoint.Position(
            step=self.step,
            recipe=self.recipe.write(),
            plateau=self.plateau,
            tally=(*self._metrics.epoch.values, *self._metrics.recent.values),
            predicted=tuple(self._metrics.predicted),
            auxiliary=tuple(self._metrics.auxiliary),
            threads=torch.get_num_threads(),
            fingerprint=self.data_module.fingerprint,
            score=self._best,
            stopping=self.stopping if self.stopping.patience else None,
            world=self.ranks.world,
        )
        snapshot = checkpoint.snapshot(self.model, self.optimizer, position, self._signature)
        paths = [self.folder / name for name in names or (LAST,)]
        self._checkpoints.start(partial(self._write, snapshot, paths, self.step))
        self._saved = time.monotonic()

    def _write(self, snapshot: checkpoint.Snapshot, paths: Sequence[Path], step: int) -> None:
        """Write a snapshot to each path, in the background; it does not access the model."""
        self.log.flush()
        for path in paths:
            checkpoint.write_snapshot(path, snapshot)
            self.log.saved(step, step / self.steps_per_epoch, path)

    def restore(self, path: Path) -> None:
        """Resume from a checkpoint; raise `ValueError` if its data or model differ."""
        position = checkpoint.restore(path, self.model, self.optimizer)
        if position.fingerprint != self.data_module.fingerprint:
            raise ValueError(f"{path.name} was trained on other images than these; go on with the same data.")
        self.step, self.plateau, self._best = position.step, position.plateau, position.score
        self.stopping = position.stopping or self.stopping
        self._metrics.restore(position.tally, position.predicted, position.auxiliary)

    def rate(self) -> float:
        """Return the learning rate of the next step."""
        drops = self.plateau.scale if self.recipe.schedule == "plateau" else 1.0
        return optimizer.learning_rate(self.recipe, self.step, self.steps_per_epoch) * drops

    def step_at(self, rate: float) -> float:
        """Run one step at a given learning rate and return its loss (for `rate_finder`).

        Raises:
            NonFiniteLossError: The loss is NaN or infinite.
        """
        self.model.train()
        self._train_step(rate, record_layers=False)
        self._metrics.drain()
        loss = self._metrics.recent.loss / self._metrics.recent.images
        self._metrics.begin_report()
        return loss

    def _train_step(self, rate: float, record_layers: bool) -> None:
        images, labels = self._batch()
        if self.step == 0:
            self._run_logger.input_stats(images)
        set_lr(self.optimizer, rate)
        seed_layers(self.device, derive_seed(self.recipe.seed, self.step, self.ranks.seed_purpose))
        mixed, target = self._mixed(images, labels)
        if self.ranks.several:  # Random numbers are drawn for the whole batch, whatever the number of ranks.
            (mixed, target, labels), self._plain.part = self._rank_part(mixed, target, labels)
        if record_layers and self.ranks.first:
            with self._layer_stats.recording():
                losses, predicted = self._plain(mixed, target)
        else:
            losses, predicted = self._fast(mixed, target)
        self.step += 1
        self._metrics.add(self.step, losses, predicted, labels, self._plain.part)

    def _batch(self) -> tuple[Tensor, Tensor]:
        epoch, index = divmod(self.step, self.steps_per_epoch)
        if index == 0 or not len(self._order):
            self._order = permutation(len(self.data_module.train), self.recipe.seed, epoch)
            self._rows = self._order.to(self.device)
        batch = slice(index * self.recipe.batch_size, (index + 1) * self.recipe.batch_size)
        rows, images = self._rows[batch], self.data_module.train.images
        if isinstance(images, StreamedImages):
            # Indexed on the CPU, without waiting for the device, which computes while the next are decoded.
            pixels = images[self._order[batch]]
            if (following := self._rows_of_next_step()) is not None:
                images.prefetch(following)
        else:
            pixels = images[rows]
        self._generator.manual_seed(derive_seed(self.recipe.seed, self.step, 2))
        prepared = self.transform.train(pixels, rows, epoch, self._generator)
        return prepared, self.data_module.train.labels[rows]

    def _rows_of_next_step(self) -> Tensor | None:
        """Return the rows of the next batch, on the CPU; None after the last step."""
        epoch, index = divmod(self.step + 1, self.steps_per_epoch)
        if self.step + 1 >= self.total_steps:
            return None
        count, size = len(self.data_module.train), self.recipe.batch_size
        order = self._order if index else permutation(count, self.recipe.seed, epoch)
        return order[index * size : (index + 1) * size]

    def _mixed(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Apply mixup to the batch, if the recipe has it.

        In training accuracy a mixed image counts as correct if its own label, the most probable one, is
        predicted.
        """
        if not self.recipe.mixup:
            return images, labels
        seed = derive_seed(self.recipe.seed, self.step, 4)
        classes = len(self.data_module.classes)
        return mixup(images, labels, classes, self.recipe.mixup, seed, self._generator)

    def _rank_part(self, images: Tensor, target: Tensor, labels: Tensor) -> tuple[tuple[Tensor, ...], float]:
        """Return this rank's rows of a batch, and their weight in the loss's mean over all of it.

        If a batch has fewer rows than there are ranks, the remaining ranks get a row with weight 0.
        """
        rows = self.ranks.rows(len(labels)).to(labels.device)
        own_rows = tuple(values[rows] for values in (images, target, labels))
        if self.ranks.rank >= len(labels):
            return own_rows, 0.0
        weights = self._class_weights
        if weights is None:
            return own_rows, len(rows) / len(labels)
        sample_weights = weights[target] if target.dim() == 1 else target @ weights
        return own_rows, float(sample_weights[rows].sum() / sample_weights.sum())

    def _fast_step(self) -> cuda_graphs.Step:
        """Return the step without layer statistics: compiled, captured as a CUDA graph, or plain."""
        if self.ranks.several:  # A compiled or captured step is limited to one device.
            return self._plain
        if self.recipe.compile:
            compiled = TrainStep(self.recipe, torch.compile(self.model), self.optimizer, self._class_weights)
            return cuda_graphs.FullBatchStep(compiled, self._plain, self.recipe.batch_size)
        if self.device.type == "cuda" and cuda_graphs.should_capture(self.pace.macs, self.recipe.batch_size):
            parameters = self.model.parameters()
            return cuda_graphs.GraphedStep(self._plain, self.recipe.batch_size, self._note, parameters)
        return self._plain

    def _note(self, sentence: str) -> None:
        self._run_logger.note(self.step, sentence)

    def _is_recording_layers(self) -> bool:
        """Return whether layer statistics of the next step are recorded: often at first."""
        step = self.step + 1
        return step in STATS_EARLY or step % STATS_EVERY == 0 or step % self.steps_per_epoch == 0

    def _is_reporting(self) -> bool:
        """Return whether the last step ends a reporting interval."""
        step = self.step
        return step in LOG_EARLY or step % LOG_EVERY == 0 or step % self.steps_per_epoch == 0

    def _log_layer_stats(self) -> None:
        if not self.ranks.first:
            return
        predictions = self._tracked_images.predictions(self.model, self.transform)
        self._run_logger.layer_stats(self.step, self._layer_stats.compute(), predictions)

    def _record_data_report(self) -> None:
        """Record the data-quality report once, after the first point, for which users wait."""
        if self._data_report_due:
            self._data_report_due = False
            self._run_logger.dataset_report(1, self.data_module, self.transform)

    def _end_epoch(self) -> None:
        self._run_logger.epoch(self.step, self._metrics)
        self._metrics.begin_epoch()
        self.ranks.share_buffers(self.model)
        validation = self._evaluate("validation", self.data_module.validation)
        best = validation is not None and self._is_best(validation)
        if validation is not None:
            self.plateau.update(validation.loss)
        if self._ended and self.stopping.patience:
            self._end_early_stopping(restore=self.recipe.restore_best and not best)
        self._evaluate("test", self.data_module.test)
        if self._ended:
            self._evaluate_train()
            self._compare_statistics()
        if self.step == self.steps_per_epoch and self.ranks.first:
            self._run_logger.baseline(self.step, self.data_module)
        if validation is not None and best:
            self._best = validation.accuracy
        self.save(*((BEST,) if best else ()), LAST)
        self._run_logger.start_clock()

    def _is_best(self, score: Score) -> bool:
        """Return whether the weights are the best so far: by accuracy, or by early stopping's metric."""
        if not self.stopping.patience:
            return self._best is None or score.accuracy > self._best
        best = self.stopping.update(self.step // self.steps_per_epoch, score)
        if best and self.recipe.restore_best and self.folder is None:
            self._best_weights = {name: value.clone() for name, value in self.model.state_dict().items()}
        return best

    def _end_early_stopping(self, *, restore: bool) -> None:
        """Restore the best epoch's weights if requested, and record how the run ended."""
        if restore and self.folder is not None:
            self._checkpoints.wait()
            checkpoint.restore(self.folder / BEST, self.model)
        elif restore and self._best_weights is not None:
            self.model.load_state_dict(self._best_weights)
        if restore or self.stopping.stopped:
            epoch = self.step // self.steps_per_epoch
            self._run_logger.early_stopping(self.step, self.stopping.record(epoch, restored=restore))

    def _evaluate(self, part: str, images: Labelled) -> Score | None:
        if not len(images):
            return None
        score = evaluate(self.model, images, self.transform, ranks=self.ranks)
        self._run_logger.score(self.step, part, score)
        return score

    def _evaluate_train(self) -> None:
        """Record the accuracy on a sample of training images without dropout and augmentation."""
        train = self.data_module.train
        rows = permutation(len(train), self.recipe.seed, 0)[:SAMPLE].to(self.device)
        score = evaluate(self.model, Labelled(train.images[rows], train.labels[rows]), self.transform)
        self._run_logger.train_score(self.step, len(rows), score)

    def _compare_statistics(self) -> None:
        """Record the scores with running and with batch statistics on some test images."""
        layers, test = describe_batch_norm(self.model), self.data_module.test
        if not layers or len(test) < 2:
            return
        # Test images are often sorted by class; batches must be shuffled as in training.
        rows = permutation(len(test), self.recipe.seed, 0)[:SAMPLE].to(self.device)
        batch = max(2, evaluation_batch(self.transform))
        if len(rows) % batch == 1:  # A single image has no variance if maps are 1×1.
            rows = rows[:-1]
        sample = Labelled(test.images[rows], test.labels[rows])
        running, by_batch = (
            evaluate(self.model, sample, self.transform, batch, by_batch=by_batch)
            for by_batch in (False, True)
        )
        self._run_logger.batch_norm(self.step, layers, len(rows), running, by_batch)

    def _describe_out_of_memory(self) -> str:
        self.optimizer.zero_grad()
        self._fast = self._plain  # Release the CUDA graph, whose memory has to count as free.
        train = self.data_module.train

        def probe(count: int) -> None:
            rows = torch.arange(count, device=self.device) % len(train)
            images = self.transform.train(train.images[rows], rows, 0, self._generator)
            _, loss, _ = self._plain.loss(images, train.labels[rows])
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.zero_grad()

        to_come = 0 if self.optimizer.state else state_bytes(self.recipe, self.model.parameters())
        return out_of_memory_message(CudaGauge(self.device), probe, self.recipe.batch_size, to_come)

    def _locate_nonfinite(self, error: NonFiniteLossError) -> NonFiniteLossError:
        """Record the layer in which it began, and return the error with that layer.

        The weights are still those of the failed step.
        """
        if error.what == LOSS:  # Gradients of a non-finite loss are a consequence, not the cause.
            self.optimizer.zero_grad()
        self.step = error.step - 1
        images, labels = self._batch()
        seed_layers(self.device, derive_seed(self.recipe.seed, self.step, 1))
        mixed, target = self._mixed(images, labels)
        origin = locate_nonfinite(self.model, lambda: self._plain.loss(mixed, target))
        self._run_logger.nonfinite(error.step, origin)
        self.log.flush()
        return NonFiniteLossError(error.step, error.what, origin.sentence)

    def _check_weights(self) -> None:
        tensors = self.model.state_dict().values()
        values = [tensor for tensor in tensors if tensor.is_floating_point() and tensor.numel()]
        # The extremes of a tensor with NaN are NaN: one pass, and no tensor of its size is made.
        extremes = [extreme.float() for tensor in values for extreme in tensor.aminmax()]
        if extremes and not bool(torch.stack(extremes).isfinite().all()):
            raise NonFiniteLossError(self.step, "A weight was")


def seed_layers(device: torch.device, seed: int) -> None:
    """Seed dropout's generator on `device`; much cheaper than `torch.manual_seed`, which seeds all."""
    if device.type == "cuda":
        torch.cuda.default_generators[device.index or 0].manual_seed(seed)
    elif device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)
