"""A faulty script of `independent-2`: a classifier with `fit` and `score`, on rows of a table."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 as in the scripts that these stand for

from benchmarks.watched.independent2.data import MEMORIZED, ROWS, planted
from benchmarks.watched.independent2.nets import RowNet


class Classifier:
    """Looks like one of scikit-learn's: `fit`, `predict`, `score`."""

    def __init__(self, bench: Any, fault: str) -> None:
        torch.manual_seed(67)
        self.fault = fault
        self.net: nn.Module = RowNet(
            drop={"keep five percent": 0.95, "duplicates": 0.0, "duplicates mended": 0.0}.get(fault, 0.2),
            norm=not fault.startswith("bare"),
        )
        if fault == "bare biases sunk":
            for layer in self.net.body:
                if isinstance(layer, nn.Linear):
                    nn.init.constant_(layer.bias, -8.0)
        if fault == "bare weights of five":
            for layer in self.net.modules():
                if isinstance(layer, nn.Linear):
                    nn.init.normal_(layer.weight, std=5.0)
        if fault == "body frozen":
            self.net.body.requires_grad_(False)
        rate = {"rate of a half": 0.5, "rate of a millionth": 1e-6}.get(fault, 0.004)
        decay = {"decay of two": 2.0}.get(fault, 0.0)
        learned = self.net.top if fault == "only the top is given" else self.net
        self.optimizer = torch.optim.Adam(learned.parameters(), rate, weight_decay=decay)
        self.run = bench.watch(self.net, self.optimizer, name="rows")

    def loss(self, scores: Tensor, y: Tensor) -> Tensor:
        if self.fault == "penalty in the loss":
            square = torch.stack([p.square().sum() for p in self.net.parameters()]).sum()
            return F.cross_entropy(scores, y) + 0.5 * square
        if self.fault == "hard answers":
            answers = F.one_hot(scores.argmax(1), 9).float().requires_grad_()
            return F.cross_entropy(answers, y)
        return F.cross_entropy(scores, y)

    def order(self, y: Tensor) -> Tensor:
        if self.fault == "as sorted by a query":
            return y.argsort(stable=True)
        if self.fault == "one chunk":
            return torch.arange(32).repeat(len(y) // 32)
        return torch.randperm(len(y))

    def fit(self, x: Tensor, y: Tensor, epochs: int = 8) -> None:
        for _ in range(epochs):
            self.net.train()
            for index in self.order(y).split(32):
                if len(index) < 2:
                    continue
                loss = self.loss(self.net(x[index]), y[index])
                if self.fault != "emptied by garbage collection":
                    self.optimizer.zero_grad()
                loss.backward()
                if self.fault == "emptied to be safe":
                    self.optimizer.zero_grad(set_to_none=False)
                self.optimizer.step()

    def partial_fit(self, x: Tensor, y: Tensor) -> None:
        """One epoch more."""
        if self.fault == "begins anew":
            for layer in self.net.modules():
                if isinstance(layer, nn.Linear | nn.BatchNorm1d):
                    layer.reset_parameters()
        self.fit(x, y, 1)

    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        self.net.eval()
        return self.net(x)

    def score(self, x: Tensor, y: Tensor) -> float:
        scores = self.predict(x)
        self.run.evaluate(scores, y)
        return float((scores.argmax(1) == y).float().mean())


def tables(fault: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The rows of both parts."""
    x, y, test_x, test_y = ROWS.x, ROWS.y, ROWS.test_x, ROWS.test_y
    if fault == "half of the labels guessed":
        y = torch.where(torch.rand(len(y)) < 0.75, torch.randint(0, 9, y.shape), y)
    if fault == "columns joined apart":
        y = y.roll(1)
    if fault == "cut without shuffling":
        every, labels = torch.cat([x, test_x]), torch.cat([y, test_y])
        order = labels.argsort(stable=True)
        at = len(x)
        x, y, test_x, test_y = every[order[:at]], labels[order[:at]], every[order[at:]], labels[order[at:]]
    if fault == "few rows":
        x, y = x[:40], y[:40]
    if fault == "scaler fitted on the test alone":
        test_x = (test_x - 2.0) / 4 + 1.5
    if fault == "constant column":
        x, test_x = x.clone(), test_x.clone()
        x[:, 3] = 1.0
        test_x[:, 3] = 1.0
        x, test_x = (x - x.mean(0)) / x.std(0), (test_x - x.mean(0)) / x.std(0)
    if fault == "bare units mixed":
        x, test_x = x * 2000 + 5000, test_x * 2000 + 5000
    if fault == "bare scaled as pixels":
        x, test_x = x / 255, test_x / 255
    if fault.startswith("duplicates"):  # labels that are partly guessed, so that they can only be memorized
        y = torch.where(torch.rand(len(y)) < 0.4, torch.randint(0, 9, y.shape), y)
        test_y = torch.where(torch.rand(len(test_y)) < 0.4, torch.randint(0, 9, test_y.shape), test_y)
        if not fault.endswith("mended"):
            x, y = torch.cat([x, test_x]), torch.cat([y, test_y])
    if fault == "rare ones drowned":
        kept = (y < 1) | (torch.rand(len(y)) < 0.03)
        x, y = x[kept].repeat(5, 1), y[kept].repeat(5)
    if fault == "classes numbered from one":
        y, test_y = y + 1, test_y + 1
    if fault == "test classes by frequency":
        rank = test_y.bincount().argsort(descending=True).argsort()
        test_y = rank[test_y]
    return x, y, test_x, test_y


def rows(bench: Any, fault: str = "") -> float:
    """Fit, and score."""
    classifier = Classifier(bench, fault)
    x, y, test_x, test_y = tables(fault)
    accuracy = 0.0
    for _ in range(80 if fault in ("few rows", "duplicates", "duplicates mended") else 12):
        classifier.partial_fit(x, y)
        accuracy = classifier.score(test_x, test_y)
    print(f"accuracy {accuracy:.3f}")
    return accuracy


planted(
    rows,
    (
        ("keep five percent", "dropout", "one-class"),
        ("bare biases sunk", "dead-relu", "initialisation one-class"),
        ("bare weights of five", "initialisation", "exploding-gradients"),
        ("body frozen", "frozen-parameters", ""),
        ("rate of a half", "rate-too-high", "one-class"),
        ("rate of a millionth", "rate-too-low", "too-few-steps"),
        ("decay of two", "weight-decay", "one-class unstable-training"),
        ("only the top is given", "optimizer-parameters", ""),
        ("penalty in the loss", "weight-decay", "one-class unstable-training"),
        ("hard answers", "loss-detached", ""),
        ("as sorted by a query", "not-shuffled", ""),
        ("one chunk", "same-batch", MEMORIZED),
        ("emptied by garbage collection", "zero-grad-missing", "unstable-training"),
        ("emptied to be safe", "zero-grad-misplaced", ""),
        ("begins anew", "reinitialized", ""),
        ("half of the labels guessed", "labels-noisy", ""),
        ("columns joined apart", "labels-shuffled", ""),
        ("cut without shuffling", "classes-missing", "split-mismatch"),
        ("few rows", "over-fitting-data", MEMORIZED),
        ("scaler fitted on the test alone", "split-mismatch", ""),
        ("constant column", "non-finite", "one-class"),
        ("bare units mixed", "input-scale", "exploding-gradients dead-relu one-class"),
        ("bare scaled as pixels", "scaled-twice", "input-scale"),
        ("duplicates", "leakage", "labels-noisy over-fitting-data"),
        ("rare ones drowned", "classes-unbalanced", "over-fitting-data"),
        ("classes numbered from one", "labels-out-of-range", ""),
        ("test classes by frequency", "labels-permuted", "split-mismatch"),
    ),
    twins={"duplicates": "duplicates mended"},
    not_sound=frozenset({"duplicates mended"}),  # its labels are partly guessed as well
)
