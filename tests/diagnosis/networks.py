"""Evidence of a small network, layer by layer, made by hand: sound unless asked otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnviz.diagnosis import Evidence, Look, Points
from cnnviz.diagnosis.evidence import Data, Histogram, Input, LayerAt, LayerFact
from cnnviz.models.layers import Activation, Conv, Flatten, Init, LayerList, Linear
from cnnviz.training import Recipe

CLASSES = tuple("0123456789")
SIGNALS = (0.9, 0.8, 0.7, 0.6)
GRADIENTS = (0.5, 0.6, 0.7, 0.8)
FALLING = (2.4, 2.0, 1.4, 0.9, 0.6, 0.4, 0.3, 0.25, 0.2, 0.18, 0.16, 0.15)
FLAT = (2.31, 2.31, 2.303, 2.302, 2.303, 2.302, 2.303, 2.302, 2.303, 2.302, 2.303, 2.302)


def layers(init: Init | None = None, function: str = "relu") -> LayerList:
    """Three convolutions of 16 maps and a fully connected layer, each activation after its layer."""
    start = init or Init(weights="he", bias=0.0)
    made: list[Any] = []
    for number in (1, 2, 3):
        made.append(Conv(name=f"conv{number}", out=16, kernel=3, padding=1, init=start))
        made.append(Activation.model_validate({"name": f"act{number}", "function": function}))
    made += [Flatten(name="flatten"), Linear(name="fc", init=start)]
    return LayerList(name="four", input=(1, 8, 8), layers=tuple(made))


def run(
    *,
    losses: Sequence[float] = FALLING,
    accuracy: float = 0.95,
    signals: Sequence[float] = SIGNALS,
    spreads: Sequence[float] | None = None,
    means: Sequence[float] = (0.0,) * 4,
    gradients: Sequence[float] = GRADIENTS,
    updates: Sequence[float] = (5e-3, 2e-3, 1e-3),
    dead: Sequence[float] = (0.1, 0.1, 0.1),
    spread: float = 1.0,
    kind: str = "ReLU",
    init: Init | None = None,
    step: int = 400,
    **changes: Any,
) -> Evidence:
    """A run of 400 steps; `updates` and `dead` are those of the looks at steps 1, 20 and the end."""
    steps = [1, *(max(2, round(step * i / (len(losses) - 1))) for i in range(1, len(losses)))]
    looked = (1, min(20, step), step)
    function = {"ReLU": "relu", "Tanh": "tanh", "Sigmoid": "sigmoid"}[kind]
    recipe: dict[str, Any] = {"layers": layers(init, function), "dataset": "digits", "epochs": 10}
    recipe |= {"optimiser": "sgd", "lr": 0.05, "batch_size": 32} | changes.pop("recipe", {})
    right = round(accuracy * 200)
    answers = (right // 10,) * 10 if accuracy > 0.15 else (200, *(0,) * 9)
    base: dict[str, Any] = {
        "recipe": Recipe.model_validate(recipe),
        "step": step,
        "total_steps": step,
        "side": (8, 8),
        "layers": _facts(kind),
        "data": Data(
            classes=CLASSES, counts=(128,) * 10, train=1280, validation=100, test=200, shape=(1, 8, 8)
        ),
        "input": Input(mean=0.0 if spread == 1 else spread, spread=spread, low=-2 * spread, high=2 * spread),
        "curves": {
            "train/loss": Points(steps=tuple(steps), values=tuple(losses)),
            "lr": Points(steps=tuple(steps), values=(recipe["lr"],) * len(steps)),
            "train/epoch_accuracy": Points(steps=(step,), values=(accuracy,)),
            "test/loss": Points(steps=(step,), values=(losses[-1],)),
            "test/accuracy": Points(steps=(step,), values=(accuracy,)),
        },
        "looks": tuple(
            _look(at, signals, spreads or signals, means, gradients, moved, share)
            for at, moved, share in zip(looked, updates, dead, strict=True)
        ),
        "predicted": {"test": (Histogram(step=step, counts=answers),)},
    }
    return Evidence(**(base | changes))


def _facts(kind: str) -> tuple[LayerFact, ...]:
    facts = []
    for number in (1, 2, 3):
        fan = 9 if number == 1 else 144
        facts.append(
            LayerFact(
                name=f"conv{number}",
                type="Conv2d",
                kind="conv",
                params=16 * (fan + 1),
                out=(16, 8, 8),
                fan_in=fan,
            )
        )
        facts.append(LayerFact(name=f"act{number}", type=kind, kind="activation", params=0, out=(16, 8, 8)))
    facts.append(LayerFact(name="flatten", type="Flatten", kind="other", params=0, out=(1024,)))
    facts.append(LayerFact(name="fc", type="Linear", kind="fc", params=10_250, out=(10,), fan_in=1024))
    return tuple(facts)


def _look(
    step: int, signals: Sequence[float], spreads: Sequence[float], means: Sequence[float],
    gradients: Sequence[float], moved: float, dead: float,
) -> Look:  # fmt: skip
    seen = []
    for place, name in enumerate(("conv1", "conv2", "conv3", "fc")):
        seen.append(
            LayerAt(
                name=name, mean=means[place], spread=spreads[place], zeros=0.0, dead=0.0,
                signal=signals[place], gradient=gradients[place], update=moved,
            )
        )  # fmt: skip
        if name != "fc":
            half = signals[place] * 0.6
            seen.append(
                LayerAt(name=f"act{place + 1}", mean=half, spread=half, zeros=0.5, dead=dead, signal=half)
            )
    return Look(step=step, layers=tuple(seen))
