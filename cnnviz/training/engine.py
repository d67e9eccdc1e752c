"""The training loop, from top to bottom.

Images lie on the device as uint8; a batch is cut, augmented and scaled there. Nothing in a step waits for
the device: sums stay on it and are read every `LOG_EVERY` steps. What is random in a step follows from the
seed and the step alone, so a run that is stopped anywhere and goes on from its checkpoint is the same run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from cnnviz.training import checkpoint, schedule
from cnnviz.training.evaluate import Score, evaluate
from cnnviz.training.interface import Interface
from cnnviz.training.log import Log
from cnnviz.training.material import Labelled, Material, mixed, order, steps_per_epoch
from cnnviz.training.observe import Observer
from cnnviz.training.optimise import optimiser, set_rate
from cnnviz.training.prepare import Preparation, Statistics
from cnnviz.training.recipe import Recipe

LOG_EVERY = 20
LOOK_EVERY = 200
SAVE_SECONDS = 180.0
LAST, BEST = "last.safetensors", "best.safetensors"


class NonFiniteLossError(ArithmeticError):
    """The loss became infinite or not a number; `step` says when (counted from 1)."""

    def __init__(self, step: int) -> None:
        super().__init__(f"The loss was no longer a finite number at step {step:,}.")
        self.step = step


class Trainer:
    """One run: a model, its images, and where it stands.

    Args:
        recipe: What to do.
        model: On the device, with fresh weights; `(N, C, *side)` to logits `(N, classes)`, or in training
            to a tuple of the main logits and those of auxiliary classifiers.
        material: The images, on the same device.
        side: Height and width of the model's input.
        log: Who is told.
        folder: Where checkpoints go; without one none are written.
    """

    def __init__(
        self,
        recipe: Recipe,
        model: nn.Module,
        material: Material,
        side: tuple[int, int],
        log: Log,
        folder: Path | None = None,
    ) -> None:
        self.recipe, self.model, self.material, self.log, self.folder = recipe, model, material, log, folder
        self.device = material.train.images.device
        self.steps_per_epoch = steps_per_epoch(len(material.train), recipe.batch_size)
        self.total_steps = self.steps_per_epoch * recipe.epochs
        self.step = 0
        self.preparation = Preparation(recipe, Statistics.of(material.train.images), side)
        self.optimiser = optimiser(recipe, model.parameters())
        self.plateau = schedule.Plateau(recipe.patience, recipe.step_factor)
        self._forward: Callable[[Tensor], Tensor | tuple[Tensor, ...]] = (
            torch.compile(model) if recipe.compile else model
        )
        self._observer = Observer(model)
        self._interface = Interface(material.classes, side, self.preparation.statistics)
        self._generator = torch.Generator(self.device)
        self._epoch_sums = torch.zeros(3, device=self.device, dtype=torch.float64)
        self._recent = torch.zeros(3, device=self.device, dtype=torch.float64)
        self._first_bad = torch.full((), -1, device=self.device, dtype=torch.int64)
        self._order = torch.empty(0, dtype=torch.int64)
        self._best: float | None = None
        self._clock = time.perf_counter()
        self._saved = time.monotonic()

    def run(self, keep_on: Callable[[], bool] = lambda: True) -> bool:
        """Train to the end, or until `keep_on` says no, which is asked between steps.

        Returns whether the end was reached. Raises `NonFiniteLossError`, and `OSError` where a checkpoint
        cannot be written; the last good one is then still there.
        """
        self.model.train()
        self._clock = time.perf_counter()
        while self.step < self.total_steps:
            if not keep_on():
                self.save()
                return False
            self._train_step()
            if self.step % LOG_EVERY == 0 or self.step % self.steps_per_epoch == 0:
                self._report()
            if self.step % self.steps_per_epoch == 0:
                self._end_epoch()
            elif time.monotonic() - self._saved > SAVE_SECONDS:
                self.save()
        return True

    def save(self, name: str = LAST, score: float | None = None) -> None:
        """Write a checkpoint, after everything that was told is safe."""
        if self.folder is None:
            return
        self.log.flush()
        sums = torch.cat([self._epoch_sums, self._recent])
        position = checkpoint.Position(
            step=self.step,
            recipe=self.recipe.write(),
            plateau=self.plateau,
            tally=tuple(sums.tolist()),
            threads=torch.get_num_threads(),
            fingerprint=self.material.fingerprint,
            score=score if score is not None else self._best,
        )
        checkpoint.write(self.folder / name, self.model, self.optimiser, position, self._interface)
        self.log.saved(self.step, self.step / self.steps_per_epoch, self.folder / name)
        self._saved = time.monotonic()

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint; raises `ValueError` where it belongs to other images or another model."""
        position = checkpoint.restore(path, self.model, self.optimiser)
        if position.fingerprint != self.material.fingerprint:
            raise ValueError(f"{path.name} was trained on other images than these; go on with the same data.")
        self.step, self.plateau, self._best = position.step, position.plateau, position.score
        sums = torch.tensor(position.tally, dtype=torch.float64)
        self._epoch_sums.copy_(sums[:3])
        self._recent.copy_(sums[3:])

    def _train_step(self) -> None:
        epoch, place = divmod(self.step, self.steps_per_epoch)
        if place == 0 or not len(self._order):
            self._order = order(len(self.material.train), self.recipe.seed, epoch).to(self.device)
        rows = self._order[place * self.recipe.batch_size : (place + 1) * self.recipe.batch_size]
        torch.manual_seed(mixed(self.recipe.seed, self.step, 1))  # dropout's
        self._generator.manual_seed(mixed(self.recipe.seed, self.step, 2))
        images = self.preparation.train(self.material.train.images[rows], rows, epoch, self._generator)
        labels = self.material.train.labels[rows]
        set_rate(self.optimiser, self.rate())
        with self._look():
            logits, loss = self._loss(images, labels)
            self.optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimiser.step()
        self._count(logits.detach(), loss.detach(), labels)
        self.step += 1

    def rate(self) -> float:
        """The learning rate of the next step."""
        return schedule.rate(self.recipe, self.step, self.steps_per_epoch) * self._drops()

    def _drops(self) -> float:
        return self.plateau.scale if self.recipe.schedule == "plateau" else 1.0

    def _look(self) -> AbstractContextManager[None]:
        return self._observer.watching() if self._is_looking() else nullcontext()

    def _is_looking(self) -> bool:
        return self.step % LOOK_EVERY == 0 or (self.step + 1) % self.steps_per_epoch == 0

    def _loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        half = torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.precision == "bf16")
        with half:
            out = self._forward(images)
        outputs: tuple[Tensor, ...] = out if isinstance(out, tuple) else (out,)
        main, *extra = outputs
        loss = self._entropy(main, labels)
        for logits in extra:
            loss = loss + self.recipe.aux_weight * self._entropy(logits, labels)
        return main, loss

    def _entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(logits.float(), labels, label_smoothing=self.recipe.label_smoothing)

    def _count(self, logits: Tensor, loss: Tensor, labels: Tensor) -> None:
        bad = (self._first_bad < 0) & ~torch.isfinite(loss)
        self._first_bad = torch.where(bad, self.step + 1, self._first_bad)
        count = len(labels)
        right = (logits.argmax(1) == labels).sum()
        sums = torch.stack([loss.double() * count, right.double(), right.new_full((), count).double()])
        self._epoch_sums += sums
        self._recent += sums

    def _report(self) -> None:
        """The one place inside an epoch that waits for the device."""
        loss, right, count = self._recent.tolist()
        if int(self._first_bad) >= 0:
            raise NonFiniteLossError(int(self._first_bad))
        now = time.perf_counter()
        values = {
            "train/loss": loss / count,
            "train/accuracy": right / count,
            "lr": self.optimiser.param_groups[0]["lr"],
            "images_per_second": count / max(now - self._clock, 1e-9),
        }
        if self.device.type == "cuda":
            values["memory_bytes"] = float(torch.cuda.max_memory_allocated(self.device))
        self.log.scalars(self.step, self.step / self.steps_per_epoch, values)
        self._recent.zero_()
        self._clock = now

    def _end_epoch(self) -> None:
        epoch = self.step // self.steps_per_epoch
        loss, right, count = self._epoch_sums.tolist()
        self.log.scalars(
            self.step, epoch, {"train/epoch_loss": loss / count, "train/epoch_accuracy": right / count}
        )
        self.log.record(self.step, epoch, "layers", [asdict(look) for look in self._observer.looks()])
        seen = self._judge("validation", "val", self.material.validation)
        if seen is not None:
            self.plateau.see(seen.loss)
        self._judge("test", "test", self.material.test)
        self._epoch_sums.zero_()
        if seen is not None and (self._best is None or seen.accuracy > self._best):
            self._best = seen.accuracy
            self.save(BEST, seen.accuracy)
        self.save()
        self._clock = time.perf_counter()

    def _judge(self, part: str, prefix: str, images: Labelled) -> Score | None:
        if not len(images):
            return None
        score = evaluate(self.model, images, self.preparation)
        values = {"loss": score.loss, "accuracy": score.accuracy, "top5": score.top5}
        epoch = self.step // self.steps_per_epoch
        named = {f"{prefix}/{name}": value for name, value in values.items()}
        self.log.scalars(self.step, epoch, named | {f"{prefix}/logit_spread": score.logit_spread})
        self.log.record(self.step, epoch, f"{part}/confusion", score.confusion.tolist())
        return score
