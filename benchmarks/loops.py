"""Two other ways to train the same network on the same images: an article's loop, and Lightning's Trainer."""

from __future__ import annotations

import importlib
import logging
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import ToTensor

from cnnviz import models

Timing = Callable[[int], float]
"""Images a second over so many steps, after a few that do not count."""
WARM_UP = 3


class Items(Dataset[tuple[Tensor, int]]):
    """Images as torchvision's MNIST and CIFAR hand them out: from an array a PIL image, then `ToTensor`.

    Takes uint8 `(N, C, H, W)` and labels `(N,)`.
    """

    def __init__(self, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
        arrays = images.transpose(0, 2, 3, 1)
        self._arrays = np.ascontiguousarray(arrays[..., 0] if arrays.shape[-1] == 1 else arrays)
        self._labels: list[int] = labels.tolist()
        self._transform = ToTensor()

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self._transform(Image.fromarray(self._arrays[index])), self._labels[index]


@dataclass(frozen=True)
class Task:
    """What all loops train, with plain SGD or momentum."""

    model: str
    items: Items
    batch: int
    lr: float
    momentum: float
    weight_decay: float
    device: torch.device

    def network(self) -> nn.Module:
        """Fresh weights on the device."""
        return models.build(self.model, 10).to(self.device).train()

    def optimiser(self, model: nn.Module) -> torch.optim.Optimizer:
        """As a tutorial makes it."""
        return torch.optim.SGD(model.parameters(), self.lr, self.momentum, weight_decay=self.weight_decay)

    def loader(self) -> DataLoader[tuple[Tensor, int]]:
        """Shuffled, no workers."""
        return DataLoader(self.items, self.batch, shuffle=True, drop_last=True)


def article(task: Task) -> Timing:
    """The loop of the articles: `DataLoader`, `.to(device)`, and the loss read in every step."""
    model = task.network()
    optimiser, loss_function = task.optimiser(model), nn.CrossEntropyLoss()

    def timed(steps: int) -> float:
        done, start, running = 0, 0.0, 0.0
        while True:
            for images, labels in task.loader():
                if done == WARM_UP:
                    start = time.perf_counter()
                if done == steps + WARM_UP:
                    return steps * task.batch / (time.perf_counter() - start)
                images, labels = images.to(task.device), labels.to(task.device)
                optimiser.zero_grad()
                loss = loss_function(model(images), labels)
                loss.backward()
                optimiser.step()
                running += loss.item()
                done += 1

    return timed


def lightning(task: Task) -> Timing:
    """Lightning's Trainer over the same loader, with its bar, logger and checkpoints off."""
    pl: Any = importlib.import_module("lightning")
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)

    class Module(pl.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.network = task.network()
            self.begin = 0.0

        def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
            images, labels = batch
            return functional.cross_entropy(self.network(images), labels)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return task.optimiser(self.network)

        def on_train_batch_start(self, batch: Any, index: int) -> None:
            if self.trainer.global_step == WARM_UP:
                wait(task.device)
                self.begin = time.perf_counter()

    def timed(steps: int) -> float:
        module = Module()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on workers and loggers, which are as wanted
            trainer = pl.Trainer(
                max_steps=steps + WARM_UP,
                accelerator="gpu" if task.device.type == "cuda" else "cpu",
                devices=1,
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
            )
            trainer.fit(module, task.loader())
        wait(task.device)
        return steps * task.batch / (time.perf_counter() - module.begin)

    return timed


def wait(device: torch.device) -> None:
    """Until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
