"""Would images that are large to begin with do better than enlarged ones?"""

from cnnviz.experiments.bases import alexnet_on_stl, thin_on_shapes
from cnnviz.experiments.catalogue import Ready
from cnnviz.experiments.experiment import Arm, Experiment
from cnnviz.experiments.networks import alexnet_resizing, thin_alexnet

_QUESTION = "Would images that are large to begin with do better than enlarged ones?"

READY = Ready(
    title="Enlarged, or large to begin with?",
    about=(
        "The network reads images that were shrunk and enlarged again: as many pixels, half the detail a "
        "side. Against them, the same images with all their detail, and the shrunk ones as they are."
    ),
    asked_by="an article on AlexNet for STL-10; an article on AlexNet in Keras enlarges 32×32 to 227×227",
    limits=(
        "Shapes of 32×32 stand for photographs; the shrunk images reach a network whose first fully "
        "connected layer is smaller."
    ),
    order=2,
    small=Experiment(
        name="enlarging",
        question=_QUESTION,
        base=thin_on_shapes(layers=thin_alexnet(resized=(16, 32))),
        base_name="16×16 enlarged to 32×32",
        arms=(
            Arm(name="32×32 to begin with", changes={"layers": thin_alexnet()}),
            Arm(name="16×16 as they are", changes={"layers": thin_alexnet(resized=(16,))}),
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
