"""What the weights in `checkpoints/` were trained by: small enough for a machine without a GPU."""

from cnnviz.training.recipe import Recipe

RECIPES = (
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
