"""Recipes with the papers' settings, on data sets that are available."""

from cnnviz.training.recipe import Recipe

RECIPES = (
    Recipe(
        name="paper-alexnet-stl10",
        description="AlexNet trained as Krizhevsky et al. (2012) trained it, on STL-10 in place of ImageNet.",
        model="alexnet",
        options={"init": "paper", "normalisation": "lrn-paper"},
        dataset="stl10",
        validation=0.1,
        epochs=90,
        batch_size=128,
        optimiser="sgd",
        lr=0.01,
        momentum=0.9,
        weight_decay=5e-4,
        schedule="plateau",
        step_factor=0.1,
        patience=5,
        scale="raw-minus-mean",
        size=227,
        crop_from=256,
        flip="random",
        pca_jitter=0.1,
        ten_crop=True,
        assumed={
            "dataset": "ImageNet is too large for most; STL-10 is what the AlexNet/STL-10 paper review took.",
            "patience": "The paper lowers the rate by hand when validation stops to improve.",
            "validation": "STL-10 has no validation images of its own.",
        },
    ),
)


# Recipes of the weights in `checkpoints/`: small enough for a machine without a GPU.

SHIPPED_RECIPES = (
    Recipe(
        name="lenet5-mnist",
        description="LeNet-5 on shifted MNIST digits in 10 epochs: a minute or two on two CPU cores.",
        model="lenet5",
        dataset="mnist",
        validation=0,
        epochs=10,
        batch_size=128,
        optimiser="nesterov",
        lr=0.08,
        momentum=0.9,
        weight_decay=5e-4,
        schedule="one-cycle",
        scale="standardised",
        pad_crop=2,
    ),
    Recipe(
        name="small-googlenet-cifar10",
        description="Half-width GoogLeNet on CIFAR-10 in 10 epochs: about an hour on one CPU core.",
        model="small-googlenet-32",
        options={"dropout": 0.1},
        dataset="cifar10",
        validation=0,
        epochs=10,
        batch_size=128,
        optimiser="nesterov",
        lr=0.1,
        momentum=0.9,
        weight_decay=5e-4,
        schedule="one-cycle",
        scale="standardised",
        pad_crop=4,
        flip="random",
        precision="bf16",
    ),
)
