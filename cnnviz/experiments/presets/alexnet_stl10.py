"""Why did the paper review's AlexNet not learn?"""

from cnnviz.experiments.alexnet_stl10 import AS_WRITTEN, CONDITIONS, base, changes
from cnnviz.experiments.experiment import Condition, Experiment
from cnnviz.experiments.presets import Preset
from cnnviz.training import get

_TOLD = (
    "He initialisation",
    "learning rate 0.01",
    "He, standardised, rate 0.01",
    "standardised input",
    "pixels up to ±255",
    "as the paper",
)
_ASKED = {
    "name": "alexnet-stl10",
    "question": "Why does AlexNet give one answer to every image, and what fixes it?",
    "base_name": AS_WRITTEN,
}


def _options(
    init: str | None = None, normalisation: str | None = None, **fields: object
) -> dict[str, object]:
    """An arm's changes where the network is the registered one."""
    chosen = {"init": init, "normalisation": normalisation}
    options = {name: value for name, value in chosen.items() if value is not None}
    return {**({"options": options} if options else {}), **fields}


ALEXNET_STL10 = Preset(
    title="The AlexNet/STL-10 paper review: why one answer for all?",
    about=(
        "The run that failed, and one change at a time. Weights of N(0, 0.01²) make each layer hand on less "
        "of what tells images apart, until nothing of it is left; some of the changes give it back. One "
        "answer for every image is right one time in ten: whoever stays there has learned nothing."
    ),
    asked_by="an article on AlexNet for STL-10, whose author never found out",
    limits=(
        "AlexNet a quarter as wide, for images of 67×67, on a thousand handwritten digits enlarged to that, "
        "for half of the article's steps and without its mirroring (a mirrored digit is none); its weights "
        "are widened so that each layer hands on what it does in the full one. Digits are easy: what is "
        "fixed gets further than on photographs. The story on Diagnose has the same arms on CIFAR-10."
    ),
    order=12,
    small=Experiment(
        base=base().changed({"dataset": "digits", "limit": 1_000, "epochs": 12, "flip": "none"}),
        arms=tuple(Condition(name=name, changes=changes(**CONDITIONS[name])) for name in _TOLD),
        **_ASKED,
    ),
    large=Experiment(
        base=get("article-alexnet-stl10"),
        arms=tuple(Condition(name=name, changes=_options(**CONDITIONS[name])) for name in _TOLD),
        **_ASKED,
    ),
)
