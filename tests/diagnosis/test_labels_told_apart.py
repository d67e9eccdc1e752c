"""Random training labels are not called renumbered, and are seen where answers differ between classes."""

from __future__ import annotations

from cnnviz.diagnosis import Evidence, Finding, Inconclusive, Negative, Points, rules
from cnnviz.diagnosis.evidence import Data
from cnnviz.diagnosis.evidence.loop import Loop
from tests.diagnosis.evidence import healthy

STEPS = tuple(range(40, 401, 40))
TURNED = ((18, 79, 31), (18, 1, 62), (21, 70, 0))
"""Each class has a usual answer, and it is another one: as one that learned other numbers would answer."""
RANDOM = ((35, 34, 31), (33, 35, 32), (34, 33, 33))


def watched_evidence(learned: float, confusion: tuple[tuple[int, ...], ...]) -> Evidence:
    """A watched run of three classes with this training accuracy and matrix of judged images."""
    right = sum(row[place] for place, row in enumerate(confusion)) / sum(map(sum, confusion))
    base = healthy()
    curves = {
        "train/epoch_loss": base.curves["train/epoch_loss"],
        "train/epoch_accuracy": Points(steps=STEPS, values=(learned,) * 10),
        "test/accuracy": Points(steps=STEPS, values=(right,) * 10),
    }
    data = Data(classes=("a", "b", "c"), counts=(200, 200, 200), train=600, test=300, shape=(16, 2))
    return base.model_copy(
        update={
            "kind": "watched", "loop": Loop(), "confusion": confusion, "curves": curves, "data": data,
            "step": 400, "predicted": {},
        }
    )  # fmt: skip


def test_labels_are_renumbered_only_where_the_training_images_are_known() -> None:
    assert isinstance(rules()["labels-permuted"].apply(watched_evidence(0.36, TURNED)), Negative)
    for learned in (0.7, 0.95):
        assert isinstance(rules()["labels-permuted"].apply(watched_evidence(learned, TURNED)), Finding)


def test_training_labels_are_random_where_answers_differ_between_classes() -> None:
    found = rules()["labels-shuffled"].apply(watched_evidence(0.36, TURNED))
    assert isinstance(found, Finding)
    assert found.confidence == 0.75
    assert "differ from class to class" in found.explanation
    assert isinstance(rules()["labels-shuffled"].apply(watched_evidence(0.36, RANDOM)), Inconclusive)


def test_a_network_that_climbs_instead_is_not_said_to_have_random_labels() -> None:
    # Gradient ascent: far below chance on the images learned from, too.
    assert isinstance(rules()["labels-shuffled"].apply(watched_evidence(0.05, TURNED)), Inconclusive)
