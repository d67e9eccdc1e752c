"""More of the rules of data: how sure they are, what they propose, what they show."""

from __future__ import annotations

import pytest

from cnnviz.diagnosis import Finding, Inconclusive, Negative, Points, diagnose, rules
from cnnviz.diagnosis.alternative_networks import small_network
from cnnviz.diagnosis.evidence import DataQuality, Histogram, LayerFact
from cnnviz.diagnosis.evidence.learning_curves import summarize_loss
from cnnviz.training import Recipe
from cnnviz.training.recipe import analysis_for
from tests.diagnosis.test_rules_of_data import PLANTED, RANDOM, chain, confusion, data, run
from tests.diagnosis.test_rules_of_signal import SPOILT
from tests.diagnosis.well_formed import assert_well_formed


def test_a_probe_makes_weight_decay_certain() -> None:
    arms = {"own": {"loss": 2.3, "accuracy": 0.1}, "no-decay": {"loss": 0.01, "accuracy": 1.0}}
    alone = run(0.2, 0.2, recipe=Recipe(weight_decay=0.3))
    probed = alone.model_copy(update={"probes": {"overfit-batch": {"arms": arms}}})
    before, after = (rules()["weight-decay"].apply(one) for one in (alone, probed))
    assert isinstance(before, Finding)
    assert isinstance(after, Finding)
    assert after.confidence > before.confidence


def test_the_kinds_of_over_fitting_are_told_apart_and_the_first_is_the_likeliest() -> None:
    few = diagnose(PLANTED["few images"]()[1]).findings
    assert [one.cause for one in few][:2] == ["over-fitting-data", "over-fitting-augmentation"]
    all_images = few[0].changes[0].recipe(Recipe(limit=100, epochs=40))
    assert all_images.limit is None


def test_digits_are_not_mirrored() -> None:
    digit = rules()["over-fitting-augmentation"].apply(run(0.99, 0.7))
    photo = rules()["over-fitting-augmentation"].apply(PLANTED["no augmentation"]()[1])
    assert isinstance(digit, Finding)
    assert isinstance(photo, Finding)
    assert "flip" not in digit.changes[0].values
    assert photo.changes[0].values["flip"] == "random"


def test_doubted_images_are_shown_with_both_classes() -> None:
    result = diagnose(PLANTED["wrong everywhere"]()[1]).findings[0]
    shown = next(picture for picture in result.pictures if hasattr(picture, "images"))
    assert "labeled '2'" in shown.images[0][1]
    assert "'7'" in shown.images[0][1]


def test_unbalanced_classes_are_told_with_less_confidence_where_nothing_is_learnt() -> None:
    counts = data(counts=(1800, 1800, *(50,) * 8))
    seen, unseen = (
        rules()["classes-unbalanced"].apply(run(0.9, 0.9, 0.3, data=counts, confusion=confusion(recalls)))
        for recalls in ([1, 1, *[0.2] * 8], [0.1] * 10)
    )
    assert isinstance(seen, Finding)
    assert isinstance(unseen, Finding)
    assert seen.confidence > 0.9
    assert unseen.confidence < 0.7


def test_unbalanced_classes_do_not_explain_steps_that_are_too_few_with_any() -> None:
    few = data(counts=(180, 180, *(90,) * 7, 15))
    judged = rules()["classes-unbalanced"].apply(
        run(0.2, 0.2, 0.1, step=5, data=few, confusion=confusion([0.9, *[0] * 9]))
    )
    assert isinstance(judged, Finding)
    assert "too-few-steps" not in judged.explains


def test_one_answer_for_all_says_nothing_of_labels_however_common_it_is_in_each_part() -> None:
    common = data(counts=(180, 180, *(4,) * 8))
    assert isinstance(rules()["labels-noisy"].apply(run(0.4, 0.01, 0.12, data=common)), Inconclusive)


def test_with_batch_norm_training_accuracy_says_nothing_of_labels_that_were_not_compared() -> None:
    norm = LayerFact(name="norm1", type="BatchNorm2d", kind="norm", params=16, out=(8, 26, 26))
    plain = run(0.5, 0.9, recipe=Recipe(validation=0, epochs=10), data=data(validation=0))
    assert isinstance(rules()["labels-noisy"].apply(plain), Finding)
    normalized = plain.model_copy(update={"layers": (norm,)})
    assert isinstance(rules()["labels-noisy"].apply(normalized), Inconclusive)


def test_with_dropout_training_accuracy_says_nothing_of_labels() -> None:
    dropped = run(0.5, 0.9, recipe=Recipe(layers=chain(0.5)), data=data(validation=0))
    assert isinstance(rules()["labels-noisy"].apply(dropped), Inconclusive)


def test_a_tiny_network_whose_loss_stays_says_so_in_a_whole_sentence() -> None:
    tiny = PLANTED["tiny network"]()[1]
    for losses, words in (((2.3, 2.0, 1.99), "fell by 0.5 % only"), ((2.3, 2.0, 2.0), "did not fall")):
        flat = tiny.curves | {"train/epoch_loss": Points(steps=(1, 2, 3), values=losses)}
        judged = rules()["under-fitting"].apply(tiny.model_copy(update={"curves": flat}))
        assert isinstance(judged, Finding)
        assert judged.explanation.endswith(f"its loss {words}: more epochs will not fix it.")
        assert_well_formed(judged, tiny)


def test_labels_are_not_blamed_for_a_loss_that_blew_up() -> None:
    shuffled = PLANTED["shuffled, not learned"]()[1]
    for losses, explained in (((2.3, 2.4, 2.3), True), ((2.3, 90.0, 2.3), False)):
        curves = shuffled.curves | {"train/loss": Points(steps=(1, 20, 200), values=losses)}
        judged = rules()["labels-shuffled"].apply(shuffled.model_copy(update={"curves": curves}))
        assert isinstance(judged, Finding)
        assert ("rate-too-high" in judged.explains) is explained


def test_forty_images_learnt_by_heart_are_too_few_and_not_wrongly_labelled() -> None:
    few = data(train=40, counts=(4,) * 10)
    near = RANDOM.model_copy(update={"images": 40})
    findings = diagnose(run(1.0, 0.12, data=few, quality=DataQuality(neighbours=near), step=300)).findings
    assert findings[0].cause == "over-fitting-data"


def test_few_images_compared_say_less_of_labels() -> None:
    """Three errors of 300 · 5 / 2 pairs are 3 points; drawn shapes share labels 2 points oftener."""
    few, many = (
        rules()["labels-shuffled"].apply(
            run(
                0.12,
                0.1,
                quality=DataQuality(neighbours=RANDOM.model_copy(update={"images": images})),
            )
        )
        for images in (300, 2_000)
    )
    assert isinstance(few, Finding)
    assert isinstance(many, Finding)
    assert few.confidence < 0.6 < many.confidence


@pytest.mark.parametrize("cause", ["rate-too-low", "too-few-steps", "batch-too-large", "batch-too-small"])
def test_labels_that_neighbours_do_not_share_come_after_what_is_seen_in_the_steps(cause: str) -> None:
    """Of textures no pixel tells the class; a run on them that fails of something else has sound labels."""
    stuck = SPOILT[cause].model_copy(update={"quality": DataQuality(neighbours=RANDOM)})
    guessed = {
        f"{part}/{measure}": Points(steps=(stuck.step,), values=(0.1,))
        for part, measure in (("test", "accuracy"), ("train", "epoch_accuracy"))
    }
    findings = diagnose(stuck.model_copy(update={"curves": stuck.curves | guessed})).findings
    assert findings[0].cause == cause
    assert "labels-shuffled" in [one.cause for one in findings]


def test_a_network_of_some_size_that_learned_nothing_is_not_called_too_small() -> None:
    flat = run(0.12, 0.1, params=3_000)
    assert isinstance(rules()["under-fitting"].apply(flat), Negative)


def test_dropout_that_ended_a_run_before_its_first_epoch_is_found() -> None:
    failed = run(0.1, 0.1, recipe=Recipe(layers=chain(0.95)), status="failed", curves={})
    judged = rules()["dropout"].apply(failed)
    assert isinstance(judged, Finding)
    assert "exploding-gradients" in judged.explains
    assert_well_formed(judged, failed)
    assert isinstance(rules()["dropout"].apply(failed.model_copy(update={"status": "running"})), Inconclusive)


def test_images_that_are_there_already_are_what_one_takes_first() -> None:
    left_out = data(train=600, counts=(60,) * 10)
    findings = diagnose(run(0.99, 0.6, recipe=Recipe(limit=666, epochs=20), data=left_out)).findings
    assert [one.cause for one in findings][:2] == ["over-fitting-data", "over-fitting-augmentation"]
    assert findings[0].changes[0].values["limit"] is None


def test_a_gap_of_eleven_points_costs_little_while_training_images_are_not_known_by_heart() -> None:
    part_way, by_heart = (
        rules()["over-fitting-augmentation"].apply(run(learnt, learnt - 0.11, data=data(validation=2_000)))
        for learnt in (0.92, 0.99)
    )
    assert isinstance(part_way, Negative)
    assert isinstance(by_heart, Finding)


def test_one_class_alone_has_no_labels_to_shuffle() -> None:
    alone = run(1.0, 1.0, 0.5, data=data(counts=(400, *(0,) * 9)))
    assert isinstance(rules()["labels-shuffled"].apply(alone), Inconclusive)


def test_the_small_network_has_few_weights() -> None:
    values = small_network((3, 32, 32), 10)
    assert sum(row.params for row in analysis_for(Recipe().changed(values), 10).rows) < 50_000


def test_a_tiny_network_that_gives_one_class_is_named_before_that() -> None:
    stuck = PLANTED["tiny network"]()[1].model_copy(
        update={"predicted": {"test": (Histogram(step=200, counts=(200, *(0,) * 9)),)}}
    )
    assert [one.cause for one in diagnose(stuck).findings] == ["under-fitting", "one-class"]


def test_few_weights_count_once_the_loss_has_stopped_falling() -> None:
    shared = run(0.5, 0.5, params=3_000)
    flat = shared.curves | {"train/epoch_loss": Points(steps=(1, 2, 3), values=(2.3, 1.4, 1.39))}
    judged = rules()["under-fitting"].apply(shared.model_copy(update={"curves": flat}))
    assert isinstance(judged, Finding)
    assert judged.confidence < 0.7


def test_what_wrong_labels_hide_from_validation_images_test_images_show() -> None:
    """60 % wrong labels: steps are long, and by validation images nothing is learned."""
    wrong = PLANTED["wrong in training, so that validation looks like guessing"]()[1]
    curve = summarize_loss(wrong)
    assert curve is not None
    assert curve.learned > 0.3
    assert "rate-too-high" in diagnose(wrong).findings[0].explains


def test_luck_is_not_learning() -> None:
    """15 of 100 are right by guessing now and then; 15 % of 10,000 are not."""
    few, many = (
        summarize_loss(run(0.1, 0.15, 0.1, data=data(validation=images), curves=_flat_loss(0.15)))
        for images in (100, 10_000)
    )
    assert few is not None
    assert many is not None
    assert few.learned < 0.01 < 0.03 < many.learned


def _flat_loss(held: float) -> dict[str, Points]:
    ends = {"train/loss": 2.303, "val/loss": 2.303, "val/accuracy": held}
    return {name: Points(steps=(1, 200), values=(value, value)) for name, value in ends.items()}


@pytest.mark.parametrize(("learnt", "confidence"), [(0.26, 0.75), (0.3, 0.97)])
def test_labels_that_are_learnt_by_heart_are_the_surer_shuffled(learnt: float, confidence: float) -> None:
    """A fifth of the way from 10 % to all right is 28 %."""
    judged = rules()["labels-shuffled"].apply(run(learnt, 0.1, quality=DataQuality(neighbours=RANDOM)))
    assert isinstance(judged, Finding)
    assert judged.confidence == pytest.approx(confidence)
