"""Does overlapping pooling help?"""

from cnnviz.experiments.bases import THIN, small_alexnet_on_cifar, thin_on_digits
from cnnviz.experiments.catalogue import Ready
from cnnviz.experiments.experiment import Arm, Experiment
from cnnviz.experiments.networks import thin_alexnet

_ASKED = {
    "name": "pooling",
    "question": "Does overlapping pooling help?",
    "base_name": "2×2 pooling by 2",
}

READY = Ready(
    title="Overlapping pooling?",
    about=(
        "Windows of 3×3 that move by 2 share a row with their neighbours; windows of 2×2 do not. The "
        "paper says 0.4 points of top-1 error less on ImageNet, and a little less over-fitting."
    ),
    asked_by="the AlexNet paper, as articles retell it",
    limits=f"{THIN}: an effect of half a point is far below what five seeds can show.",
    order=9,
    small=Experiment(
        base=thin_on_digits(layers=thin_alexnet(pooling="plain")),
        seeds=tuple(range(5)),
        arms=(Arm(name="overlapping 3×3 by 2", changes={"layers": thin_alexnet()}),),
        **_ASKED,
    ),
    large=Experiment(
        base=small_alexnet_on_cifar(options={"pooling": "plain"}),
        arms=(Arm(name="overlapping 3×3 by 2", changes={"options": {"pooling": "overlapping"}}),),
        **_ASKED,
    ),
)
