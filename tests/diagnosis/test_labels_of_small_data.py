"""Labels are not called wrong by one bad epoch, by thirty images, or by a run that hardly began (D4)."""

from __future__ import annotations

from cnnviz.diagnosis import Evidence, Finding, Points, diagnose, rules
from cnnviz.diagnosis.evidence import DataQuality, Neighbours, NeighboursOfTest
from cnnviz.diagnosis.evidence.label_noise import agreement
from tests.diagnosis.test_rules_of_data import data, run


def apply_rule(evidence: Evidence) -> object:
    return rules()["labels-noisy"].apply(evidence)


def ending(evidence: Evidence, **ends: tuple[float, ...]) -> Evidence:
    """The run with other values at its last epochs."""
    curves = dict(evidence.curves)
    for name, values in ends.items():
        name = name.replace("_", "/", 1)
        old = curves[name]
        curves[name] = Points(steps=old.steps, values=(*old.values[: -len(values)], *values))
    return evidence.model_copy(update={"curves": curves})


def test_one_last_epoch_in_which_validation_images_fare_worse_makes_no_wrong_labels() -> None:
    steady = run(0.75, 0.72, 0.72)
    bad = ending(steady, val_accuracy=(0.72, 0.72, 0.45), test_accuracy=(0.72, 0.72, 0.72))
    assert not isinstance(apply_rule(bad), Finding)
    held = ending(steady, val_accuracy=(0.45, 0.46, 0.45), test_accuracy=(0.72, 0.72, 0.72))
    assert isinstance(apply_rule(held), Finding)


def test_one_last_epoch_in_which_training_images_fare_worse_makes_no_wrong_labels() -> None:
    few = data(validation=0)
    steady = run(0.95, 0.9, 0.95, data=few)
    bad = ending(steady, train_epoch_accuracy=(0.95, 0.95, 0.6), test_accuracy=(0.95, 0.95, 0.95))
    assert not isinstance(apply_rule(bad), Finding)


def test_thirty_images_say_nothing_of_labels() -> None:
    small = data(train=270, validation=30, test=60, counts=(27,) * 10)
    result = apply_rule(run(0.75, 0.45, 0.85, data=small))
    assert not isinstance(result, Finding)


def test_both_parts_err_by_accident() -> None:
    """Of 100 training images 80 %, of 100 test images 95 %: 0.15 apart with an error of 0.045 each way."""
    small = data(train=100, validation=0, test=100, counts=(10,) * 10)
    close = run(0.8, 0.9, 0.92, data=small)
    steps = close.curves["test/accuracy"].steps
    flat = {
        name: Points(steps=steps, values=(value,) * len(steps))
        for name, value in (("train/epoch_accuracy", 0.8), ("test/accuracy", 0.92))
    }
    assert not isinstance(apply_rule(close.model_copy(update={"curves": close.curves | flat})), Finding)


def test_a_run_that_ended_early_says_nothing_of_labels() -> None:
    loss = Points(steps=(1, 30, 60), values=(2.3, 2.25, 2.2))
    early = run(0.45, 0.45, 0.75, step=60, total_steps=60)
    kept = {name: curve for name, curve in early.curves.items() if not name.endswith("/loss")}
    early = early.model_copy(update={"curves": kept | {"train/loss": loss}})
    assert isinstance(rules()["too-few-steps"].apply(early), Finding)
    assert not isinstance(apply_rule(early), Finding)
    assert "labels-noisy" not in [one.cause for one in diagnose(early).findings]


def test_neighbours_of_fewer_than_a_hundred_images_are_not_compared() -> None:
    within = Neighbours(share=0.5, chance=0.5, images=60, each=5)
    across = NeighboursOfTest(share=0.95, chance=0.5, images=30, each=5, nearer=0.5)
    two = data(classes=("a", "b"), counts=(30, 30), train=60, test=30, validation=0)
    quality = DataQuality(neighbours=within, neighbours_of_test=across, test_counts=(15, 15))
    assert agreement(run(0.5, 0.5, data=two, quality=quality)) is None
