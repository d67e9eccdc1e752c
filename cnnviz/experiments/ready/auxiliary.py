"""Do auxiliary losses help?"""

from cnnviz.experiments.catalogue import Ready
from cnnviz.experiments.experiment import Arm, Experiment
from cnnviz.training import Recipe, get

_ASKED = {
    "name": "auxiliary",
    "question": "Do the losses of auxiliary classifiers help?",
    "base_name": "auxiliary losses off",
    "arms": (Arm(name="auxiliary losses, weight 0.3", changes={"aux_weight": 0.3}),),
}

READY = Ready(
    title="Auxiliary losses?",
    about=(
        "Two small classifiers half-way add 0.3 times their loss in training, so that early layers get "
        "gradients by a short way; or they are there and their loss counts nothing. The answer is judged "
        "without them in both cases."
    ),
    asked_by="an article on GoogLeNet for CIFAR-10",
    limits=(
        "A half-width GoogLeNet with batch normalisation, which carries gradients anyway: the paper had "
        "none. Few images and 60 steps, after which seeds of one arm still end far apart."
    ),
    order=11,
    small=Experiment(
        base=Recipe(
            model="small-googlenet-32-aux", dataset="digits", limit=300, validation=0, epochs=4,
            batch_size=20, optimiser="sgd", lr=0.02, momentum=0.9, aux_weight=0,
        ),
        seeds=tuple(range(5)),
        **_ASKED,
    ),
    large=Experiment(
        base=get("article-googlenet-cifar10").changed(
            {"model": "googlenet-aux", "epochs": 20, "precision": "bf16", "aux_weight": 0}
        ),
        **_ASKED,
    ),
)  # fmt: skip
