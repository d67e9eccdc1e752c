"""Adam or SGD?"""

from cnnviz.experiments.bases import small_alexnet_on_cifar, thin_on_digits
from cnnviz.experiments.catalogue import Ready
from cnnviz.experiments.experiment import Arm, Experiment

_ADAM = {"optimiser": "adam", "lr": 1e-3, "weight_decay": 1e-5}
_SGD = {"optimiser": "sgd", "lr": 1e-3, "momentum": 0.9, "weight_decay": 5e-4}
_ASKED = {
    "name": "optimiser",
    "question": "Adam or SGD?",
    "base_name": "SGD, rate 0.001",
    "arms": (
        Arm(name="Adam, rate 0.001", changes=_ADAM),
        Arm(name="SGD, rate 0.01", changes={"lr": 0.01}),
        Arm(name="SGD, rate 0.05", changes={"lr": 0.05}),
    ),
}

READY = Ready(
    title="Adam or SGD?",
    about=(
        "The article's two settings, and SGD at two larger rates. Adam divides each step by the size of "
        "the gradients, so that 0.001 is a large step for it and a small one for SGD: what looks like a "
        "matter of the rule may be one of the rate."
    ),
    asked_by="an article on AlexNet for STL-10",
    limits="A handful of rates is no search: the best rate of each rule would be the fair comparison.",
    order=3,
    small=Experiment(base=thin_on_digits(**_SGD), seeds=tuple(range(5)), **_ASKED),
    large=Experiment(base=small_alexnet_on_cifar(**_SGD), **_ASKED),
)
