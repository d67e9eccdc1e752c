"""The ninth blind part: defined by who had not read the rules, after they were tuned on all before it.

Its runs were trained before any of them was diagnosed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from benchmarks.diagnosis_runs import norm_models, spoiling
from benchmarks.diagnosis_runs.blocks import BRIEF, CHAIN, ELEVEN, LATTICE, TELESCOPE
from benchmarks.diagnosis_runs.further import NINTH
from benchmarks.diagnosis_runs.parts.part import ADAM, SGD, Part, registered
from benchmarks.diagnosis_runs.setups import Setup
from benchmarks.diagnosis_runs.strengths import BLIND_9

_TOKENS = Setup("brief-tokens", "tokens", BRIEF, SGD | {"lr": 0.03, "epochs": 9}, side=12)
_LINENS = Setup(
    "telescope-linens", "linens", TELESCOPE, ADAM | {"lr": 8e-3, "batch_size": 25, "epochs": 10}, side=12
)
_KNITS = Setup(
    "lattice-knits", "knits", LATTICE,
    ADAM | {"optimiser": "adamw", "lr": 4e-3, "weight_decay": 0.01, "batch_size": 25, "epochs": 7}, side=12,
)  # fmt: skip
_WEAVES = Setup(
    "eleven-weaves", "weaves", ELEVEN,
    SGD | {"lr": 0.05, "batch_size": 30, "epochs": 7, "schedule": "cosine"}, side=12,
)  # fmt: skip
_CHAIN = Setup("chain-weaves", "weaves", CHAIN, SGD | {"lr": 0.05, "batch_size": 30, "epochs": 5}, side=12)
_CARDS = Setup("brief-cards", "cards", replace(BRIEF, name="brief-cards"), ADAM | {"lr": 2e-3}, side=10)
_DIALS = Setup(
    "telescope-dials", "dials", replace(TELESCOPE, name="dial-telescope"),
    ADAM | {"lr": 8e-3, "batch_size": 25, "epochs": 10}, side=12,
)  # fmt: skip
_HARD: tuple[dict[str, Any], ...] = ({}, {"optimiser": "nesterov", "lr": 0.03})


def _honest() -> Iterator[Setup]:
    """Recipes as people write them, that no earlier part has: meant to be healthy."""
    ways: tuple[tuple[Setup, str, dict[str, Any]], ...] = (
        (_TOKENS, "rmsprop", {"optimiser": "rmsprop", "lr": 1e-3}),
        (_TOKENS, "mixup", {"mixup": 0.2}),
        (_TOKENS, "best-restored", {"early_stopping": 4, "restore_best": True, "epochs": 12}),
        (_LINENS, "clipped", {"clip_norm": 1.0}),
        (_LINENS, "short-memory", {"beta2": 0.95, "lr": 2e-3}),
        (_LINENS, "fewer-images", {"limit": 350, "epochs": 12}),
        (_KNITS, "balanced", {"class_weights": "balanced"}),
        (_KNITS, "long", {"epochs": 10, "schedule": "cosine", "warmup_epochs": 1}),
        (_WEAVES, "rmsprop", {"optimiser": "rmsprop", "lr": 2e-3, "alpha": 0.95}),
        (_WEAVES, "jitter-clipped", {"colour_jitter": 0.15, "clip_norm": 2.0}),
    )  # fmt: skip
    for setup, word, values in ways:
        yield replace(setup.but(**values), name=f"{word}-{setup.name}")


def _bold() -> Iterator[Setup]:
    """Recipes at the edge: whether a run ends well is a matter of luck."""
    edges: tuple[tuple[Setup, dict[str, Any]], ...] = (
        (_TOKENS, {"lr": 0.12, "batch_size": 16, "epochs": 5}),
        (_LINENS, {"lr": 0.03, "batch_size": 16, "epochs": 5}),
        (_KNITS, {"lr": 0.03, "batch_size": 16, "epochs": 3, "schedule": "constant"}),
        (_WEAVES, {"epochs": 3, "schedule": "constant", "batch_size": 24}),
    )
    for setup, values in edges:
        for _ in range(2):
            yield replace(setup.but(**values), name=f"bold-{setup.name}")


PART = Part(
    BLIND_9,
    bases=(_TOKENS, _LINENS, _KNITS, _WEAVES, _CHAIN),
    planted=(
        registered(
            norm_models.SHUFFLENET, "socks", options={"momentum": 0.1}, size=16, epochs=7, lr=5e-3,
            batch_size=25,
        ),
        registered(
            norm_models.REGNET, "hats", options={"momentum": 0.1}, size=16, epochs=7, lr=5e-3, batch_size=25
        ),
    ),
    registered=(
        *_honest(),
        *(
            replace(
                _CARDS.but(epochs=epochs, batch_size=10).flawed(f"t{each}", spoiling.few(each)),
                name=f"tiny-{_CARDS.name}",
            )
            for each, epochs in ((5, 25), (2, 40))
        ),
        *(
            replace(_DIALS.but(**values), name=f"hard-{_DIALS.name}")
            for values in _HARD
        ),
        *_bold(),
    ),
    left_out={
        ("chain-weaves", plant) for plant in ("weight-decay", "classes-missing", "rate-too-high")
    } | {("bench-shufflenet-v2-socks", "labels-noisy"), ("bench-regnet-hats", "labels-noisy")},
    quickest=("chain-weaves",),
    seed=300,
    further=NINTH,
    once=True,
)  # fmt: skip
