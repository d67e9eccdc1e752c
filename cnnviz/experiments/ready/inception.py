"""Naive or reduced inception?"""

from cnnviz.experiments.bases import thin_on_digits
from cnnviz.experiments.catalogue import Ready
from cnnviz.experiments.experiment import Arm, Experiment
from cnnviz.experiments.networks import inception_trio
from cnnviz.training import get

_ASKED = {
    "name": "inception",
    "question": "What do the 1×1 reductions of an inception block cost in accuracy?",
    "base_name": "naive blocks",
}

READY = Ready(
    title="Naive or reduced inception?",
    about=(
        "Inception blocks with 1×1 convolutions that reduce the maps before the 3×3 and the 5×5, or "
        "without. Look at accuracy beside parameters and time: the naive form is larger, and whether it is "
        "better is the question."
    ),
    asked_by="an article on GoogLeNet for CIFAR-10",
    limits=(
        "Three narrow blocks in place of nine: in the whole network the naive form is 15 times as large. How "
        "long to train, and how fast, was chosen so that both forms learn at all; neither has its best rate."
    ),
    order=10,
    small=Experiment(
        base=thin_on_digits(layers=inception_trio(naive=True), epochs=24, lr=0.02),
        arms=(Arm(name="reduced blocks", changes={"layers": inception_trio(naive=False)}),),
        **_ASKED,
    ),
    large=Experiment(
        base=get("article-googlenet-cifar10").changed(
            {"model": "inception-naive", "epochs": 10, "precision": "bf16"}
        ),
        arms=(Arm(name="reduced blocks", changes={"model": "googlenet"}),),
        **_ASKED,
    ),
)
