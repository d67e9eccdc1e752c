"""Evidence made by hand: a healthy run, and ways to spoil it."""

from __future__ import annotations

from typing import Any

from cnnviz.diagnosis import Evidence, Points
from cnnviz.diagnosis.evidence import Data, Histogram
from cnnviz.training import Recipe

CLASSES = tuple("0123456789")


def healthy(**changes: Any) -> Evidence:
    """Ten classes, 200 steps in ten epochs, a loss from ln 10 to 0.1, answers as common as the classes."""
    steps = tuple(range(20, 201, 20))
    falling = tuple(2.3 - 0.22 * i for i in range(1, 11))
    rising = tuple(0.1 + 0.088 * i for i in range(1, 11))
    base: dict[str, Any] = {
        "recipe": Recipe(model="lenet5", dataset="mnist", epochs=10),
        "step": 200,
        "total_steps": 200,
        "data": Data(
            classes=CLASSES, counts=(100,) * 10, train=1000, validation=100, test=200, shape=(1, 28, 28)
        ),
        "curves": {
            f"{part}/{measure}": Points(steps=steps, values=falling if measure.endswith("loss") else rising)
            for part in ("train", "val", "test")
            for measure in (("epoch_loss", "epoch_accuracy") if part == "train" else ("loss", "accuracy"))
        },
        "predicted": {"test": tuple(Histogram(step=step, counts=(20,) * 10) for step in steps)},
    }
    return Evidence(**(base | changes))
