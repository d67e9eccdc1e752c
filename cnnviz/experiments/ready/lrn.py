"""Does local response normalisation help?"""

from cnnviz.experiments.bases import THIN, small_alexnet_on_cifar, thin_on_digits
from cnnviz.experiments.catalogue import Ready
from cnnviz.experiments.experiment import Arm, Experiment
from cnnviz.experiments.networks import thin_alexnet

_ASKED = {"name": "lrn", "question": "Does local response normalisation help?", "base_name": "without LRN"}
_ARMS = {"LRN as in the paper": "lrn-paper", "LRN five times weaker": "lrn-article"}

READY = Ready(
    title="Local response normalisation?",
    about=(
        "After the first two activations each value is divided by a function of its neighbours in four "
        "other maps, or not. The paper says that it took 1.2 points off the top-5 error on ImageNet; VGG's "
        "authors saw nothing. The article's code makes it five times weaker by accident."
    ),
    asked_by="articles on AlexNet; Krizhevsky et al. (2012) against Simonyan and Zisserman (2014)",
    limits=f"{THIN}: an effect of a point is far below what three seeds can show.",
    order=8,
    small=Experiment(
        base=thin_on_digits(),
        arms=tuple(
            Arm(name=name, changes={"layers": thin_alexnet(normalisation=how)}) for name, how in _ARMS.items()
        ),
        **_ASKED,
    ),
    large=Experiment(
        base=small_alexnet_on_cifar(),
        arms=tuple(
            Arm(name=name, changes={"options": {"normalisation": how}}) for name, how in _ARMS.items()
        ),
        **_ASKED,
    ),
)
