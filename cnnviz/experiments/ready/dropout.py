"""Does dropout help?"""

from cnnviz.experiments.bases import THIN, small_alexnet_on_cifar, thin_on_digits
from cnnviz.experiments.catalogue import Ready
from cnnviz.experiments.experiment import Arm, Experiment
from cnnviz.experiments.networks import thin_alexnet

_ASKED = {"name": "dropout", "question": "Does dropout help?", "base_name": "no dropout"}

READY = Ready(
    title="Dropout?",
    about=(
        "Half of the values that enter each of the first two fully connected layers are zeroed at random "
        "while training, or none. Dropout slows learning down and narrows the gap between training and "
        "test: which of the two wins depends on how long one trains."
    ),
    asked_by="articles on AlexNet; the paper says that it doubles the epochs needed",
    limits=f"{THIN}, for few epochs, which is to dropout's disadvantage.",
    order=6,
    small=Experiment(
        base=thin_on_digits(limit=200, epochs=30),
        seeds=tuple(range(5)),
        arms=(Arm(name="dropout 0.5", changes={"layers": thin_alexnet(dropout=0.5)}),),
        **_ASKED,
    ),
    large=Experiment(
        base=small_alexnet_on_cifar(epochs=50, options={"dropout": 0.0}),
        arms=(Arm(name="dropout 0.5", changes={"options": {"dropout": 0.5}}),),
        **_ASKED,
    ),
)
