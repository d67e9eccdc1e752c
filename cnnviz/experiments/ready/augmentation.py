"""Does augmentation help against over-fitting?"""

from cnnviz.experiments.bases import small_alexnet_on_cifar, thin_on_digits
from cnnviz.experiments.catalogue import Ready
from cnnviz.experiments.experiment import Arm, Experiment

_NONE = {"flip": "none", "pad_crop": 0}
_ASKED = {
    "name": "augmentation",
    "question": "Does augmentation help against over-fitting?",
    "base_name": "no augmentation",
}

READY = Ready(
    title="Augmentation against over-fitting?",
    about=(
        "The same images at every epoch, or shifted at random, and photographs mirrored too (a mirrored "
        "digit is none). Compare the test accuracy, and how far the training accuracy runs ahead of it: "
        "that gap is over-fitting."
    ),
    asked_by="articles on AlexNet for CIFAR-10, in PyTorch and in Keras: both over-fit",
    limits=(
        "Few epochs: augmentation makes training harder, and pays the more the longer it goes on. The "
        "training accuracy of the arm is on augmented images."
    ),
    order=5,
    small=Experiment(
        base=thin_on_digits(limit=200, epochs=30),
        arms=(Arm(name="shifts by up to 2 pixels", changes={"pad_crop": 2}),),
        seeds=tuple(range(5)),
        **_ASKED,
    ),
    large=Experiment(
        base=small_alexnet_on_cifar(epochs=50, **_NONE),
        arms=(Arm(name="flips and shifts", changes={"flip": "random", "pad_crop": 4}),),
        **_ASKED,
    ),
)
