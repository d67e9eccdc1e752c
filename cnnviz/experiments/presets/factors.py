"""Preset experiments, one factor each: of the architecture, then of data and training."""

from __future__ import annotations

from cnnviz.experiments.experiment import Condition, Experiment
from cnnviz.experiments.presets import (
    THIN,
    Preset,
    alexnet_on_cifar,
    alexnet_on_stl,
    alexnet_resizing,
    inception_trio,
    lenet_dropping,
    lenet_on_digits,
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
    limits=f"{THIN}. He's initialization suits ReLU; tanh is often started with half its variance.",
    order=7,
    small=Experiment(
        base=thin_on_digits(layers=thin_alexnet(activation="tanh")),
        seeds=tuple(range(5)),
        conditions=(Condition(name="ReLU", changes={"layers": thin_alexnet()}),),
        **_ACTIVATION_QUESTION,
    ),
    large=Experiment(
        base=small_alexnet_on_cifar(options={"activation": "tanh"}),
        conditions=(Condition(name="ReLU", changes={"options": {"activation": "relu"}}),),
        **_ACTIVATION_QUESTION,
    ),
)


# Do auxiliary losses help?

_AUXILIARY_QUESTION = {
    "name": "auxiliary",
    "question": "Do the losses of auxiliary classifiers help?",
    "base_name": "auxiliary losses off",
    "conditions": (Condition(name="auxiliary losses, weight 0.3", changes={"aux_weight": 0.3}),),
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
        "A half-width GoogLeNet with batch normalization, which carries gradients anyway: the paper had "
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
        conditions=(Condition(name="reduced blocks", changes={"layers": inception_trio(naive=False)}),),
        **_INCEPTION_QUESTION,
    ),
    large=Experiment(
        base=get("article-googlenet-cifar10").changed(
            {"model": "inception-naive", "epochs": 10, "precision": "bf16"}
        ),
        conditions=(Condition(name="reduced blocks", changes={"model": "googlenet"}),),
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
        "Windows of 3×3 that move by 2 share a row with their neighbors; windows of 2×2 do not. The "
        "paper says 0.4 points of top-1 error less on ImageNet, and a little less over-fitting."
    ),
    asked_by="the AlexNet paper, as articles retell it",
    limits=f"{THIN}: an effect of half a point is far below what five seeds can show.",
    order=9,
    small=Experiment(
        base=thin_on_digits(layers=thin_alexnet(pooling="plain")),
        seeds=tuple(range(5)),
        conditions=(Condition(name="overlapping 3×3 by 2", changes={"layers": thin_alexnet()}),),
        **_POOLING_QUESTION,
    ),
    large=Experiment(
        base=small_alexnet_on_cifar(options={"pooling": "plain"}),
        conditions=(Condition(name="overlapping 3×3 by 2", changes={"options": {"pooling": "overlapping"}}),),
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
        conditions=(Condition(name="SmallAlexNet, thin", changes={"layers": thin_small_alexnet()}),),
        **_MODEL_SIZE_QUESTION,
    ),
    large=Experiment(
        base=alexnet_on_cifar(),
        base_name="AlexNet",
        conditions=(Condition(name="SmallAlexNet", changes={"model": "small-alexnet"}),),
        **_MODEL_SIZE_QUESTION,
    ),
)


# Does augmentation help against over-fitting?

_NONE = {"flip": "none", "pad_crop": 0}
_AUGMENTATION_QUESTION = {
    "name": "augmentation",
    "question": "Does augmentation help against over-fitting?",
    "base_name": "no augmentation",
}

AUGMENTATION = Preset(
    title="Augmentation against over-fitting?",
    about=(
        "The same images at every epoch, or shifted at random, and photographs mirrored too (a mirrored "
        "digit is none). Compare the test accuracy, and how far the training accuracy runs ahead of it: "
        "that gap is over-fitting."
    ),
    asked_by="articles on AlexNet for CIFAR-10, in PyTorch and in Keras: both over-fit",
    limits=(
        "Few epochs: augmentation makes training harder, and pays the more the longer it goes on. The "
        "training accuracy of the condition is on augmented images."
    ),
    order=5,
    small=Experiment(
        base=thin_on_digits(limit=200, epochs=30),
        conditions=(Condition(name="shifts by up to 2 pixels", changes={"pad_crop": 2}),),
        seeds=tuple(range(5)),
        **_AUGMENTATION_QUESTION,
    ),
    large=Experiment(
        base=small_alexnet_on_cifar(epochs=50, **_NONE),
        conditions=(Condition(name="flips and shifts", changes={"flip": "random", "pad_crop": 4}),),
        **_AUGMENTATION_QUESTION,
    ),
)


# Would images that are large to begin with do better than enlarged ones?

_QUESTION = "Would images that are large to begin with do better than enlarged ones?"

ENLARGING = Preset(
    title="Enlarged, or large to begin with?",
    about=(
        "The network reads images that were shrunk and enlarged again: as many pixels, half the detail a "
        "side. Against them, the same images with all their detail, and the shrunk ones enlarged less."
    ),
    asked_by="an article on AlexNet for STL-10; an article on AlexNet in Keras enlarges 32×32 to 227×227",
    limits=(
        "Digits of 8×8 pixels stand for photographs: all conditions enlarge, as 96×96 are enlarged for "
        "AlexNet. Images of 16×16 reach a network whose first fully connected layer is smaller."
    ),
    order=2,
    small=Experiment(
        name="enlarging",
        question=_QUESTION,
        base=thin_on_digits(layers=thin_alexnet(resized=(4, 32))),
        base_name="4×4 enlarged to 32×32",
        seeds=tuple(range(5)),
        conditions=(
            Condition(name="8×8 enlarged to 32×32", changes={"layers": thin_alexnet()}),
            Condition(name="4×4 enlarged to 16×16", changes={"layers": thin_alexnet(resized=(4, 16))}),
        ),
    ),
    large=Experiment(
        name="enlarging",
        question=_QUESTION,
        base=alexnet_on_stl(layers=alexnet_resizing((32, 227), init="he", normalisation="none")),
        base_name="32×32 enlarged to 227×227",
        conditions=(
            Condition(
                name="96×96 enlarged to 227×227",
                changes={"layers": alexnet_resizing((), init="he", normalisation="none")},
            ),
        ),
    ),
)


# Does dropout help?

_DROPOUT_QUESTION = {"name": "dropout", "question": "Does dropout help?", "base_name": "no dropout"}

DROPOUT = Preset(
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
        conditions=(Condition(name="dropout 0.5", changes={"layers": lenet_dropping(0.5)}),),
        **_DROPOUT_QUESTION,
    ),
    large=Experiment(
        base=small_alexnet_on_cifar(epochs=50, options={"dropout": 0.0}),
        conditions=(Condition(name="dropout 0.5", changes={"options": {"dropout": 0.5}}),),
        **_DROPOUT_QUESTION,
    ),
)


# Does normalizing the input raise accuracy?

_NORMALIZATION_QUESTION = {
    "name": "normalising",
    "question": "Does normalizing the input raise accuracy?",
    "base_name": "pixels in [0, 1]",
    "conditions": (
        Condition(name="normalizing the input", changes={"scale": "standardised"}),
        Condition(name="raw pixels, 0 to 255", changes={"scale": "raw"}),
    ),
}

NORMALIZATION = Preset(
    title="Normalize the input?",
    about=(
        "The same network reads pixels in [0, 1], pixels with mean 0 and standard deviation 1, or raw ones "
        "up to 255. Gradients of the first layer grow with its input, so that one learning rate does not "
        "fit all three."
    ),
    asked_by="an article on AlexNet for STL-10; an article on AlexNet in Keras feeds raw pixels",
    limits="One learning rate for all conditions: each scale might do better with a rate of its own.",
    order=1,
    small=Experiment(
        base=lenet_on_digits(scale="unit", lr=0.01, epochs=10),
        seeds=tuple(range(5)),
        **_NORMALIZATION_QUESTION,
    ),
    large=Experiment(base=small_alexnet_on_cifar(scale="unit"), **_NORMALIZATION_QUESTION),
)


# Does local response normalization help?

_LRN_QUESTION = {
    "name": "lrn",
    "question": "Does local response normalization help?",
    "base_name": "without LRN",
}
_ARMS = {"LRN as in the paper": "lrn-paper", "LRN five times weaker": "lrn-article"}

LRN = Preset(
    title="Local response normalization?",
    about=(
        "After the first two activations each value is divided by a function of its neighbors in four "
        "other maps, or not. The paper says that it took 1.2 points off the top-5 error on ImageNet; VGG's "
        "authors saw nothing. The article's code makes it five times weaker by accident."
    ),
    asked_by="articles on AlexNet; Krizhevsky et al. (2012) against Simonyan and Zisserman (2014)",
    limits=f"{THIN}: an effect of a point is far below what three seeds can show.",
    order=8,
    small=Experiment(
        base=thin_on_digits(),
        conditions=tuple(
            Condition(name=name, changes={"layers": thin_alexnet(normalisation=how)})
            for name, how in _ARMS.items()
        ),
        **_LRN_QUESTION,
    ),
    large=Experiment(
        base=small_alexnet_on_cifar(),
        conditions=tuple(
            Condition(name=name, changes={"options": {"normalisation": how}}) for name, how in _ARMS.items()
        ),
        **_LRN_QUESTION,
    ),
)


# Adam or SGD?

_ADAM = {"optimiser": "adam", "lr": 1e-3, "weight_decay": 1e-5}
_SGD = {"optimiser": "sgd", "lr": 1e-3, "momentum": 0.9, "weight_decay": 5e-4}
_OPTIMIZER_QUESTION = {
    "name": "optimiser",
    "question": "Adam or SGD?",
    "base_name": "SGD, rate 0.001",
    "conditions": (
        Condition(name="Adam, rate 0.001", changes=_ADAM),
        Condition(name="SGD, rate 0.01", changes={"lr": 0.01}),
        Condition(name="SGD, rate 0.05", changes={"lr": 0.05}),
    ),
}

OPTIMIZER = Preset(
    title="Adam or SGD?",
    about=(
        "The article's two settings, and SGD at two larger rates. Adam divides each step by the size of "
        "the gradients, so that 0.001 is a large step for it and a small one for SGD: what looks like a "
        "matter of the rule may be one of the rate."
    ),
    asked_by="an article on AlexNet for STL-10",
    limits="A handful of rates is no search: the best rate of each rule would be the fair comparison.",
    order=3,
    small=Experiment(base=thin_on_digits(**_SGD), seeds=tuple(range(5)), **_OPTIMIZER_QUESTION),
    large=Experiment(base=small_alexnet_on_cifar(**_SGD), **_OPTIMIZER_QUESTION),
)
