"""Does dropout help?"""

from cnnviz.experiments.bases import lenet_on_digits, small_alexnet_on_cifar
from cnnviz.experiments.catalogue import Ready
from cnnviz.experiments.experiment import Arm, Experiment
from cnnviz.experiments.networks import lenet_dropping

_ASKED = {"name": "dropout", "question": "Does dropout help?", "base_name": "no dropout"}

READY = Ready(
    title="Dropout?",
    about=(
        "Half of the values that enter each of the first two fully connected layers are zeroed at random "
        "while training, or none. Dropout slows learning down and narrows the gap between training and "
        "test: which of the two wins depends on how long one trains."
    ),
    asked_by="articles on AlexNet; the paper says that it doubles the epochs needed",
    limits=(
        "LeNet-5 on 200 digits, for few epochs, which is to dropout's disadvantage. Of the narrow AlexNet "
        "that other small forms take it was asked first: with dropout four of five runs had learned "
        "nothing after 300 steps."
    ),
    order=6,
    small=Experiment(
        base=lenet_on_digits(layers=lenet_dropping(0.0), limit=200, epochs=40, batch_size=20, lr=0.01),
        seeds=tuple(range(5)),
        arms=(Arm(name="dropout 0.5", changes={"layers": lenet_dropping(0.5)}),),
        **_ASKED,
    ),
    large=Experiment(
        base=small_alexnet_on_cifar(epochs=50, options={"dropout": 0.0}),
        arms=(Arm(name="dropout 0.5", changes={"options": {"dropout": 0.5}}),),
        **_ASKED,
    ),
)
