"""The parts that rules were tuned on."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.diagnosis_runs.networks import FIVES, HE, LENET, TALL, THREES
from benchmarks.diagnosis_runs.parts.part import ADAM, SGD, Part, registered
from benchmarks.diagnosis_runs.setups import Setup
from benchmarks.diagnosis_runs.strengths import TEST, TUNE

PARTS = {
    "tune": Part(
        TUNE,
        bases=(
            Setup("lenet-digits", "digits", LENET, SGD),
            Setup("fives-cifar", "cifar", FIVES, SGD | {"epochs": 5, "schedule": "cosine"}),
        ),
        registered=(
            registered("lenet5", "digits", **SGD),
            registered("lenet5", "digits", options={"activation": "tanh"}, epochs=10),
        ),
        left_out={("lenet-digits", "data-enlarged")},  # Its content is 8×8 as it comes.
    ),
    "test": Part(
        TEST,
        bases=(
            Setup("tall-mnist", "mnist", TALL, SGD | {"lr": 0.03, "epochs": 6, "schedule": "cosine"}),
            Setup("threes-gratings", "gratings", THREES, ADAM),
            Setup(
                "threes-mnist",
                "mnist",
                replace(THREES, init=HE),
                ADAM | {"optimiser": "sgd", "epochs": 6, "lr": 0.03},
            ),
        ),
        registered=(
            registered("small-alexnet", "gratings", options={"init": "he"}, size=16, epochs=3),
            registered("small-googlenet-32", "gratings", size=16, epochs=3),
            registered("resnet18-32", "mnist", size=8, limit=1500, epochs=2),
            registered("lenet5", "mnist", size=28, epochs=6),
        ),
    ),
}
