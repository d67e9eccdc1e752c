"""ReLU or tanh?"""

from cnnviz.experiments.bases import THIN, small_alexnet_on_cifar, thin_on_digits
from cnnviz.experiments.catalogue import Ready
from cnnviz.experiments.experiment import Arm, Experiment
from cnnviz.experiments.networks import thin_alexnet

_ASKED = {"name": "activation", "question": "ReLU or tanh?", "base_name": "tanh"}

READY = Ready(
    title="ReLU or tanh?",
    about=(
        "Every activation ReLU, or every one tanh, with the same weights to begin with. The paper's claim "
        "is about speed: 25 % training error on CIFAR-10 six times sooner. So look at the curves of the "
        "runs as well as at their ends."
    ),
    asked_by="the AlexNet paper, as articles retell it",
    limits=f"{THIN}. He's initialisation suits ReLU; tanh is often started with half its variance.",
    order=7,
    small=Experiment(
        base=thin_on_digits(layers=thin_alexnet(activation="tanh")),
        seeds=tuple(range(5)),
        arms=(Arm(name="ReLU", changes={"layers": thin_alexnet()}),),
        **_ASKED,
    ),
    large=Experiment(
        base=small_alexnet_on_cifar(options={"activation": "tanh"}),
        arms=(Arm(name="ReLU", changes={"options": {"activation": "relu"}}),),
        **_ASKED,
    ),
)
