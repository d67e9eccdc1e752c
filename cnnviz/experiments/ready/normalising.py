"""Does normalising the input raise accuracy?"""

from cnnviz.experiments.bases import lenet_on_digits, small_alexnet_on_cifar
from cnnviz.experiments.catalogue import Ready
from cnnviz.experiments.experiment import Arm, Experiment

_ASKED = {
    "name": "normalising",
    "question": "Does normalising the input raise accuracy?",
    "base_name": "pixels in [0, 1]",
    "arms": (
        Arm(name="normalising the input", changes={"scale": "standardised"}),
        Arm(name="raw pixels, 0 to 255", changes={"scale": "raw"}),
    ),
}

READY = Ready(
    title="Normalise the input?",
    about=(
        "The same network reads pixels in [0, 1], pixels with mean 0 and standard deviation 1, or raw ones "
        "up to 255. Gradients of the first layer grow with its input, so that one learning rate does not "
        "fit all three."
    ),
    asked_by="an article on AlexNet for STL-10; an article on AlexNet in Keras feeds raw pixels",
    limits="One learning rate for all arms: each scale might do better with a rate of its own.",
    order=1,
    small=Experiment(base=lenet_on_digits(scale="unit", lr=0.01, epochs=10), seeds=tuple(range(5)), **_ASKED),
    large=Experiment(base=small_alexnet_on_cifar(scale="unit"), **_ASKED),
)
