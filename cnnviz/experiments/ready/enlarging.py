"""Would images that are large to begin with do better than enlarged ones?"""

from cnnviz.experiments.bases import alexnet_on_stl, thin_on_digits
from cnnviz.experiments.catalogue import Ready
from cnnviz.experiments.experiment import Arm, Experiment
from cnnviz.experiments.networks import alexnet_resizing, thin_alexnet

_QUESTION = "Would images that are large to begin with do better than enlarged ones?"

READY = Ready(
    title="Enlarged, or large to begin with?",
    about=(
        "The network reads images that were shrunk and enlarged again: as many pixels, half the detail a "
        "side. Against them, the same images with all their detail, and the shrunk ones enlarged less."
    ),
    asked_by="an article on AlexNet for STL-10; an article on AlexNet in Keras enlarges 32×32 to 227×227",
    limits=(
        "Digits of 8×8 pixels stand for photographs: all arms enlarge, as 96×96 are enlarged for AlexNet. "
        "Images of 16×16 reach a network whose first fully connected layer is smaller."
    ),
    order=2,
    small=Experiment(
        name="enlarging",
        question=_QUESTION,
        base=thin_on_digits(layers=thin_alexnet(resized=(4, 32))),
        base_name="4×4 enlarged to 32×32",
        seeds=tuple(range(5)),
        arms=(
            Arm(name="8×8 enlarged to 32×32", changes={"layers": thin_alexnet()}),
            Arm(name="4×4 enlarged to 16×16", changes={"layers": thin_alexnet(resized=(4, 16))}),
        ),
    ),
    large=Experiment(
        name="enlarging",
        question=_QUESTION,
        base=alexnet_on_stl(layers=alexnet_resizing((32, 227), init="he", normalisation="none")),
        base_name="32×32 enlarged to 227×227",
        arms=(
            Arm(
                name="96×96 enlarged to 227×227",
                changes={"layers": alexnet_resizing((), init="he", normalisation="none")},
            ),
        ),
    ),
)
