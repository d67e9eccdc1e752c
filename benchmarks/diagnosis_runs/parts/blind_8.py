"""The eighth blind part, small: defined before rules were tuned on `blind-6` and `blind-7`.

Who defined it also changed those rules, and diagnosed none of its runs before they were done.
"""

from __future__ import annotations

from dataclasses import replace

from benchmarks.diagnosis_runs import spoiling
from benchmarks.diagnosis_runs.blocks import GROUPED, LADDER, NINE
from benchmarks.diagnosis_runs.further import EIGHTH
from benchmarks.diagnosis_runs.parts.part import ADAM, SGD, Part
from benchmarks.diagnosis_runs.setups import Setup
from benchmarks.diagnosis_runs.strengths import BLIND_8

_RUNES = Setup("ladder-runes", "runes", LADDER, ADAM | {"lr": 3e-3, "batch_size": 32, "epochs": 6}, side=13)
_SLEEVES = Setup(
    "grouped-sleeves", "sleeves", GROUPED,
    SGD | {"lr": 0.02, "batch_size": 28, "epochs": 7, "schedule": "cosine"}, side=13,
)  # fmt: skip
_RIPPLES = Setup("nine-ripples", "ripples", NINE, SGD | {"lr": 0.04, "batch_size": 32, "epochs": 7}, side=14)

PART = Part(
    BLIND_8,
    bases=(_RUNES, _SLEEVES, _RIPPLES),
    registered=(
        # Meant to be healthy; that some of them end badly is what they are for.
        *(_RUNES.but(lr=lr, epochs=epochs) for lr, epochs in ((3e-3, 2), (1e-3, 4), (0.015, 5))),
        *(_SLEEVES.but(lr=lr, epochs=epochs) for lr, epochs in ((0.02, 2), (0.006, 5), (0.08, 6))),
        *(_RIPPLES.but(lr=lr, epochs=epochs) for lr, epochs in ((0.04, 3), (0.01, 5))),
        Setup(
            "tiny-ladder", "flags", replace(LADDER, name="ladder-flags"),
            ADAM | {"lr": 2e-3, "batch_size": 10, "epochs": 30},
            flaws=(("t4", spoiling.few(4)),), side=10,
        ),
    ),
    seed=270,
    further=EIGHTH,
    once=True,
)  # fmt: skip
