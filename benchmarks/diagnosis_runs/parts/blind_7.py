"""The seventh blind part: defined before the rules were touched in issue 11, by who had not read them.

Its runs were trained before any of them was diagnosed.
"""

from __future__ import annotations

from dataclasses import replace

from benchmarks.diagnosis_runs import norm_models, spoiling
from benchmarks.diagnosis_runs.blocks import BRANCHES, NEIGHBORS, POINTWISE, TWENTY, WIDE_SHORT
from benchmarks.diagnosis_runs.further import SEVENTH
from benchmarks.diagnosis_runs.parts.part import ADAM, SGD, Part, longer, registered
from benchmarks.diagnosis_runs.setups import Setup
from benchmarks.diagnosis_runs.strengths import BLIND_7

_SPOTS = Setup(
    "wide-short-constellations",
    "constellations",
    WIDE_SHORT,
    ADAM | {"lr": 2e-3, "batch_size": 32, "epochs": 5},
    side=12,
)
_FLAGS = ADAM | {"lr": 2e-3, "batch_size": 8}
_HARD = SGD | {"lr": 0.03, "batch_size": 25, "epochs": 9}

_BASES = (
    _SPOTS,
    Setup(
        "branches-bags",
        "bags",
        BRANCHES,
        ADAM | {"optimiser": "adamw", "weight_decay": 0.01, "batch_size": 32, "epochs": 9},
        side=14,
    ),
    Setup(
        "neighbors-checks",
        "checks",
        NEIGHBORS,
        SGD | {"lr": 0.03, "batch_size": 30, "epochs": 6, "schedule": "one-cycle"},
        side=12,
    ),
    Setup(
        "pointwise-scrawls",
        "scrawls",
        POINTWISE,
        ADAM | {"lr": 5e-3, "batch_size": 32, "epochs": 8},
        side=13,
    ),
    Setup(
        "twenty-constellations",
        "constellations",
        TWENTY,
        SGD | {"lr": 0.05, "batch_size": 40, "epochs": 7, "schedule": "cosine"},
        side=12,
    ),
)

PART = Part(
    BLIND_7,
    bases=_BASES,
    planted=(
        registered(norm_models.DENSENET, "plates", options={"momentum": 0.1}, size=32, epochs=6, lr=5e-3),
    ),
    registered=(
        *(
            Setup("tiny-wide", "flags", replace(WIDE_SHORT, name="wide-flags"), _FLAGS | {"epochs": epochs},
                  flaws=((f"t{each}", spoiling.few(each)),), side=10)
            for each, epochs in ((6, 20), (5, 25), (4, 30), (3, 35))
        ),
        *(
            Setup(f"hard-{name}", "flocks", replace(plan, name=f"counting-{name}"), _HARD | values, side=14)
            for name, plan, values in (
                ("branches", BRANCHES, {}),
                ("branches-adam", BRANCHES, {"optimiser": "adam", "lr": 3e-3}),
                ("neighbors", replace(NEIGHBORS, block="conv"), {}),
            )
        ),
        *(_SPOTS.but(lr=0.012, batch_size=16, epochs=5) for _ in range(3)),
        *longer(_BASES[:4]),
    ),
    quickest=("twenty-constellations",),
    seed=240,
    further=SEVENTH,
)  # fmt: skip
