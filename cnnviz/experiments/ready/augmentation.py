"""Does augmentation help against over-fitting?"""

from cnnviz.experiments.bases import small_alexnet_on_cifar, thin_on_shapes
from cnnviz.experiments.catalogue import Ready
from cnnviz.experiments.experiment import Arm, Experiment

_NONE = {"flip": "none", "pad_crop": 0}
_ASKED = {
    "name": "augmentation",
    "question": "Does augmentation help against over-fitting?",
    "base_name": "no augmentation",
    "arms": (Arm(name="flips and shifts", changes={"flip": "random", "pad_crop": 4}),),
}

READY = Ready(
    title="Augmentation against over-fitting?",
    about=(
        "The same images at every epoch, or mirrored at random and shifted by up to four pixels. Compare "
        "the test accuracy, and how far the training accuracy runs ahead of it: that gap is over-fitting."
    ),
    asked_by="articles on AlexNet for CIFAR-10, in PyTorch and in Keras: both over-fit",
    limits=(
        "Few epochs: augmentation makes training harder, and pays the more the longer it goes on. The "
        "training accuracy of the arm is on augmented images."
    ),
    order=5,
    small=Experiment(base=thin_on_shapes(limit=500, epochs=20), **_ASKED),
    large=Experiment(base=small_alexnet_on_cifar(epochs=50, **_NONE), **_ASKED),
)
