"""The training loop, from top to bottom.

Images lie on the device as uint8; a batch is cut, augmented and scaled there. Nothing in a step waits for
the device: losses and predicted classes stay on it and are read every `LOG_EVERY` steps. What is random in
a step follows from the seed and the step alone, so a run that is stopped anywhere and goes on from its
checkpoint is the same run.
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
from cnnviz.training.checkpoint import Interface
from cnnviz.training.data.tensors import (
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
    class_weights,
    cross_entropy,
    layer_rates,
    mixup,
    optimiser,
    set_lr,
    skip_after_nonfinite,
    state_bytes,
)
from cnnviz.training.ranks import SINGLE, Ranks
from cnnviz.training.recipe import Recipe
from cnnviz.training.run_logger import Logger, Pace, RunLogger, peak_flops
from cnnviz.training.setup import CudaGauge, TooLittleMemoryError, out_of_memory_message
from cnnviz.training.start_weights import head_parameters

__all__ = ["BEST", "LAST", "NonFiniteLossError", "Trainer"]


class TrainStep:
    """Make one training step: forward, loss, backward, clipping, optimizer.

    Args:
        recipe: Precision, label smoothing, clipping, weight of auxiliary losses.
        forward: A model in training mode, compiled or not.
        optimiser: Of the model's parameters.
        class_weights: What a class counts in the loss, float `(classes,)`; None where all count alike.
        ranks: Who else makes the step, each with its part of the batch.
    """

    def __init__(
        self,
        recipe: Recipe,
        forward: Callable[[Tensor], Tensor | tuple[Tensor, ...]],
        optimiser: torch.optim.Optimizer,
        class_weights: Tensor | None = None,
        ranks: Ranks = SINGLE,
    ) -> None:
        self._recipe, self._forward, self._optimiser = recipe, forward, optimiser
        self._class_weights, self._ranks = class_weights, ranks
        self._trained = [parameter for group in optimiser.param_groups for parameter in group["params"]]
        self.part = 1.0
        """What this rank's part of the batch counts in the mean over all of it."""

    def __call__(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Make the step; return its losses and the classes that were predicted before it.

        bf16 needs no scaled loss, so the gradients that are clipped are the loss's own. Nothing waits.
        """
        logits, loss, extra = self.loss(images, labels)
        skip_after_nonfinite(self._optimiser, loss.detach())
        self._optimiser.zero_grad()
        if self._ranks.several:
            (loss * self.part).backward()  # type: ignore[no-untyped-call]
            self._ranks.sum_gradients(self._trained, self._optimiser.found_inf)  # type: ignore[attr-defined]
        else:
            loss.backward()  # type: ignore[no-untyped-call]
        if self._recipe.clip_norm:
            nn.utils.clip_grad_norm_(self._trained, self._recipe.clip_norm)
        self._optimiser.step()
        return torch.stack([loss.detach(), *extra]), logits.detach().argmax(1)

    def loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return main logits `(N, classes)`, the training loss, and the losses of auxiliary classifiers.

        The latter are weighed into the former, and detached. `labels` are int64 `(N,)`, or of mixed images
        float `(N, classes)`.
        """
        half = self._recipe.precision == "bf16"
        # A graph cannot use what autocast kept from outside of it, and nothing here is cast twice.
        with torch.autocast(images.device.type, torch.bfloat16, enabled=half, cache_enabled=False):
            out = self._forward(images)
        main, *extra = out if isinstance(out, tuple) else (out,)
        loss, aux_losses = self._entropy(main, labels), [self._entropy(logits, labels) for logits in extra]
        for aux_loss in aux_losses:
            loss = loss + self._recipe.aux_weight * aux_loss
        return main, loss, [aux_loss.detach() for aux_loss in aux_losses]

    def _entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        return cross_entropy(logits.float(), labels, self._recipe.label_smoothing, self._class_weights)


LOG_EARLY, LOG_EVERY = (1, 5, 10), 20
LOOK_EARLY, LOOK_EVERY = (1, 2, 5, 10, 20, 50, 100), 200
SAVE_SECONDS = 180.0
SAMPLE = 500
"""Images that are evaluated another way too after the last step: accuracies are known to ± 4.4 points."""
LAST, BEST = "last.safetensors", "best.safetensors"


class Trainer:
    """Train one run: a model, its data module, and the position in training.

    Args:
        recipe: What to do.
        model: On the device, with fresh weights; `(N, C, *side)` to logits `(N, classes)`, or in training
            to a tuple of the main logits and those of auxiliary classifiers.
        data_module: The images, on the same device.
        side: Height and width of the model's input.
        log: The logger that records the run.
        folder: Where checkpoints go; without one none are written.
        macs: Multiply-adds of one image, 0 where unknown.
        data_report: Whether the images' quality is recorded, which takes seconds that a race does not count.
        ranks: Who else trains the run, each with its part of every batch; rank 0 records and writes.
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
        self.optimiser = optimiser(recipe, model.parameters(), head_parameters(model))
        self.plateau = optimizer.Plateau(recipe.patience, recipe.step_factor)
        self.pace = Pace(
            self.device, macs, peak_flops(self.device, recipe.precision, torch.get_num_threads()), ranks.world
        )
        self.stopping = EarlyStopping.of(recipe)
        self._class_weights = class_weights(recipe, data_module.train.labels, len(data_module.classes))
        self._plain = TrainStep(recipe, model, self.optimiser, self._class_weights, ranks)
        self._fast = self._fast_step()
        self._layer_stats = LayerStatsHook(model)
        self._signature = Interface(data_module.classes, side, self.transform.statistics)
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
        """Train to the end, or until `keep_on` says no, which is asked between steps.

        Returns whether the end was reached. Raises `NonFiniteLossError`, `TooLittleMemoryError`, and
        `OSError` where a checkpoint cannot be written; the last good one is then still there.
        """
        try:
            ended = self._run(keep_on)
            self._checkpoints.wait()
            return ended
        except NonFiniteLossError as error:
            self._record_data_report()
            raise self._locate_nonfinite(error) from None
        except torch.OutOfMemoryError:
            # What the step held is freed with its frames, which is after this block.
            pass
        finally:
            self._checkpoints.close()
        with suppress(torch.OutOfMemoryError):
            self._record_data_report()
        raise TooLittleMemoryError(self._describe_out_of_memory())

    def _run(self, keep_on: Callable[[], bool]) -> bool:
        self.model.train()
        if self.step == 0:
            self._run_logger.begin(self.data_module, self._tracked_images.pictures())
            self._run_logger.batch_norm(0, describe_batch_norm(self.model))
            self._run_logger.trained_layers(layer_rates(self.model, [self.optimiser]))
            self._data_report_due = self._data_report
        self._run_logger.start_clock()
        while not self._ended:
            if not self.ranks.decide(keep_on()):
                self.save()
                return False
            rate, watch_layers = self.rate(), self._is_watching_layers()
            self._train_step(rate, watch_layers)
            if watch_layers or self._is_reporting():
                self._metrics.drain()
            if self._is_reporting():
                self._checkpoints.poll()
                self._run_logger.report(self.step, rate, self._metrics)
            if watch_layers:
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
        """Write checkpoints of these names, `LAST` by default, from one snapshot, while training goes on.

        Each gets its name after everything that was logged before is safe. Raises `NonFiniteLossError` for
        weights that are no longer numbers, when the last good checkpoint stays; and what the writing of the
        checkpoint before has raised.
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
        snapshot = checkpoint.snapshot(self.model, self.optimiser, position, self._signature)
        paths = [self.folder / name for name in names or (LAST,)]
        self._checkpoints.start(partial(self._write, snapshot, paths, self.step))
        self._saved = time.monotonic()

    def _write(self, snapshot: checkpoint.Snapshot, paths: Sequence[Path], step: int) -> None:
        """Write a snapshot under each path; runs beside the training, whose model it does not touch."""
        self.log.flush()
        for path in paths:
            checkpoint.write_snapshot(path, snapshot)
            self.log.saved(step, step / self.steps_per_epoch, path)

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint; raises `ValueError` where it belongs to other images or another model."""
        position = checkpoint.restore(path, self.model, self.optimiser)
        if position.fingerprint != self.data_module.fingerprint:
            raise ValueError(f"{path.name} was trained on other images than these; go on with the same data.")
        self.step, self.plateau, self._best = position.step, position.plateau, position.score
        self.stopping = position.stopping or self.stopping
        self._metrics.restore(position.tally, position.predicted, position.auxiliary)

    def rate(self) -> float:
        """The learning rate of the next step."""
        drops = self.plateau.scale if self.recipe.schedule == "plateau" else 1.0
        return optimizer.rate(self.recipe, self.step, self.steps_per_epoch) * drops

    def step_at(self, rate: float) -> float:
        """Make one step at a rate that is not the schedule's, and wait for its loss (see `rate_finder`).

        Raises `NonFiniteLossError`.
        """
        self.model.train()
        self._train_step(rate, watch_layers=False)
        self._metrics.drain()
        loss = self._metrics.recent.loss / self._metrics.recent.images
        self._metrics.begin_report()
        return loss

    def _train_step(self, rate: float, watch_layers: bool) -> None:
        images, labels = self._batch()
        if self.step == 0:
            self._run_logger.read(images)
        set_lr(self.optimiser, rate)
        seed_layers(self.device, derive_seed(self.recipe.seed, self.step, self.ranks.seed_purpose))
        mixed, target = self._mixed(images, labels)
        if self.ranks.several:  # Drawn for the whole batch: what a run sees does not depend on its ranks.
            (mixed, target, labels), self._plain.part = self._rank_part(mixed, target, labels)
        if watch_layers and self.ranks.first:
            with self._layer_stats.watching():
                losses, predicted = self._plain(mixed, target)
        else:
            losses, predicted = self._fast(mixed, target)
        self.step += 1
        self._metrics.add(self.step, losses, predicted, labels, self._plain.part)

    def _batch(self) -> tuple[Tensor, Tensor]:
        epoch, place = divmod(self.step, self.steps_per_epoch)
        if place == 0 or not len(self._order):
            self._order = permutation(len(self.data_module.train), self.recipe.seed, epoch)
            self._rows = self._order.to(self.device)
        batch = slice(place * self.recipe.batch_size, (place + 1) * self.recipe.batch_size)
        rows, images = self._rows[batch], self.data_module.train.images
        # What is decoded is looked up on the CPU, which must not wait for the device to say which rows.
        pixels = images[self._order[batch]] if isinstance(images, StreamedImages) else images[rows]
        self._generator.manual_seed(derive_seed(self.recipe.seed, self.step, 2))
        prepared = self.transform.train(pixels, rows, epoch, self._generator)
        return prepared, self.data_module.train.labels[rows]

    def _mixed(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The batch as it is learned from: with mixup images between images, and labels between labels.

        Training accuracy counts a mixed image as right where its likeliest label was answered, its own.
        """
        if not self.recipe.mixup:
            return images, labels
        seed = derive_seed(self.recipe.seed, self.step, 4)
        classes = len(self.data_module.classes)
        return mixup(images, labels, classes, self.recipe.mixup, seed, self._generator)

    def _rank_part(self, images: Tensor, target: Tensor, labels: Tensor) -> tuple[tuple[Tensor, ...], float]:
        """This rank's rows of a batch, and what they count in the loss's mean over all of it.

        No rank is without a row: where a batch has fewer rows than there are ranks, one more is taken, which
        counts nothing.
        """
        rows = self.ranks.rows(len(labels)).to(labels.device)
        own = tuple(values[rows] for values in (images, target, labels))
        if self.ranks.rank >= len(labels):
            return own, 0.0
        weights = self._class_weights
        if weights is None:
            return own, len(rows) / len(labels)
        counted = weights[target] if target.dim() == 1 else target @ weights
        return own, float(counted[rows].sum() / counted.sum())

    def _fast_step(self) -> cuda_graphs.Step:
        """The step as it is made where nobody looks: layers can be watched in the plain one only."""
        if self.ranks.several:  # A compiled or captured step is one device's.
            return self._plain
        if self.recipe.compile:
            compiled = TrainStep(self.recipe, torch.compile(self.model), self.optimiser, self._class_weights)
            return cuda_graphs.FullBatchStep(compiled, self._plain, self.recipe.batch_size)
        if cuda_graphs.should_capture(self.device, self.pace.macs, self.recipe.batch_size):
            parameters = self.model.parameters()
            return cuda_graphs.GraphedStep(self._plain, self.recipe.batch_size, self._note, parameters)
        return self._plain

    def _note(self, sentence: str) -> None:
        self._run_logger.note(self.step, sentence)

    def _is_watching_layers(self) -> bool:
        """Whether the next step is looked at: often at first, when most happens, and at each epoch's end."""
        step = self.step + 1
        return step in LOOK_EARLY or step % LOOK_EVERY == 0 or step % self.steps_per_epoch == 0

    def _is_reporting(self) -> bool:
        """Whether the step that was just made ends a report."""
        step = self.step
        return step in LOG_EARLY or step % LOG_EVERY == 0 or step % self.steps_per_epoch == 0

    def _log_layer_stats(self) -> None:
        if not self.ranks.first:
            return
        predictions = self._tracked_images.predictions(self.model, self.transform)
        self._run_logger.look(self.step, self._layer_stats.looks(), predictions)

    def _record_data_report(self) -> None:
        """Record once what the images say of themselves: after the first point, for which people wait."""
        if self._data_report_due:
            self._data_report_due = False
            self._run_logger.dataset_report(1, self.data_module, self.transform)

    def _end_epoch(self) -> None:
        self._run_logger.epoch(self.step, self._metrics)
        self._metrics.begin_epoch()
        self.ranks.share_buffers(self.model)
        seen = self._evaluate("validation", self.data_module.validation)
        best = seen is not None and self._is_best(seen)
        if seen is not None:
            self.plateau.see(seen.loss)
        if self._ended and self.stopping.patience:
            self._end_early_stopping(restore=self.recipe.restore_best and not best)
        self._evaluate("test", self.data_module.test)
        if self._ended:
            self._evaluate_train()
            self._compare_statistics()
        if self.step == self.steps_per_epoch and self.ranks.first:
            self._run_logger.baseline(self.step, self.data_module)
        if seen is not None and best:
            self._best = seen.accuracy
        self.save(*((BEST,) if best else ()), LAST)
        self._run_logger.start_clock()

    def _is_best(self, seen: Score) -> bool:
        """Whether the weights are the best so far: by accuracy, or by what early stopping watches."""
        if not self.stopping.patience:
            return self._best is None or seen.accuracy > self._best
        best = self.stopping.see(self.step // self.steps_per_epoch, seen)
        if best and self.recipe.restore_best and self.folder is None:
            self._best_weights = {name: value.clone() for name, value in self.model.state_dict().items()}
        return best

    def _end_early_stopping(self, *, restore: bool) -> None:
        """Restore the best epoch's weights where that is asked for, and record how the run ended."""
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
        """Record how well some training images are known without dropout and augmentation."""
        train = self.data_module.train
        rows = permutation(len(train), self.recipe.seed, 0)[:SAMPLE].to(self.device)
        score = evaluate(self.model, Labelled(train.images[rows], train.labels[rows]), self.transform)
        self._run_logger.train_score(self.step, len(rows), score)

    def _compare_statistics(self) -> None:
        """Record, once at the end, what batch normalization's running statistics cost on some test images."""
        layers, test = describe_batch_norm(self.model), self.data_module.test
        if not layers or len(test) < 2:
            return
        # Test images often lie sorted by class; a batch has to be mixed as in training.
        rows = permutation(len(test), self.recipe.seed, 0)[:SAMPLE].to(self.device)
        batch = max(2, evaluation_batch(self.transform))
        if len(rows) % batch == 1:  # One image alone has no variance where maps are 1×1.
            rows = rows[:-1]
        some = Labelled(test.images[rows], test.labels[rows])
        running, by_batch = (
            evaluate(self.model, some, self.transform, batch, by_batch=by_batch) for by_batch in (False, True)
        )
        self._run_logger.batch_norm(self.step, layers, len(rows), running, by_batch)

    def _describe_out_of_memory(self) -> str:
        self.optimiser.zero_grad()
        self._fast = self._plain  # A CUDA graph holds memory of its own, which is to count as free.
        train = self.data_module.train

        def probe(count: int) -> None:
            rows = torch.arange(count, device=self.device) % len(train)
            images = self.transform.train(train.images[rows], rows, 0, self._generator)
            _, loss, _ = self._plain.loss(images, train.labels[rows])
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimiser.zero_grad()

        to_come = 0 if self.optimiser.state else state_bytes(self.recipe, self.model.parameters())
        return out_of_memory_message(CudaGauge(self.device), probe, self.recipe.batch_size, to_come)

    def _locate_nonfinite(self, error: NonFiniteLossError) -> NonFiniteLossError:
        """The error with the layer where it began, which is told too; the weights are still the step's."""
        if error.what == LOSS:  # Gradients of a loss that is no number tell of it, and not of what broke it.
            self.optimiser.zero_grad()
        self.step = error.step - 1
        images, labels = self._batch()
        seed_layers(self.device, derive_seed(self.recipe.seed, self.step, 1))
        mixed, target = self._mixed(images, labels)
        place = locate_nonfinite(self.model, lambda: self._plain.loss(mixed, target))
        self._run_logger.broken(error.step, place)
        self.log.flush()
        return NonFiniteLossError(error.step, error.what, place.sentence)

    def _check_weights(self) -> None:
        values = [tensor for tensor in self.model.state_dict().values() if tensor.is_floating_point()]
        if values and not bool(torch.stack([tensor.isfinite().all() for tensor in values]).all()):
            raise NonFiniteLossError(self.step, "A weight was")


def seed_layers(device: torch.device, seed: int) -> None:
    """Seed what dropout draws from on `device`; a good deal cheaper than `torch.manual_seed` for all."""
    if device.type == "cuda":
        torch.cuda.default_generators[device.index or 0].manual_seed(seed)
    elif device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)
