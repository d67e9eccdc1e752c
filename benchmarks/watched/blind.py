"""Loops that were written before any rule was tried on them: other networks, data, ways to write a loop."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.watched.tasks import Bench, case
from cnnviz.watching import WatchedRun

blind = partial(case, part="blind")


def figures(count: int = 640) -> tuple[Tensor, Tensor]:
    """Discs, rings, crosses and bars at random places, `(N, 1, 16, 16)` in [0, 1]."""
    draw = torch.Generator().manual_seed(11)
    labels = torch.arange(count) % 4  # in turn, so that nothing has to be drawn
    y, x = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    center = 6 + 4 * torch.rand(count, 2, generator=draw)
    dy, dx = y - center[:, :1, None], x - center[:, 1:, None]
    far = (dy.square() + dx.square()).sqrt()
    forms = torch.stack([
        far < 4.5, (far < 5) & (far > 3), ((dy.abs() < 1) | (dx.abs() < 1)) & (far < 6),
        (dy.abs() < 1.5) & (dx.abs() < 6),
    ]).float()  # fmt: skip
    images = forms[labels, torch.arange(count)]
    images = (0.8 * images + 0.15 * torch.randn(count, 16, 16, generator=draw) + 0.1).clamp(0, 1)
    order = torch.randperm(count, generator=draw)
    return images[order][:, None], labels[order]


def sequences(count: int = 600) -> tuple[Tensor, Tensor]:
    """Sequences of ten vectors `(N, 10, 8)`, of which two carry the class."""
    draw = torch.Generator().manual_seed(12)
    labels = torch.randint(0, 5, (count,), generator=draw)
    marks = torch.randn(5, 8, generator=draw) * 1.6
    values = torch.randn(count, 10, 8, generator=draw)
    for row, label in enumerate(labels.tolist()):
        for place in torch.randperm(10, generator=draw)[:2].tolist():
            values[row, place] += marks[label]
    return values, labels


class Separable(nn.Module):
    """Depthwise separable convolutions."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 12, 3, padding=1, bias=False), nn.BatchNorm2d(12), nn.SiLU())
        self.body = nn.Sequential(
            nn.Conv2d(12, 12, 3, stride=2, padding=1, groups=12, bias=False),
            nn.Conv2d(12, 24, 1, bias=False),
            nn.BatchNorm2d(24), nn.SiLU(), nn.Conv2d(24, 24, 3, stride=2, padding=1), nn.SiLU(),
        )  # fmt: skip
        self.classifier = nn.Sequential(nn.Flatten(), nn.Dropout(0.1), nn.Linear(24 * 16, classes))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.body(self.stem(x)))


class Attention(nn.Module):
    """One layer of self-attention over a sequence."""

    def __init__(self, classes: int = 5) -> None:
        super().__init__()
        self.embed = nn.Linear(8, 24)
        self.encoder = nn.TransformerEncoderLayer(24, 2, 48, dropout=0.1, batch_first=True)
        self.out = nn.Linear(24, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.encoder(self.embed(x)).mean(1))


def loaders(kind: str, batch: int = 16, shuffle: bool = True) -> tuple[DataLoader[Any], DataLoader[Any]]:
    """A training and a test loader."""
    images, labels = figures() if kind == "figures" else sequences()
    cut = int(0.8 * len(images))
    train, test = TensorDataset(images[:cut], labels[:cut]), TensorDataset(images[cut:], labels[cut:])
    draw = torch.Generator().manual_seed(3)
    return (
        DataLoader(train, batch_size=batch, shuffle=shuffle, drop_last=True, generator=draw),
        DataLoader(test, batch_size=64),
    )


def fresh(kind: str) -> nn.Module:
    """A network for the data."""
    torch.manual_seed(4)
    return Separable() if kind == "figures" else Attention()


@torch.no_grad()
def validate(model: nn.Module, loader: DataLoader[Any], criterion: Any) -> float:
    """A validation function as it stands in many scripts."""
    model.eval()
    total, right = 0.0, 0
    for images, labels in loader:
        logits = model(images)
        total += float(criterion(logits, labels)) * len(labels)
        right += int((logits.argmax(1) == labels).sum())
    return right / len(loader.dataset)  # type: ignore[arg-type]


class Script:
    """A training script in the way of many: a class with hooks for its parts."""

    def __init__(self, bench: Bench, kind: str = "figures", epochs: int = 5, lr: float = 2e-3) -> None:
        self.bench, self.kind, self.epochs, self.lr = bench, kind, epochs, lr
        self.model = fresh(kind)
        self.criterion: Any = nn.CrossEntropyLoss()
        self.train_loader, self.test_loader = loaders(kind)

    def make_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.model.parameters(), self.lr)

    def begin_epoch(self, epoch: int) -> None:
        self.model.train()

    def batches(self, epoch: int) -> Iterator[Any]:
        return iter(self.train_loader)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        loss: Tensor = self.criterion(self.model(images), labels)
        return loss

    def update(self, loss: Tensor) -> None:
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def after_batch(self) -> None:
        """For schedules and the like."""

    def end_epoch(self, epoch: int) -> None:
        validate(self.model, self.test_loader, self.criterion)

    def run(self) -> WatchedRun:
        self.optimizer = self.make_optimizer()
        watched = self.bench.watch(self.model, self.optimizer)
        self.watched = watched
        for epoch in range(self.epochs):
            self.begin_epoch(epoch)
            for images, labels in self.batches(epoch):
                self.update(self.forward(images, labels))
                self.after_batch()
            self.end_epoch(epoch)
        return watched


# Faulty.


class _NoClear(Script):
    def update(self, loss: Tensor) -> None:
        loss.backward()
        self.optimizer.step()


@blind("zero-grad-missing")
def never_cleared_adamw(bench: Bench) -> WatchedRun:
    return _NoClear(bench).run()


@blind("zero-grad-missing")
def never_cleared_sequences(bench: Bench) -> WatchedRun:
    return _NoClear(bench, "sequences").run()


@blind("zero-grad-missing")
def cleared_on_another_network(bench: Bench) -> WatchedRun:
    class Wrong(Script):
        def update(self, loss: Tensor) -> None:
            other = torch.optim.SGD(fresh("figures").parameters(), 0.1)
            other.zero_grad()
            loss.backward()
            self.optimizer.step()

    return Wrong(bench).run()


@blind("zero-grad-misplaced")
def cleared_after_backward(bench: Bench) -> WatchedRun:
    class Wrong(Script):
        def update(self, loss: Tensor) -> None:
            loss.backward()
            self.optimizer.zero_grad(set_to_none=False)
            self.optimizer.step()

    return Wrong(bench).run()


@blind("zero-grad-misplaced")
def cleared_after_backward_model(bench: Bench) -> WatchedRun:
    class Wrong(Script):
        def update(self, loss: Tensor) -> None:
            loss.backward()
            self.model.zero_grad()
            self.optimizer.step()

    return Wrong(bench, "sequences").run()


@blind("output-activation")
def softmax_module_at_the_end(bench: Bench) -> WatchedRun:
    script = Script(bench)
    script.model = nn.Sequential(script.model, nn.Softmax(dim=-1))
    return script.run()


@blind("output-activation")
def softmax_before_the_criterion(bench: Bench) -> WatchedRun:
    class Wrong(Script):
        def forward(self, images: Tensor, labels: Tensor) -> Tensor:
            return functional.cross_entropy(self.model(images).softmax(-1), labels)

    return Wrong(bench, "sequences").run()


@blind("output-activation")
def sigmoid_module_at_the_end(bench: Bench) -> WatchedRun:
    script = Script(bench, "sequences")
    script.model = nn.Sequential(script.model, nn.Sigmoid())
    return script.run()


@blind("output-activation")
def relu_before_the_criterion(bench: Bench) -> WatchedRun:
    class Wrong(Script):
        def forward(self, images: Tensor, labels: Tensor) -> Tensor:
            return functional.cross_entropy(functional.relu(self.model(images)), labels)

    return Wrong(bench).run()


@blind("output-activation")
def tanh_at_the_end(bench: Bench) -> WatchedRun:
    script = Script(bench)
    script.model = nn.Sequential(script.model, nn.Tanh())
    return script.run()


@blind("loss-mismatch")
def nll_module_of_logits(bench: Bench) -> WatchedRun:
    script = Script(bench)
    script.criterion = nn.NLLLoss()
    return script.run()


@blind("loss-mismatch")
def nll_module_of_softmax(bench: Bench) -> WatchedRun:
    script = Script(bench, "sequences")
    script.model = nn.Sequential(script.model, nn.Softmax(1))
    script.criterion = nn.NLLLoss()
    return script.run()


@blind("loss-mismatch")
def bce_with_logits_after_sigmoid(bench: Bench) -> WatchedRun:
    class Wrong(Script):
        def forward(self, images: Tensor, labels: Tensor) -> Tensor:
            target = functional.one_hot(labels, 4).float()
            return functional.binary_cross_entropy_with_logits(torch.sigmoid(self.model(images)), target)

    return Wrong(bench).run()


@blind("training-in-eval-mode")
def train_before_the_epochs(bench: Bench) -> WatchedRun:
    class Wrong(Script):
        def begin_epoch(self, epoch: int) -> None:
            if epoch == 0:
                self.model.train()

    return Wrong(bench).run()


@blind("training-in-eval-mode")
def train_before_the_epochs_sequences(bench: Bench) -> WatchedRun:
    class Wrong(Script):
        def begin_epoch(self, epoch: int) -> None:
            """Forgotten: a fresh module is in training mode."""

    return Wrong(bench, "sequences").run()


@blind("training-in-eval-mode")
def eval_by_mistake(bench: Bench) -> WatchedRun:
    class Wrong(Script):
        def begin_epoch(self, epoch: int) -> None:
            self.model.eval()

    return Wrong(bench).run()


@blind("evaluation-mode")
def validated_without_eval(bench: Bench) -> WatchedRun:
    class Wrong(Script):
        def end_epoch(self, epoch: int) -> None:
            with torch.no_grad():
                for images, labels in self.test_loader:
                    self.criterion(self.model(images), labels)

    return Wrong(bench).run()


@blind("evaluation-mode")
def validated_in_inference_mode_without_eval(bench: Bench) -> WatchedRun:
    class Wrong(Script):
        def end_epoch(self, epoch: int) -> None:
            with torch.inference_mode():
                for images, labels in self.test_loader:
                    self.watched.evaluate(self.model(images), labels)

    return Wrong(bench, "sequences").run()


@blind("evaluation-mode")
def eval_then_train_before_validation(bench: Bench) -> WatchedRun:
    class Wrong(Script):
        def end_epoch(self, epoch: int) -> None:
            self.model.eval()
            self.model.train()  # moved here with the rest of the function
            with torch.no_grad():
                for images, labels in self.test_loader:
                    (self.model(images).argmax(1) == labels).sum()

    return Wrong(bench).run()


@blind("optimizer-parameters")
def optimizer_before_a_copy(bench: Bench) -> WatchedRun:
    class Wrong(Script):
        def make_optimizer(self) -> torch.optim.Optimizer:
            optimizer = super().make_optimizer()
            self.model = copy.deepcopy(self.model)
            return optimizer

    return Wrong(bench).run()


@blind("optimizer-parameters")
def optimizer_without_the_classifier(bench: Bench) -> WatchedRun:
    class Wrong(Script):
        def make_optimizer(self) -> torch.optim.Optimizer:
            parts = [*self.model.stem.parameters(), *self.model.body.parameters()]  # type: ignore[union-attr,operator]
            return torch.optim.SGD(parts, 0.01, momentum=0.9)

    return Wrong(bench).run()


class _Listed(nn.Module):
    """Layers in a plain list."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = [nn.Linear(80, 48), nn.Linear(48, 48)]
        self.out = nn.Linear(48, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        for layer in self.layers:
            x = functional.relu(layer(x))
        return self.out(x)


@blind("optimizer-parameters")
def layers_in_a_list(bench: Bench) -> WatchedRun:
    script = Script(bench, "sequences")
    script.model = _Listed()
    return script.run()


@blind("loss-detached")
def loss_of_numpy_values(bench: Bench) -> WatchedRun:
    class Wrong(Script):
        def forward(self, images: Tensor, labels: Tensor) -> Tensor:
            logits = torch.tensor(self.model(images).detach().numpy(), requires_grad=True)
            return functional.cross_entropy(logits, labels)

    return Wrong(bench).run()


@blind("loss-detached")
def forward_without_gradients(bench: Bench) -> WatchedRun:
    class Wrong(Script):
        def forward(self, images: Tensor, labels: Tensor) -> Tensor:
            with torch.no_grad():
                logits = self.model(images)
            return functional.cross_entropy(logits.requires_grad_(), labels)

    return Wrong(bench, "sequences").run()


@blind("optimizer-never-steps")
def only_the_scheduler_steps(bench: Bench) -> WatchedRun:
    class Wrong(Script):
        def update(self, loss: Tensor) -> None:
            self.optimizer.zero_grad()
            loss.backward()

    return Wrong(bench).run()


@blind("optimizer-never-steps")
def step_without_parentheses(bench: Bench) -> WatchedRun:
    class Wrong(Script):
        def update(self, loss: Tensor) -> None:
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step  # noqa: B018 the fault

    return Wrong(bench, "sequences").run()


def _sorted_loader(kind: str, batch: int = 16) -> DataLoader[Any]:
    images, labels = figures() if kind == "figures" else sequences()
    cut = int(0.8 * len(images))
    order = labels[:cut].argsort(stable=True)
    return DataLoader(TensorDataset(images[:cut][order], labels[:cut][order]), batch_size=batch)


@blind("not-shuffled")
def loader_without_shuffle(bench: Bench) -> WatchedRun:
    script = Script(bench)
    script.train_loader = _sorted_loader("figures")
    return script.run()


@blind("not-shuffled")
def loader_without_shuffle_sequences(bench: Bench) -> WatchedRun:
    script = Script(bench, "sequences")
    script.train_loader = _sorted_loader("sequences", 32)
    return script.run()


@blind("not-shuffled")
def two_classes_at_a_time(bench: Bench) -> WatchedRun:
    class Wrong(Script):
        def batches(self, epoch: int) -> Iterator[Any]:
            images, labels = figures()
            for pair in ((0, 1), (2, 3)):
                rows = torch.isin(labels[:512], torch.tensor(pair)).nonzero().squeeze(1)
                rows = rows[labels[rows].argsort()]
                for start in range(0, len(rows) - 16, 16):
                    yield images[rows[start : start + 16]], labels[rows[start : start + 16]]

    return Wrong(bench).run()


@blind("same-batch")
def next_iter_in_the_loop(bench: Bench) -> WatchedRun:
    class Wrong(Script):
        def batches(self, epoch: int) -> Iterator[Any]:
            loader = loaders("figures", shuffle=False)[0]
            for _ in range(30):
                yield next(iter(loader))

    return Wrong(bench).run()


@blind("same-batch")
def batch_taken_before_the_loop(bench: Bench) -> WatchedRun:
    class Wrong(Script):
        def batches(self, epoch: int) -> Iterator[Any]:
            if epoch == 0:
                self.kept = next(iter(self.train_loader))
            for _ in range(25):
                yield self.kept

    return Wrong(bench, "sequences").run()


@blind("reinitialized")
def apply_in_the_epoch_loop(bench: Bench) -> WatchedRun:
    class Wrong(Script):
        def begin_epoch(self, epoch: int) -> None:
            def init(part: nn.Module) -> None:
                if isinstance(part, nn.Conv2d | nn.Linear):
                    nn.init.kaiming_normal_(part.weight)

            self.model.apply(init)
            self.model.train()

    return Wrong(bench).run()


@blind("reinitialized")
def checkpoint_loaded_in_the_epoch_loop(bench: Bench) -> WatchedRun:
    class Wrong(Script):
        def begin_epoch(self, epoch: int) -> None:
            if epoch == 0:
                self.first = copy.deepcopy(self.model.state_dict())
            self.model.load_state_dict(self.first)
            self.model.train()

    return Wrong(bench, "sequences").run()


@blind("reinitialized")
def head_reset_each_epoch(bench: Bench) -> WatchedRun:
    class Wrong(Script):
        def begin_epoch(self, epoch: int) -> None:
            self.model.classifier[2].reset_parameters()  # type: ignore[index,operator,union-attr]
            self.model.train()

    return Wrong(bench).run()


@blind("scaled-twice", "input-scale")
def divided_in_dataset_and_loop(bench: Bench) -> WatchedRun:
    class Wrong(Script):
        def forward(self, images: Tensor, labels: Tensor) -> Tensor:
            return super().forward(images / 255.0, labels)

    return Wrong(bench).run()


@blind("scaled-twice", "input-scale")
def divided_in_dataset_and_loop_sgd(bench: Bench) -> WatchedRun:
    class Wrong(Script):
        def make_optimizer(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.model.parameters(), 0.05, momentum=0.9)

        def forward(self, images: Tensor, labels: Tensor) -> Tensor:
            return super().forward(images.div(255), labels)

    return Wrong(bench).run()


@blind("labels-permuted")
def folders_in_another_order(bench: Bench) -> WatchedRun:
    class Wrong(Script):
        def end_epoch(self, epoch: int) -> None:
            self.model.eval()
            with torch.no_grad():
                for images, labels in self.test_loader:
                    self.watched.evaluate(self.model(images), torch.tensor([3, 0, 1, 2])[labels])

    return Wrong(bench, epochs=8).run()


@blind("labels-permuted")
def two_classes_swapped_of_five(bench: Bench) -> WatchedRun:
    class Wrong(Script):
        def end_epoch(self, epoch: int) -> None:
            self.model.eval()
            with torch.no_grad():
                for images, labels in self.test_loader:
                    self.criterion(self.model(images), torch.tensor([1, 0, 3, 4, 2])[labels])

    return Wrong(bench, "sequences", epochs=14).run()


@blind("labels-out-of-range")
def one_output_too_few(bench: Bench) -> WatchedRun:
    script = Script(bench)
    script.model = Separable(classes=3)
    return script.run()


@blind("labels-out-of-range")
def classes_numbered_from_one(bench: Bench) -> WatchedRun:
    class Wrong(Script):
        def forward(self, images: Tensor, labels: Tensor) -> Tensor:
            return super().forward(images, labels + 1)

    return Wrong(bench, "sequences").run()


class _Scheduled(Script, ABC):
    scheduler: Any

    @abstractmethod
    def schedule(self, optimizer: torch.optim.Optimizer) -> Any:
        """Build the learning-rate scheduler."""

    def make_optimizer(self) -> torch.optim.Optimizer:
        optimizer = super().make_optimizer()
        self.scheduler = self.schedule(optimizer)
        return optimizer

    def after_batch(self) -> None:
        self.scheduler.step()


@blind("scheduler-per-batch")
def multistep_per_batch(bench: Bench) -> WatchedRun:
    class Wrong(_Scheduled):
        def schedule(self, optimizer: torch.optim.Optimizer) -> Any:
            return torch.optim.lr_scheduler.MultiStepLR(optimizer, [10, 20, 25], 0.1)

    return Wrong(bench).run()


@blind("scheduler-per-batch")
def cosine_in_epochs_per_batch(bench: Bench) -> WatchedRun:
    class Wrong(_Scheduled):
        def schedule(self, optimizer: torch.optim.Optimizer) -> Any:
            return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=self.epochs)

    return Wrong(bench, epochs=6).run()


@blind("scheduler-per-batch")
def exponential_in_epochs_per_batch(bench: Bench) -> WatchedRun:
    class Wrong(_Scheduled):
        def schedule(self, optimizer: torch.optim.Optimizer) -> Any:
            return torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)

    return Wrong(bench, "sequences", epochs=6).run()


class _Accumulating(Script):
    parts, divided = 4, False

    def update(self, loss: Tensor) -> None:
        self.count = getattr(self, "count", 0) + 1
        (loss / self.parts if self.divided else loss).backward()
        if self.count % self.parts == 0:
            self.optimizer.step()
            self.optimizer.zero_grad()


@blind("gradient-accumulation-scale", "rate-too-high")
def four_batches_added_up(bench: Bench) -> WatchedRun:
    return _Accumulating(bench, epochs=8).run()


@blind("gradient-accumulation-scale", "rate-too-high")
def eight_batches_added_up(bench: Bench) -> WatchedRun:
    class Wrong(_Accumulating):
        parts = 8

    return Wrong(bench, "sequences", epochs=10).run()


@blind("frozen-parameters")
def head_frozen_with_the_trunk(bench: Bench) -> WatchedRun:
    script = Script(bench)
    for name, parameter in script.model.named_parameters():
        parameter.requires_grad_("norm" in name or (name.endswith("1.weight") and parameter.dim() == 1))
    return script.run()


# Correct loops that look suspicious.


@blind(None)
def script_figures(bench: Bench) -> WatchedRun:
    return Script(bench, epochs=7).run()


@blind(None)
def script_sequences(bench: Bench) -> WatchedRun:
    return Script(bench, "sequences", epochs=12).run()


@blind(None)
def clipped(bench: Bench) -> WatchedRun:
    class Right(Script):
        def update(self, loss: Tensor) -> None:
            self.optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 0.1)
            self.optimizer.step()

    return Right(bench, "sequences", epochs=12).run()


@blind(None)
def accumulated_over_two(bench: Bench) -> WatchedRun:
    class Right(_Accumulating):
        parts, divided = 2, True

    return Right(bench, epochs=10).run()


@blind(None)
def accumulated_over_eight(bench: Bench) -> WatchedRun:
    class Right(_Accumulating):
        parts, divided = 8, True

    return Right(bench, "sequences", epochs=40).run()


@blind(None)
def one_cycle(bench: Bench) -> WatchedRun:
    class Right(_Scheduled):
        def schedule(self, optimizer: torch.optim.Optimizer) -> Any:
            total = self.epochs * len(self.train_loader) + 1
            return torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=total)

    return Right(bench, epochs=7).run()


@blind(None)
def warm_up_then_cosine(bench: Bench) -> WatchedRun:
    class Right(_Scheduled):
        def schedule(self, optimizer: torch.optim.Optimizer) -> Any:
            total = self.epochs * len(self.train_loader)

            def factor(step: int) -> float:
                return (step + 1) / 30 if step < 30 else 0.5 * (1 + math.cos(math.pi * step / total))

            return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)

    return Right(bench, "sequences", epochs=12).run()


@blind(None)
def cyclic_rate(bench: Bench) -> WatchedRun:
    class Right(_Scheduled):
        def schedule(self, optimizer: torch.optim.Optimizer) -> Any:
            half = 2 * len(self.train_loader)
            return torch.optim.lr_scheduler.CyclicLR(optimizer, 1e-4, 3e-3, half, cycle_momentum=False)

    return Right(bench, epochs=8).run()


@blind(None)
def plateau_schedule(bench: Bench) -> WatchedRun:
    class Right(Script):
        def make_optimizer(self) -> torch.optim.Optimizer:
            optimizer = super().make_optimizer()
            self.scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1)
            return optimizer

        def end_epoch(self, epoch: int) -> None:
            self.scheduler.step(1 - validate(self.model, self.test_loader, self.criterion))

    return Right(bench, epochs=8).run()


@blind(None)
def trunk_frozen_by_requires_grad(bench: Bench) -> WatchedRun:
    class Right(Script):
        def make_optimizer(self) -> torch.optim.Optimizer:
            self.model.stem.requires_grad_(False)  # type: ignore[union-attr]
            learning = [p for p in self.model.parameters() if p.requires_grad]
            return torch.optim.AdamW(learning, 3e-3)

    return Right(bench, epochs=8).run()


@blind(None)
def trunk_in_evaluation_mode(bench: Bench) -> WatchedRun:
    class Right(Script):
        def make_optimizer(self) -> torch.optim.Optimizer:
            self.model.stem.requires_grad_(False)  # type: ignore[union-attr]
            return torch.optim.AdamW(
                [*self.model.body.parameters(), *self.model.classifier.parameters()], 3e-3
            )  # type: ignore[union-attr,operator]

        def begin_epoch(self, epoch: int) -> None:
            self.model.train()
            self.model.stem.eval()  # type: ignore[union-attr]

    return Right(bench, epochs=8).run()


@blind(None)
def trunk_without_gradients(bench: Bench) -> WatchedRun:
    class Half(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            inner = fresh("figures")
            self.stem, self.body, self.classifier = inner.stem, inner.body, inner.classifier

        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                x = self.stem(x)  # type: ignore[operator]
            return self.classifier(self.body(x))  # type: ignore[operator,no-any-return]

    script = Script(bench, epochs=8)
    script.model = Half()
    return script.run()


@blind(None)
def log_softmax_and_nll(bench: Bench) -> WatchedRun:
    script = Script(bench, "sequences", epochs=12)
    script.model, script.criterion = nn.Sequential(script.model, nn.LogSoftmax(-1)), nn.NLLLoss()
    return script.run()


@blind(None)
def softmax_for_display_only(bench: Bench) -> WatchedRun:
    class Right(Script):
        def forward(self, images: Tensor, labels: Tensor) -> Tensor:
            logits = self.model(images)
            self.shown = logits.softmax(1).max(1).values.mean()
            return functional.cross_entropy(logits, labels)

    return Right(bench, epochs=7).run()


@blind(None)
def two_optimizers(bench: Bench) -> WatchedRun:
    class Right(Script):
        def run(self) -> WatchedRun:
            trunk = [*self.model.stem.parameters(), *self.model.body.parameters()]  # type: ignore[union-attr,operator]
            slow = torch.optim.SGD(trunk, 0.02, momentum=0.9)
            fast = torch.optim.Adam(self.model.classifier.parameters(), 3e-3)  # type: ignore[union-attr]
            watched = self.bench.watch(self.model, [slow, fast])
            for _ in range(7):
                self.model.train()
                for images, labels in self.train_loader:
                    slow.zero_grad()
                    fast.zero_grad()
                    self.criterion(self.model(images), labels).backward()
                    slow.step()
                    fast.step()
                validate(self.model, self.test_loader, self.criterion)
            return watched

    return Right(bench).run()


@blind(None)
def optimizers_in_turn(bench: Bench) -> WatchedRun:
    class Right(Script):
        def run(self) -> WatchedRun:
            first = torch.optim.Adam([*self.model.stem.parameters(), *self.model.body.parameters()], 2e-3)  # type: ignore[union-attr,operator]
            second = torch.optim.Adam(self.model.classifier.parameters(), 2e-3)  # type: ignore[union-attr]
            watched = self.bench.watch(self.model, [first, second])
            for epoch in range(8):
                self.model.train()
                for number, (images, labels) in enumerate(self.train_loader):
                    self.model.zero_grad()
                    self.criterion(self.model(images), labels).backward()
                    (first if (number + epoch) % 2 else second).step()
                validate(self.model, self.test_loader, self.criterion)
            return watched

    return Right(bench).run()


@blind(None)
def autocast_bfloat16(bench: Bench) -> WatchedRun:
    class Right(Script):
        def forward(self, images: Tensor, labels: Tensor) -> Tensor:
            with torch.autocast("cpu", torch.bfloat16):
                return functional.cross_entropy(self.model(images), labels)

    return Right(bench, epochs=7).run()


@blind(None)
def gradient_scaler(bench: Bench) -> WatchedRun:
    class Right(Script):
        def update(self, loss: Tensor) -> None:
            if not hasattr(self, "scaler"):
                self.scaler = torch.amp.GradScaler("cpu")
            self.optimizer.zero_grad(set_to_none=True)
            self.scaler.scale(loss).backward()
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.scaler.step(self.optimizer)
            self.scaler.update()

    return Right(bench, epochs=7).run()


@blind(None)
def mixup(bench: Bench) -> WatchedRun:
    class Right(Script):
        def forward(self, images: Tensor, labels: Tensor) -> Tensor:
            share = float(torch.distributions.Beta(0.2, 0.2).sample())
            order = torch.randperm(len(images))
            target = functional.one_hot(labels, 4).float()
            mixed = share * images + (1 - share) * images[order]
            return functional.cross_entropy(self.model(mixed), share * target + (1 - share) * target[order])

    return Right(bench, epochs=9).run()


@blind(None)
def weights_averaged_for_validation(bench: Bench) -> WatchedRun:
    class Right(Script):
        def after_batch(self) -> None:
            now = self.model.state_dict()
            if not hasattr(self, "mean"):
                self.mean = copy.deepcopy(now)
            for name, value in now.items():
                if value.is_floating_point():
                    self.mean[name].mul_(0.9).add_(value, alpha=0.1)

        def end_epoch(self, epoch: int) -> None:
            kept = copy.deepcopy(self.model.state_dict())
            self.model.load_state_dict(self.mean)
            validate(self.model, self.test_loader, self.criterion)
            self.model.load_state_dict(kept)

    return Right(bench, epochs=8).run()


@blind(None)
def best_weights_restored_at_the_end(bench: Bench) -> WatchedRun:
    class Right(Script):
        def end_epoch(self, epoch: int) -> None:
            score = validate(self.model, self.test_loader, self.criterion)
            if score >= getattr(self, "best", 0.0):
                self.best, self.kept = score, copy.deepcopy(self.model.state_dict())
            if epoch == self.epochs - 1:
                self.model.load_state_dict(self.kept)
                validate(self.model, self.test_loader, self.criterion)

    return Right(bench, epochs=8).run()


@blind(None)
def lbfgs(bench: Bench) -> WatchedRun:
    class Right(Script):
        def run(self) -> WatchedRun:
            self.model = nn.Sequential(nn.Flatten(), nn.Linear(80, 32), nn.Tanh(), nn.Linear(32, 5))
            images, labels = next(iter(DataLoader(self.train_loader.dataset, batch_size=480)))
            optimizer = torch.optim.LBFGS(self.model.parameters(), lr=0.5, max_iter=6)
            watched = self.bench.watch(self.model, optimizer)

            def closure() -> Tensor:
                optimizer.zero_grad()
                loss = functional.cross_entropy(self.model(images), labels) + 1e-3 * sum(
                    p.square().sum() for p in self.model.parameters()
                )
                loss.backward()
                return loss

            for _ in range(15):
                optimizer.step(closure)
            validate(self.model, self.test_loader, self.criterion)
            return watched

    return Right(bench, "sequences").run()


@blind(None)
def closure_given_to_adam(bench: Bench) -> WatchedRun:
    class Right(Script):
        def run(self) -> WatchedRun:
            optimizer = torch.optim.Adam(self.model.parameters(), 2e-3)
            watched = self.bench.watch(self.model, optimizer)
            for _ in range(7):
                self.model.train()
                for images, labels in self.train_loader:

                    def closure(images: Tensor = images, labels: Tensor = labels) -> Tensor:
                        optimizer.zero_grad()
                        loss = self.criterion(self.model(images), labels)
                        loss.backward()
                        return loss  # type: ignore[no-any-return]

                    optimizer.step(closure)
                validate(self.model, self.test_loader, self.criterion)
            return watched

    return Right(bench).run()


@blind(None)
def validated_with_gradients_enabled(bench: Bench) -> WatchedRun:
    class Right(Script):
        def end_epoch(self, epoch: int) -> None:
            self.model.eval()
            for images, labels in self.test_loader:
                self.criterion(self.model(images), labels)

    return Right(bench, epochs=7).run()


@blind(None)
def validated_before_training(bench: Bench) -> WatchedRun:
    class Right(Script):
        def begin_epoch(self, epoch: int) -> None:
            validate(self.model, self.test_loader, self.criterion)
            self.model.train()

        def end_epoch(self, epoch: int) -> None:
            if epoch == self.epochs - 1:
                validate(self.model, self.test_loader, self.criterion)

    return Right(bench, epochs=7).run()


@blind(None)
def validated_within_the_epoch(bench: Bench) -> WatchedRun:
    class Right(Script):
        def after_batch(self) -> None:
            self.count = getattr(self, "count", 0) + 1
            if self.count % 10 == 0:
                validate(self.model, self.test_loader, self.criterion)
                self.model.train()

    return Right(bench, epochs=7).run()


@blind(None)
def batch_norm_recalibrated(bench: Bench) -> WatchedRun:
    class Right(Script):
        def end_epoch(self, epoch: int) -> None:
            if epoch == self.epochs - 1:
                torch.optim.swa_utils.update_bn(self.train_loader, self.model)
            validate(self.model, self.test_loader, self.criterion)

    return Right(bench, epochs=7).run()


@blind(None)
def binary_loss_of_one_hot(bench: Bench) -> WatchedRun:
    class Right(Script):
        def forward(self, images: Tensor, labels: Tensor) -> Tensor:
            return functional.binary_cross_entropy_with_logits(
                self.model(images), functional.one_hot(labels, 4).float()
            )

        def end_epoch(self, epoch: int) -> None:
            self.model.eval()
            with torch.no_grad():
                for images, labels in self.test_loader:
                    self.watched.evaluate(self.model(images), labels)

    return Right(bench, epochs=8).run()


@blind(None)
def loss_of_ones_own(bench: Bench) -> WatchedRun:
    class Right(Script):
        def forward(self, images: Tensor, labels: Tensor) -> Tensor:
            logits = self.model(images)
            chosen = logits.log_softmax(1).gather(1, labels[:, None]).squeeze(1)
            loss = -((1 - chosen.exp()) ** 2 * chosen).mean()  # focal loss
            self.watched.step(loss, logits, labels)
            return loss

    return Right(bench, "sequences", epochs=14).run()


@blind(None)
def auxiliary_output(bench: Bench) -> WatchedRun:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            inner = fresh("figures")
            self.stem, self.body, self.classifier = inner.stem, inner.body, inner.classifier
            self.side = nn.Linear(12, 4)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            first = self.stem(x)  # type: ignore[operator]
            return self.classifier(self.body(first)), self.side(first.mean((2, 3)))  # type: ignore[operator]

    class Right(Script):
        def forward(self, images: Tensor, labels: Tensor) -> Tensor:
            main, side = self.model(images)
            return functional.cross_entropy(main, labels) + 0.3 * functional.cross_entropy(side, labels)

        def end_epoch(self, epoch: int) -> None:
            self.model.eval()
            with torch.no_grad():
                for images, labels in self.test_loader:
                    self.watched.evaluate(self.model(images)[0], labels)

    script = Right(bench, epochs=8)
    script.model = Two()
    return script.run()


@blind(None)
def teacher_and_student(bench: Bench) -> WatchedRun:
    teacher = Script(bench, epochs=6)
    teacher.run().finish()

    class Right(Script):
        def forward(self, images: Tensor, labels: Tensor) -> Tensor:
            with torch.no_grad():
                wanted = teacher.model.eval()(images).softmax(1)
            logits = self.model(images)
            soft = functional.kl_div(logits.log_softmax(1), wanted, reduction="batchmean")
            return functional.cross_entropy(logits, labels) + soft

    return Right(bench, epochs=7).run()


@blind(None)
def gradient_penalty(bench: Bench) -> WatchedRun:
    class Right(Script):
        def forward(self, images: Tensor, labels: Tensor) -> Tensor:
            images = images.clone().requires_grad_()
            loss = functional.cross_entropy(self.model(images), labels)
            (gradient,) = torch.autograd.grad(loss, images, create_graph=True)
            return loss + 0.1 * gradient.square().sum()

    return Right(bench, epochs=7).run()


@blind(None)
def classes_in_turn_within_batches(bench: Bench) -> WatchedRun:
    class Right(Script):
        def batches(self, epoch: int) -> Iterator[Any]:
            images, labels = figures()
            draw = torch.Generator().manual_seed(epoch)
            by_class = [(labels[:512] == c).nonzero().squeeze(1) for c in range(4)]
            mixed = torch.stack(
                [rows[torch.randperm(len(rows), generator=draw)][:120] for rows in by_class], 1
            )
            order = mixed.flatten()
            for start in range(0, len(order) - 15, 16):
                yield images[order[start : start + 16]], labels[order[start : start + 16]]

    return Right(bench, epochs=7).run()


@blind(None)
def unbalanced_classes_with_a_sampler(bench: Bench) -> WatchedRun:
    script = Script(bench, epochs=8)
    images, labels = figures()
    kept = torch.cat(
        [(labels[:512] == 0).nonzero().squeeze(1), (labels[:512] > 0).nonzero().squeeze(1)[:150]]
    )
    part = TensorDataset(images[kept], labels[kept])
    weights = 1.0 / labels[kept].bincount()[labels[kept]].float()
    sampler = torch.utils.data.WeightedRandomSampler(weights.tolist(), 480)
    script.train_loader = DataLoader(part, batch_size=16, sampler=sampler)
    return script.run()


@blind(None)
def max_norm_after_each_step(bench: Bench) -> WatchedRun:
    class Right(Script):
        def after_batch(self) -> None:
            with torch.no_grad():
                for parameter in self.model.parameters():
                    parameter.clamp_(-2.0, 2.0)

    return Right(bench, "sequences", epochs=12).run()


@blind(None)
def gradients_set_to_none_by_hand(bench: Bench) -> WatchedRun:
    class Right(Script):
        def update(self, loss: Tensor) -> None:
            for parameter in self.model.parameters():
                parameter.grad = None
            loss.backward()
            self.optimizer.step()

    return Right(bench, "sequences", epochs=12).run()


@blind(None)
def no_layer_with_modes_and_no_train(bench: Bench) -> WatchedRun:
    class Right(Script):
        def begin_epoch(self, epoch: int) -> None:
            """Without dropout and batch normalization the mode is all the same."""

    script = Right(bench, "sequences", epochs=12)
    script.model = nn.Sequential(nn.Flatten(), nn.Linear(80, 64), nn.ReLU(), nn.Linear(64, 5))
    return script.run()


@blind(None)
def rmsprop(bench: Bench) -> WatchedRun:
    class Right(Script):
        def make_optimizer(self) -> torch.optim.Optimizer:
            return torch.optim.RMSprop(self.model.parameters(), 1e-3)

    return Right(bench, epochs=7).run()


@blind(None)
def layers_unfrozen_later(bench: Bench) -> WatchedRun:
    class Right(Script):
        def begin_epoch(self, epoch: int) -> None:
            self.model.train()
            self.model.stem.requires_grad_(epoch >= 2)  # type: ignore[union-attr]

    return Right(bench, epochs=8).run()


@blind(None)
def checkpointed_activations(bench: Bench) -> WatchedRun:
    from torch.utils.checkpoint import checkpoint

    class Saving(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            inner = fresh("figures")
            self.stem, self.body, self.classifier = inner.stem, inner.body, inner.classifier

        def forward(self, x: Tensor) -> Tensor:
            x = checkpoint(self.stem, x, use_reentrant=False)
            return self.classifier(self.body(x))  # type: ignore[operator,no-any-return]

    script = Script(bench, epochs=7)
    script.model = Saving()
    return script.run()
