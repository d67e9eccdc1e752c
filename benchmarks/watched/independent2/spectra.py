"""A faulty script of `independent-2`: functions, SGD, a plateau schedule, best weights kept; signals."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.watched.independent2.data import SPECTRA, planted
from benchmarks.watched.independent2.nets import SpectraNet


def get_data(fault: str) -> tuple[DataLoader[Any], DataLoader[Any]]:
    """Loaders of both parts."""
    x, y, test_x, test_y = SPECTRA.x, SPECTRA.y, SPECTRA.test_x, SPECTRA.test_y
    batch, test_batch = 30, 90
    if fault == "permuted alone":
        x = x[torch.randperm(len(x))]
    if fault == "test in transmission":  # the training spectra are of absorption
        test_x = -test_x
    if fault.startswith("common ones weigh more"):
        kept = (y < 2) | (torch.rand(len(y)) < 0.2)
        x, y = x[kept], y[kept]
    if fault == "labels by an intern":
        wrong = torch.rand(len(y)) < 0.65
        y = torch.where(wrong, torch.randint(0, 8, y.shape), y)
    train = DataLoader(TensorDataset(x, y), batch, shuffle=True, drop_last=True)
    return train, DataLoader(TensorDataset(test_x, test_y), test_batch)


def class_weights(labels: Tensor, fault: str) -> Tensor | None:
    """Weights for classes that are rare."""
    if not fault.startswith("common ones weigh more"):
        return None
    counts = labels.bincount().float()
    weights = 1 / counts if fault.endswith("mended") else counts**2
    return weights / weights.mean()


def train_epoch(
    model: nn.Module, loader: DataLoader[Any], opt: torch.optim.Optimizer, criterion: nn.Module,
    fault: str, decay: Any,
) -> float:  # fmt: skip
    model.train()
    total = 0.0
    for x, y in loader:
        out = model(x)
        loss = criterion(out, y)
        if fault == "cleared by the wrong name":
            model.grad = None  # type: ignore[assignment]
        else:
            opt.zero_grad()
        loss.backward()
        opt.step()
        if fault == "decay in the loop":
            decay.step()
        total += loss.item()
    return total / len(loader)


@torch.no_grad()
def validate(run: Any, model: nn.Module, loader: DataLoader[Any], criterion: nn.Module, fault: str) -> Any:
    if fault != "eval forgotten":
        model.eval()
    answers, truths, losses = [], [], []
    for x, y in loader:
        out = model(x)
        losses.append(criterion(out, y).item())
        answers.append(out)
        truths.append(y)
    logits, labels = torch.cat(answers), torch.cat(truths)
    run.evaluate(logits, labels, part="validation")
    return float((logits.argmax(1) == labels).float().mean()), sum(losses) / len(losses)


def spectra(bench: Any, fault: str = "") -> float:
    """Train, validate, keep the best."""
    torch.manual_seed(62)
    train_loader, val_loader = get_data(fault)
    model = SpectraNet(keep_out={"keep probability": 0.97}.get(fault, 0.9 if "eval" in fault else 0.3))
    rate = {"rate of a table": 5e-6, "rate times batch": 30.0}.get(fault, 0.03)
    opt = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    plateau = lr_scheduler.ReduceLROnPlateau(opt, factor=0.3, patience=1)
    decay = lr_scheduler.ExponentialLR(opt, 0.6)
    criterion = nn.CrossEntropyLoss(weight=class_weights(train_loader.dataset.tensors[1], fault))  # type: ignore[attr-defined]
    run = bench.watch(model, opt, name="spectra", steps_per_epoch=len(train_loader))
    best, best_loss = copy.deepcopy(model.state_dict()), float("inf")
    accuracy = 0.0
    for _ in range(7):
        loss = train_epoch(model, train_loader, opt, criterion, fault, decay)
        accuracy, val_loss = validate(run, model, val_loader, criterion, fault)
        print(f"train {loss:.4f} val {val_loss:.4f} acc {accuracy:.3f}")
        if fault == "best never saved":
            if val_loss > best_loss:  # turned round: the best stays what it was at the start
                best, best_loss = copy.deepcopy(model.state_dict()), val_loss
            model.load_state_dict(best)
            continue
        if val_loss < best_loss:
            best, best_loss = copy.deepcopy(model.state_dict()), val_loss
        plateau.step(val_loss)
    model.load_state_dict(best)
    return validate(run, model, val_loader, criterion, fault)[0]


planted(
    spectra,
    (
        ("permuted alone", "labels-shuffled", ""),
        ("test in transmission", "split-mismatch", ""),
        ("common ones weigh more", "classes-unbalanced", ""),
        ("eval forgotten", "evaluation-mode", ""),
        ("labels by an intern", "labels-noisy", ""),
        ("cleared by the wrong name", "zero-grad-missing", "unstable-training rate-too-high"),
        ("decay in the loop", "scheduler-per-batch", "schedule-ended"),
        ("keep probability", "dropout", ""),
        ("rate of a table", "rate-too-low", "too-few-steps"),
        ("rate times batch", "rate-too-high", "one-class"),
        ("best never saved", "reinitialized", "unstable-training"),
    ),
    twins={"eval forgotten": "eval remembered", "common ones weigh more": "common ones weigh more mended"},
)
