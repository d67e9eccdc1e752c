"""Is so large a model needed?"""

from cnnviz.experiments.bases import THIN, alexnet_on_cifar, thin_on_digits
from cnnviz.experiments.catalogue import Ready
from cnnviz.experiments.experiment import Arm, Experiment
from cnnviz.experiments.networks import thin_small_alexnet

_ASKED = {"name": "model-size", "question": "Is so large a model needed?"}

READY = Ready(
    title="Is so large a model needed?",
    about=(
        "AlexNet against SmallAlexNet, which has a fifth of its parameters, trained alike. The article "
        "found 85.03 % against 83.16 %, from one run of each: see whether the difference outlives chance, "
        "and what it costs."
    ),
    asked_by="an article on AlexNet for CIFAR-10",
    limits=(
        f"{THIN}, and SmallAlexNet likewise: the ratio of the sizes is kept, the sizes are not. So narrow a "
        "network may not begin to learn with some seeds; that says nothing of the full one."
    ),
    order=4,
    small=Experiment(
        base=thin_on_digits(),
        seeds=tuple(range(5)),
        base_name="AlexNet, thin",
        arms=(Arm(name="SmallAlexNet, thin", changes={"layers": thin_small_alexnet()}),),
        **_ASKED,
    ),
    large=Experiment(
        base=alexnet_on_cifar(),
        base_name="AlexNet",
        arms=(Arm(name="SmallAlexNet", changes={"model": "small-alexnet"}),),
        **_ASKED,
    ),
)
