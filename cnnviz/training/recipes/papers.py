"""Runs with the settings of the papers, on data that can be had."""

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
            "dataset": "ImageNet is too large for most; STL-10 is what article D took.",
            "patience": "The paper lowers the rate by hand when validation stops to improve.",
            "validation": "STL-10 has no validation images of its own.",
        },
    ),
)
