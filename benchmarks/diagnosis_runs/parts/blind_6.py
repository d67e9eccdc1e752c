"""The sixth blind part: defined before the rules were touched in issue 11, by who had not read them.

Its runs were trained before any of them was diagnosed.
"""

from __future__ import annotations

from dataclasses import replace

from benchmarks.diagnosis_runs import norm_models, spoiling
from benchmarks.diagnosis_runs.blocks import DEPTHWISE, FIFTY, HYPERBOLIC, TOWER, TRIO
from benchmarks.diagnosis_runs.further import SIXTH
from benchmarks.diagnosis_runs.networks import GLOROT
from benchmarks.diagnosis_runs.parts.part import ADAM, SGD, Part, longer, registered
from benchmarks.diagnosis_runs.setups import Setup
from benchmarks.diagnosis_runs.strengths import BLIND_6

_TRIO = Setup("trio-letters", "letters", TRIO, SGD | {"lr": 0.03, "epochs": 6}, side=14)
_FLAGS = SGD | {"lr": 0.02, "batch_size": 10}
_HARD = ADAM | {"lr": 2e-3, "batch_size": 32, "epochs": 5}

_BASES = (
    _TRIO,
    Setup("tower-ciphers", "ciphers", TOWER, SGD | {"lr": 0.05, "batch_size": 32, "epochs": 6}, side=14),
    Setup(
        "depthwise-arrows",
        "arrows",
        DEPTHWISE,
        ADAM | {"lr": 4e-3, "batch_size": 36, "epochs": 8},
        side=12,
    ),
    Setup(
        "hyperbolic-shirts",
        "shirts",
        HYPERBOLIC,
        SGD | {"lr": 0.02, "batch_size": 25, "epochs": 7, "schedule": "cosine"},
        side=12,
    ),
    Setup("fifty-shirts", "shirts", FIFTY, SGD | {"lr": 0.05, "batch_size": 40, "epochs": 5}, side=12),
)

PART = Part(
    BLIND_6,
    bases=_BASES,
    planted=(
        registered(
            norm_models.MOBILENET, "postcodes", options={"momentum": 0.1}, size=32, epochs=6, lr=5e-3
        ),
    ),
    registered=(
        *(
            Setup("tiny-trio", "flags", replace(TRIO, name="trio-flags"), _FLAGS | {"epochs": epochs},
                  flaws=((f"t{each}", spoiling.few(each)),), side=10)
            for each, epochs in ((6, 25), (4, 30), (3, 40), (2, 50))
        ),
        *(
            Setup(f"hard-{name}", "fog", replace(plan, name=f"fog-{name}"), _HARD | values, side=10)
            for name, plan, values in (
                ("trio", TRIO, {}),
                ("trio-decay", TRIO, {"optimiser": "adamw", "weight_decay": 0.01}),
                ("glorot", replace(TRIO, function="tanh", init=GLOROT), {}),
            )
        ),
        *(_TRIO.but(lr=0.09, batch_size=16, epochs=5) for _ in range(3)),
        *longer(_BASES[:4]),
    ),
    quickest=("fifty-shirts",),
    seed=210,
    further=SIXTH,
)  # fmt: skip
