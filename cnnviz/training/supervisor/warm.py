"""What a worker does before it has work: imports and first calls, which cost seconds, are behind it then."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import torch

from cnnviz.datasets import Dataset, Part
from cnnviz.training.engine import Trainer
from cnnviz.training.log import Memory
from cnnviz.training.recipe import Recipe
from cnnviz.training.setup import make_ready

_IMAGES = 20


def up() -> None:
    """Train LeNet for a moment, where runs train by default, so that every part has been called once."""
    importlib.import_module("torchvision")
    recipe = Recipe(epochs=1, batch_size=10, validation=0.5)
    ready = make_ready(recipe, _noise())
    Trainer(recipe, ready.model, ready.material, ready.side, Memory()).run()


def devices() -> list[str]:
    """Every device of this machine, as runs name them."""
    found = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    return [*found, "mps"] if torch.backends.mps.is_available() else found


def _noise() -> Dataset:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (_IMAGES, 1, 28, 28)).astype(np.uint8)
    part = Part(images, np.arange(_IMAGES) % 2)
    return Dataset("noise", "Noise", ("even", "odd"), part, part, "", (), Path())
