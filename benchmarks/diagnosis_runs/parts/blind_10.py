"""The tenth blind part: defined by who had not read the rules, before they were tuned on the ninth.

Its runs were trained before any of them was diagnosed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from benchmarks.diagnosis_runs import norm_models, spoiling
from benchmarks.diagnosis_runs.blocks import COLUMN, HOURGLASS, RIDGE, SEVEN, SLAB
from benchmarks.diagnosis_runs.further import TENTH
from benchmarks.diagnosis_runs.parts.part import ADAM, SGD, Part, registered
from benchmarks.diagnosis_runs.setups import Setup
from benchmarks.diagnosis_runs.strengths import BLIND_10

_LAMPS = Setup("slab-lamps", "lamps", SLAB, SGD | {"lr": 0.02, "batch_size": 30, "epochs": 8}, side=12)
_CHEQUES = Setup(
    "hourglass-cheques", "cheques", HOURGLASS, ADAM | {"lr": 3e-3, "batch_size": 30, "epochs": 9}, side=12
)
_JACKETS = Setup(
    "seven-jackets", "jackets", SEVEN,
    ADAM | {"optimiser": "adamw", "lr": 0.01, "weight_decay": 0.02, "batch_size": 25, "epochs": 10,
            "schedule": "cosine"},
    side=14,
)  # fmt: skip
_MAPS = Setup(
    "ridge-maps", "maps", RIDGE, SGD | {"lr": 0.04, "batch_size": 30, "epochs": 5, "schedule": "cosine"},
    side=12,
)  # fmt: skip
_COLUMN = Setup("column-maps", "maps", COLUMN, SGD | {"lr": 0.04, "batch_size": 30, "epochs": 5}, side=12)
_BUTTONS = Setup("slab-buttons", "buttons", replace(SLAB, name="button-slab"), ADAM | {"lr": 2e-3}, side=10)
_SIGNALS = Setup(
    "hourglass-signals", "signals", replace(HOURGLASS, name="signal-hourglass"),
    ADAM | {"lr": 3e-3, "batch_size": 30, "epochs": 8}, side=12,
)  # fmt: skip
_HARD: tuple[dict[str, Any], ...] = ({}, {"optimiser": "nesterov", "lr": 0.02})


def _honest() -> Iterator[Setup]:
    """Recipes as people write them, that no earlier part has: meant to be healthy."""
    ways: tuple[tuple[Setup, str, dict[str, Any]], ...] = (
        (_LAMPS, "plateau", {"schedule": "plateau", "patience": 2, "step_factor": 0.3, "epochs": 11}),
        (_LAMPS, "fewer-images", {"limit": 400, "epochs": 12}),
        (_CHEQUES, "one-cycle", {"optimiser": "nesterov", "lr": 0.04, "schedule": "one-cycle"}),
        (_CHEQUES, "decayed", {"optimiser": "adamw", "weight_decay": 0.05}),
        (_CHEQUES, "stopped", {"early_stopping": 5, "restore_best": True, "epochs": 14}),
        (_JACKETS, "mirrored", {"flip": "random", "epochs": 13}),
        (_JACKETS, "nesterov", {"optimiser": "nesterov", "lr": 0.04, "weight_decay": 1e-3}),
        (_MAPS, "mixup-smoothed", {"mixup": 0.1, "label_smoothing": 0.05, "epochs": 7}),
    )
    for setup, word, values in ways:
        yield replace(setup.but(**values), name=f"{word}-{setup.name}")


def _bold() -> Iterator[Setup]:
    """Recipes at the edge: whether a run ends well is a matter of luck."""
    edges: tuple[tuple[Setup, dict[str, Any]], ...] = (
        (_LAMPS, {"lr": 0.1, "batch_size": 15, "epochs": 4}),
        (_CHEQUES, {"lr": 0.012, "batch_size": 20, "epochs": 4}),
        (_JACKETS, {"lr": 0.04, "batch_size": 20, "epochs": 3, "schedule": "constant"}),
        (_MAPS, {"lr": 0.15, "epochs": 3, "schedule": "constant", "batch_size": 20}),
    )
    for setup, values in edges:
        for _ in range(2):
            yield replace(setup.but(**values), name=f"bold-{setup.name}")


PART = Part(
    BLIND_10,
    bases=(_LAMPS, _CHEQUES, _JACKETS, _MAPS, _COLUMN),
    planted=(
        registered(
            norm_models.RESNET, "tickets", options={"momentum": 0.1}, size=16, epochs=6, lr=1e-3,
            batch_size=30,
        ),
        registered(
            norm_models.EFFICIENTNET, "dresses", options={"momentum": 0.1}, size=16, epochs=7, lr=5e-3,
            batch_size=30,
        ),
    ),
    registered=(
        *_honest(),
        *(
            replace(
                _BUTTONS.but(epochs=epochs, batch_size=10).flawed(f"t{each}", spoiling.few(each)),
                name=f"tiny-{_BUTTONS.name}",
            )
            for each, epochs in ((6, 25), (3, 40))
        ),
        *(
            replace(_SIGNALS.but(**values), name=f"hard-{_SIGNALS.name}")
            for values in _HARD
        ),
        *_bold(),
    ),
    left_out={("column-maps", plant) for plant in ("weight-decay", "classes-missing", "rate-too-high")}
    | {(f"bench-{model}", "labels-noisy") for model in ("resnet-tickets", "efficientnet-dresses")},
    without={
        "initialisation+exploding-gradients-large", "rate-too-low-norm", "leakage", "constant-input-divided",
        "augmentation-too-strong-cutout", "augmentation-too-strong-everything", "split-mismatch-rotated",
        "split-mismatch-untrained",
    },
    quickest=("column-maps",),
    seed=330,
    further=TENTH,
    once=True,
)  # fmt: skip
