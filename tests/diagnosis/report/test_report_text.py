"""What probes found, in sentences."""

import pytest

from cnnviz.diagnosis.outcome import describe_probes
from cnnviz.diagnosis.probes import MISSING, probes

LAYER = {"weight": 1.0, "gradient": 0.5, "ratio": 0.5}
FOUND = {
    "duplicates": {
        "exact": {"test": 3, "validation": 0},
        "near": {"share": 0.25, "threshold": 4.0, "images": 359, "known": 1294},
    },
    "evaluation-mode": {"evaluation": 0.9, "training": 0.4, "recorded": None, "images": 359},
    "gradient-flow": {
        "layers": [
            {"name": "conv1", "fresh": LAYER, "trained": None},
            {"name": "fc3", "fresh": LAYER | {"gradient": None}, "trained": None},
        ],
        "images": 64,
    },
    "initial-loss": {"loss": 2.3136, "chance_loss": 2.302585},
    "label-agreement": {"neighbours": None, "patches": {"share": 0.98, "chance": 0.1, "images": 647}},
    "overfit-batch": {
        "arms": {
            "own": {"losses": [], "loss": None, "accuracy": None},
            "reference": {"losses": [], "loss": 0.01, "accuracy": 1.0},
        },
        "images": 16,
        "steps": 60,
    },
    "shuffled-inputs": {
        "accuracy": 0.9, "accuracy_pixels_shuffled": 0.1, "moved_by_exchange": 0.88, "images": 359,
    },
}  # fmt: skip


def test_every_probe_has_a_sentence() -> None:
    assert set(FOUND) == set(probes())
    assert all(sentence.endswith(".") for _, sentence in describe_probes(FOUND))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "duplicates",
            "3 test and 0 validation images lie among the training images, pixel by pixel. 25.0 %",
        ),
        ("evaluation-mode", "Test accuracy is 90.0 % in evaluation mode and 40.0 % in training mode."),
        ("gradient-flow", "the gradient is 0.5 long at 'conv1' and no number at 'fc3'."),
        ("initial-loss", "It is 2.31; chance level is 2.303"),
        ("label-agreement", "A linear classifier of small patches names 98 % of unseen images"),
        (
            "overfit-batch",
            "it learns none, for its loss is no number any more, with this recipe, 100 % (loss",
        ),
        (
            "shuffled-inputs",
            "10.0 % with every image's pixels in disorder; another image in its place moves 88 %",
        ),
    ],
)
def test_a_probe_is_told_in_its_numbers(name: str, words: str) -> None:
    ((title, sentence),) = describe_probes({name: FOUND[name]})
    assert title == probes()[name].title
    assert words in sentence


def test_what_could_not_be_made_says_why_and_what_is_unknown_is_left_out() -> None:
    assert describe_probes({"evaluation-mode": {MISSING: "There is no checkpoint."}, "nobody": {"x": 1}}) == [
        (probes()["evaluation-mode"].title, "There is no checkpoint.")
    ]
