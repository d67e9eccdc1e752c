"""Preset experiments on the architecture: activation, auxiliary losses, bottlenecks, pooling, size."""

from cnnviz.experiments.experiment import Condition, Experiment
from cnnviz.experiments.presets import (
    THIN,
    Preset,
    alexnet_on_cifar,
    inception_trio,
    small_alexnet_on_cifar,
    thin_alexnet,
    thin_on_digits,
    thin_small_alexnet,
)
from cnnviz.training import Recipe, get

# ReLU or tanh?

_ACTIVATION_QUESTION = {"name": "activation", "question": "ReLU or tanh?", "base_name": "tanh"}

ACTIVATION = Preset(
    title="ReLU or tanh?",
    about=(
        "Every activation ReLU, or every one tanh, with the same weights to begin with. The paper's claim "
        "is about speed: 25 % training error on CIFAR-10 six times sooner. So look at the curves of the "
        "runs as well as at their ends."
    ),
    asked_by="the AlexNet paper, as articles retell it",
    limits=f"{THIN}. He's initialisation suits ReLU; tanh is often started with half its variance.",
    order=7,
    small=Experiment(
        base=thin_on_digits(layers=thin_alexnet(activation="tanh")),
        seeds=tuple(range(5)),
        arms=(Condition(name="ReLU", changes={"layers": thin_alexnet()}),),
        **_ACTIVATION_QUESTION,
    ),
    large=Experiment(
        base=small_alexnet_on_cifar(options={"activation": "tanh"}),
        arms=(Condition(name="ReLU", changes={"options": {"activation": "relu"}}),),
        **_ACTIVATION_QUESTION,
    ),
)


# Do auxiliary losses help?

_AUXILIARY_QUESTION = {
    "name": "auxiliary",
    "question": "Do the losses of auxiliary classifiers help?",
    "base_name": "auxiliary losses off",
    "arms": (Condition(name="auxiliary losses, weight 0.3", changes={"aux_weight": 0.3}),),
}

AUXILIARY = Preset(
    title="Auxiliary losses?",
    about=(
        "Two small classifiers half-way add 0.3 times their loss in training, so that early layers get "
        "gradients by a short way; or they are there and their loss counts nothing. The answer is judged "
        "without them in both cases."
    ),
    asked_by="an article on GoogLeNet for CIFAR-10",
    limits=(
        "A half-width GoogLeNet with batch normalisation, which carries gradients anyway: the paper had "
        "none. Few images and 60 steps, after which seeds of one condition still end far apart."
    ),
    order=11,
    small=Experiment(
        base=Recipe(
            model="small-googlenet-32-aux", dataset="digits", limit=300, validation=0, epochs=4,
            batch_size=20, optimiser="sgd", lr=0.02, momentum=0.9, aux_weight=0,
        ),
        seeds=tuple(range(5)),
        **_AUXILIARY_QUESTION,
    ),
    large=Experiment(
        base=get("article-googlenet-cifar10").changed(
            {"model": "googlenet-aux", "epochs": 20, "precision": "bf16", "aux_weight": 0}
        ),
        **_AUXILIARY_QUESTION,
    ),
)  # fmt: skip


# Naive or reduced inception?

_INCEPTION_QUESTION = {
    "name": "inception",
    "question": "What do the 1×1 reductions of an inception block cost in accuracy?",
    "base_name": "naive blocks",
}

INCEPTION = Preset(
    title="Naive or reduced inception?",
    about=(
        "Inception blocks with 1×1 convolutions that reduce the maps before the 3×3 and the 5×5, or "
        "without. Look at accuracy beside parameters and time: the naive form is larger, and whether it is "
        "better is the question."
    ),
    asked_by="an article on GoogLeNet for CIFAR-10",
    limits=(
        "Three narrow blocks in place of nine: in the whole network the naive form is 15 times as large. How "
        "long to train, and how fast, was chosen so that both forms learn at all; neither has its best rate."
    ),
    order=10,
    small=Experiment(
        base=thin_on_digits(layers=inception_trio(naive=True), epochs=24, lr=0.02),
        arms=(Condition(name="reduced blocks", changes={"layers": inception_trio(naive=False)}),),
        **_INCEPTION_QUESTION,
    ),
    large=Experiment(
        base=get("article-googlenet-cifar10").changed(
            {"model": "inception-naive", "epochs": 10, "precision": "bf16"}
        ),
        arms=(Condition(name="reduced blocks", changes={"model": "googlenet"}),),
        **_INCEPTION_QUESTION,
    ),
)


# Does overlapping pooling help?

_POOLING_QUESTION = {
    "name": "pooling",
    "question": "Does overlapping pooling help?",
    "base_name": "2×2 pooling by 2",
}

POOLING = Preset(
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
        arms=(Condition(name="overlapping 3×3 by 2", changes={"layers": thin_alexnet()}),),
        **_POOLING_QUESTION,
    ),
    large=Experiment(
        base=small_alexnet_on_cifar(options={"pooling": "plain"}),
        arms=(Condition(name="overlapping 3×3 by 2", changes={"options": {"pooling": "overlapping"}}),),
        **_POOLING_QUESTION,
    ),
)


# Is so large a model needed?

_MODEL_SIZE_QUESTION = {"name": "model-size", "question": "Is so large a model needed?"}

MODEL_SIZE = Preset(
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
        arms=(Condition(name="SmallAlexNet, thin", changes={"layers": thin_small_alexnet()}),),
        **_MODEL_SIZE_QUESTION,
    ),
    large=Experiment(
        base=alexnet_on_cifar(),
        base_name="AlexNet",
        arms=(Condition(name="SmallAlexNet", changes={"model": "small-alexnet"}),),
        **_MODEL_SIZE_QUESTION,
    ),
)
