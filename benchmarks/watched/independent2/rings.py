"""A faulty script of `independent-2`: an experiment made of a configuration, on a GroupNorm ResNet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 as in the scripts that these stand for
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader, SequentialSampler, TensorDataset

from benchmarks.watched.independent2.data import RINGS, planted
from benchmarks.watched.independent2.nets import GroupResNet, examine


@dataclass
class Config:
    """What an experiment is made of; `fault` is what its author got wrong."""

    fault: str = ""
    lr: float = 4e-3
    weight_decay: float = 0.02
    batch_size: int = 36
    epochs: int = 6
    seed: int = 61
    max_norm: float = 5.0


class Experiment:
    """Builds everything in its constructor, and runs it."""

    def __init__(self, config: Config, bench: Any) -> None:
        self.config, self.bench = config, bench
        torch.manual_seed(config.seed)
        self.model = self.build_model()
        self.loader = self.build_loader()
        self.optimizer = self.build_optimizer()
        if config.fault == "head replaced late":  # "the pretrained head has 1000 classes, ours has 6"
            self.model.fc = nn.Linear(self.model.fc.in_features, 6)
        self.scheduler = lr_scheduler.CosineAnnealingWarmRestarts(self.optimizer, T_0=3, eta_min=1e-4)
        self.run = bench.watch(self.model, self.optimizer, name="rings")

    def build_model(self) -> GroupResNet:
        classes = {"head replaced late": 1000, "five outputs": 5}.get(self.config.fault, 6)
        model = GroupResNet(classes)
        if self.config.fault == "trunk frozen unloaded":
            # the checkpoint was not found, so that load_pretrained() returned without having done anything
            for name, parameter in model.named_parameters():
                parameter.requires_grad = name.startswith("fc")
        if self.config.fault == "constant weights":
            for module in model.modules():
                if isinstance(module, nn.Conv2d | nn.Linear):
                    nn.init.constant_(module.weight, 0.01)
        return model

    def build_loader(self) -> DataLoader[Any]:
        x, y = RINGS.x, RINGS.y
        if self.config.fault == "stored by class":
            order = y.argsort(stable=True)
            dataset = TensorDataset(x[order], y[order])
            return DataLoader(dataset, self.config.batch_size, sampler=SequentialSampler(dataset))
        if self.config.fault == "labels of another file":
            y = y[torch.randperm(len(y))]
        return DataLoader(TensorDataset(x, y), self.config.batch_size, shuffle=True)

    def build_optimizer(self) -> torch.optim.Optimizer:
        lr = {"rate of one": 1.0}.get(self.config.fault, self.config.lr)
        decay = 60.0 if self.config.fault == "decay of sixty" else self.config.weight_decay
        return torch.optim.AdamW(self.model.parameters(), lr=lr, weight_decay=decay)

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        if self.config.fault == "loss wrapped anew":
            value = F.cross_entropy(logits, labels)
            return torch.tensor(value.item(), requires_grad=True)
        return F.cross_entropy(logits, labels, label_smoothing=0.05)

    def on_epoch_start(self) -> None:
        self.model.train()
        if self.config.fault == "weights made in the epoch":
            torch.manual_seed(self.config.seed)
            self.model.load_state_dict(GroupResNet(6).state_dict())

    def run_epoch(self) -> float:
        self.on_epoch_start()
        total = 0.0
        for images, labels in self.loader:
            self.optimizer.zero_grad(set_to_none=True)
            loss = self.criterion(self.model(images), labels)
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.max_norm)
            if self.config.fault == "cleared after clipping":
                self.model.zero_grad()
            self.optimizer.step()
            total += loss.item() * len(labels)
        self.scheduler.step()
        return total / len(RINGS.y)

    def __call__(self) -> float:
        accuracy = 0.0
        for epoch in range(self.config.epochs):
            loss = self.run_epoch()
            accuracy = examine(self.run, self.model, RINGS)
            print(f"{epoch=} {loss=:.3f} {accuracy=:.3f}")
        return accuracy


def rings(bench: Any, fault: str = "") -> float:
    """Run an experiment."""
    return Experiment(Config(fault), bench)()


planted(
    rings,
    (
        ("head replaced late", "optimizer-parameters", ""),
        ("five outputs", "labels-out-of-range", ""),
        ("trunk frozen unloaded", "frozen-parameters", ""),
        ("constant weights", "initialisation", "one-class"),
        ("stored by class", "not-shuffled", "one-class"),
        ("labels of another file", "labels-shuffled", "one-class"),
        ("rate of one", "rate-too-high", "one-class"),
        ("decay of sixty", "weight-decay", "one-class"),
        ("loss wrapped anew", "loss-detached", "one-class"),
        ("weights made in the epoch", "reinitialized", "unstable-training"),
        ("cleared after clipping", "zero-grad-misplaced", "one-class"),
    ),
)
