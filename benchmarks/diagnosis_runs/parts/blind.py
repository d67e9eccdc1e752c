"""The first five blind parts: scored once each, then tuned on, but for the fifth."""

from __future__ import annotations

from benchmarks.diagnosis_runs.networks import (
    BROAD,
    CONES,
    FUNNEL,
    LEAKY,
    LONG,
    MEAN,
    SMOOTH,
    SQUEEZED,
    STRIDES,
    VGG,
)
from benchmarks.diagnosis_runs.parts.part import ADAM, SGD, Part, registered
from benchmarks.diagnosis_runs.setups import Setup
from benchmarks.diagnosis_runs.strengths import BLIND, BLIND_2, BLIND_3, BLIND_4, BLIND_5

_LARGE = ("small-alexnet-signs", "small-googlenet-32-glyphs", "resnet18-32-fashion")
"""Models so large that runs take long: they get the plants that differ most, and each a short run."""
_MANY_STEPS = ("batch-too-small", "over-fitting-data", "leakage")
"""What takes hundreds of steps."""
PARTS = {
    "blind": Part(
        BLIND,
        bases=(
            Setup("mean-fashion", "fashion", MEAN, SGD | {"batch_size": 40, "epochs": 8}),
            Setup("vgg-signs", "signs", VGG, SGD | {"batch_size": 50, "schedule": "cosine"}),
            Setup(
                "broad-glyphs",
                "glyphs",
                BROAD,
                SGD | {"optimiser": "adamw", "lr": 1.5e-3, "weight_decay": 0.01},
            ),
            Setup(
                "leaky-photos",
                "photos",
                LEAKY,
                SGD | {"optimiser": "sgd", "schedule": "one-cycle", "batch_size": 48},
            ),
        ),
        registered=(
            registered("lenet5", "signs", options={"pooling": "average", "init": "he"}, size=28, epochs=8),
            registered("lenet5-1998", "fashion", size=32, epochs=6),
        ),
        planted=(
            registered("lenet5", "fashion", options={"pooling": "average"}, size=28, epochs=6),
            registered(
                "small-alexnet", "signs", options={"init": "he", "normalisation": "batch"}, size=16, epochs=6
            ),
            registered("small-googlenet-32", "glyphs", size=16, limit=1000, epochs=4),
            registered("resnet18-32", "fashion", size=8, limit=1000, epochs=3),
        ),
        quickest=_LARGE,
        seed=30,
    ),
    "blind-2": Part(
        BLIND_2,
        bases=(
            Setup("smooth-clocks", "clocks", SMOOTH, ADAM | {"lr": 2e-3, "epochs": 8}),
            Setup(
                "long-small-digits",
                "small-digits",
                LONG,
                SGD | {"optimiser": "sgd", "lr": 0.05, "batch_size": 40, "schedule": "cosine"},
            ),
        ),
        registered=(registered("lenet5", "clocks", options={"activation": "tanh"}, size=28, epochs=8),),
        left_out={
            ("long-small-digits", "data-enlarged"),
            ("long-small-digits", "data-channels"),  # So bright that tints are cut off, which gray shows.
        },
        seed=60,
    ),
    "blind-3": Part(
        BLIND_3,
        bases=(
            Setup("cones-numerals", "numerals", CONES, SGD | {"lr": 0.03, "batch_size": 25, "epochs": 7}),
            Setup(
                "squeezed-tiles",
                "tiles",
                SQUEEZED,
                SGD
                | {"optimiser": "adamw", "lr": 2e-3, "weight_decay": 0.01, "batch_size": 36, "epochs": 9}
                | {"schedule": "cosine"},
            ),
        ),
        registered=(registered("lenet5", "tiles", size=28, epochs=8),),
        seed=90,
    ),
    "blind-4": Part(
        BLIND_4,
        bases=(Setup("strides-halos", "halos", STRIDES, ADAM | {"batch_size": 30, "epochs": 8}),),
        planted=(
            registered(
                "lenet5",
                "views",
                options={"pooling": "average", "init": "he"},
                size=20,
                epochs=6,
                optimiser="adamw",
                lr=3e-3,
                weight_decay=0.01,
                batch_size=64,
            ),
            registered("lenet5-1998", "faint", optimiser="sgd", lr=0.005, batch_size=32, epochs=6),
            registered(
                "small-googlenet-32",
                "stamps",
                options={"dropout": 0.1},
                size=12,
                limit=1000,
                epochs=4,
                optimiser="nesterov",
                lr=0.02,
                batch_size=25,
                schedule="one-cycle",
            ),
            registered(
                "small-alexnet",
                "garments",
                options={"init": "he", "dropout": 0.3},
                size=15,
                limit=1000,
                epochs=4,
                lr=5e-4,
                batch_size=40,
            ),
        ),
        left_out={
            (base, plant)
            for base in ("small-googlenet-32-stamps", "small-alexnet-garments")
            for plant in _MANY_STEPS
        },
        seed=120,
    ),
    "blind-5": Part(
        BLIND_5,
        bases=(Setup("funnel-pairs", "pairs", FUNNEL, SGD | {"lr": 0.03, "batch_size": 40, "epochs": 10}),),
        planted=(
            registered("lenet5-1998", "coats", optimiser="sgd", lr=0.003, batch_size=25, epochs=6),
            registered("lenet5", "notes", options={"activation": "tanh"}, size=16, epochs=10, lr=2e-3),
            registered(
                "small-alexnet",
                "boots",
                options={"init": "he", "normalisation": "batch"},
                size=13,
                limit=800,
                epochs=5,
                batch_size=32,
            ),
            registered(
                "small-googlenet-32",
                "pairs",
                size=14,
                limit=1000,
                epochs=5,
                optimiser="nesterov",
                lr=0.03,
                batch_size=25,
                schedule="one-cycle",
            ),
        ),
        registered=(
            registered("lenet5-1998", "notes", options={"init": "default"}, epochs=14),
            registered("lenet5", "coats", size=28, epochs=6),
            registered("small-alexnet", "notes", options={"init": "he"}, size=16, epochs=8, lr=5e-4),
            registered("small-googlenet-32", "boots", size=13, epochs=4),
        ),
        left_out={
            (base, plant)
            for base in ("small-alexnet-boots", "small-googlenet-32-pairs")
            for plant in _MANY_STEPS
        },
        seed=180,
    ),
}
