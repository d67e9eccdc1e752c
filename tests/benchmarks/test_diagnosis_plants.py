"""Each plant changes what it says, and nothing else, whatever network and data it is put into."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.diagnosis_runs import accepted, plants
from benchmarks.diagnosis_runs.parts import PARTS, Planned, failing, marked
from benchmarks.diagnosis_runs.setups import Setup
from benchmarks.diagnosis_runs.strengths import Strengths

CHANGES = {
    "initialisation": {"net.init"},
    "initialisation+exploding-gradients-large": {"net.init"},
    "exploding-gradients": {"net.init"},
    "vanishing-gradients": {"net.init", "net.function"},
    "dead-relu": {"net.special"},
    "input-scale": {"scale"},
    "rate-too-high": {"lr"},
    "rate-too-high-adam": {"lr", "optimiser"},
    "rate-too-high+non-finite": {"lr", "optimiser"},
    "rate-too-low": {"lr"},
    "rate-too-low-norm": {"lr"},
    "too-few-steps": {"epochs", "limit"},
    "schedule-ended": {"schedule", "step_epochs", "step_factor"},
    "batch-too-large": {"batch_size"},
    "batch-too-small": {"batch_size", "epochs"},
    "weight-decay": {"weight_decay"},
    "over-fitting-data": {"epochs", "limit"},
    "over-fitting-augmentation": {"flip", "pad_crop"},
    "over-fitting-model": {"net.name", "net.convs", "net.dense"},
    "under-fitting": {"net.name", "net.convs", "net.dense"},
    "dropout": {"net.dropout"},
    "labels-shuffled": {"data"},
    "labels-noisy": {"data"},
    "classes-unbalanced": {"data"},
    "classes-missing": {"data"},
    "data-enlarged": {"data"},
    "data-channels": {"grey"},
    "evaluation-mode": {"training_mode"},
    "leakage": {"data"},
    "dropout+classes-missing": {"net.dropout", "data"},
    "rate-too-low+classes-unbalanced": {"lr", "data"},
    "rate-too-low+classes-missing": {"lr", "data"},
    "labels-noisy+weight-decay": {"weight_decay", "data"},
    "labels-noisy+dropout": {"net.dropout", "data"},
    "input-scale+classes-unbalanced": {"scale", "data"},
    "output-activation-relu": {"net.output"},
    "output-activation-sigmoid": {"net.output"},
    "output-activation-tanh": {"net.output"},
    **{
        f"batch-norm-unsettled-{momentum}": {"net.momentum"}
        for momentum in ("0", "0.0001", "0.0005", "0.0008", "0.001", "0.0012", "0.002")
    },
    "batch-norm-unsettled-own": {"options"},
    "batch-norm-unsettled-stated": {"options"},
    "constant-input-equal": {"data"},
    "constant-input-divided": {"data"},
    "constant-input-blanked": {"cutout"},
    "augmentation-too-strong-cutout": {"cutout"},
    "augmentation-too-strong-pad": {"pad_crop"},
    "augmentation-too-strong-window": {"crop_from"},
    "augmentation-too-strong-everything": {"colour_jitter", "cutout", "pad_crop"},
    "leakage-jpeg": {"data"},
    "unstable-training-momentum": {"momentum", "lr", "schedule", "optimiser"},
    "unstable-training-beta2": {"optimiser", "lr", "beta2", "schedule"},
    **{f"split-mismatch-{word}": {"data"} for word in ("rotated", "swapped", "apart", "untrained")},
    "over-fitting-data-tiny": {"data", "epochs"},
    **{
        f"unexplained-{word}": {"net.discards"}
        for word in ("mean", "corners", "few-pixels", "two-rows", "quarters", "two-columns")
    },
    "unexplained-single-pixels": {"net.name", "net.convs", "net.dense"},
    **{
        f"unexplained-{word}": {"data"}
        for word in (
            *("scattered", "test-inverted", "test-turned", "test-dimmed"),
            *("exchanged", "merged", "marked", "test-shifted", "test-noisy"),
            *("half-hidden", "blended", "rained-on", "test-zoomed", "test-coarse", "test-mirrored"),
            *("hollow", "dealt-rows", "lost", "test-thinned"),
        )
    },
    "unexplained-flipped": {"flip"},
    "unexplained-output-dropped": {"net.output_dropout"},
    "unexplained-clipped": {"clip_norm", "optimiser", "momentum", "lr"},
    "unexplained-smoothed": {"label_smoothing"},
    "unexplained-warmed": {"warmup_epochs", "lr", "optimiser", "momentum"},
    **{f"output-activation+{other}-two": {"net.output", "data"} for other in ("labels-noisy",)},
    "output-activation+classes-missing-two": {"net.output", "data"},
    "output-activation+classes-unbalanced-two": {"net.output", "data"},
    "augmentation-too-strong+classes-unbalanced-two": {"cutout", "data"},
    "augmentation-too-strong+labels-noisy-two": {"cutout", "data"},
    "batch-norm-unsettled+classes-missing-two": {"net.momentum", "data", "epochs"},
    "batch-norm-unsettled+labels-noisy-two": {"net.momentum", "data", "epochs"},
    "labels-noisy+weight-decay-two": {"weight_decay", "data"},
    "weight-decay+classes-missing-two": {"weight_decay", "data"},
    "labels-shuffled+rate-too-high-two": {"lr", "data"},
    "split-mismatch+weight-decay-two": {"weight_decay", "data"},
    "schedule-ended+classes-missing-two": {"schedule", "step_epochs", "step_factor", "lr", "data"},
    "dropout+rate-too-low-two": {"net.dropout", "lr"},
    "dropout+too-few-steps-two": {"net.dropout", "epochs", "limit"},
}
WHOLE_NETS = {
    "over-fitting-model",
    "under-fitting",
    "unexplained-single-pixels",
    "batch-norm-unsettled+classes-missing-two",
    "batch-norm-unsettled+labels-noisy-two",
}
"""Put another network in place, whose norm, function, start and dropout are those of its plan too."""
MAY_BE_SO_ALREADY = {"flip", "optimiser", "net.dense", "net.convs", "schedule", "epochs", "momentum"}
STRENGTHS = [part.strengths for part in PARTS.values() if part.strengths is not None]
EVERY = [one for name in PARTS for one in failing(name)]


def changed(one: Planned) -> set[str]:
    """Recipe fields, parts of the network, and the rest of the setup that differ from the twin's."""
    spoiled, twin = one.spoiled, one.twin
    fields = {*spoiled.values, *twin.values}
    result = {field for field in fields if spoiled.values.get(field) != twin.values.get(field)}
    if spoiled.plan is not None:
        own, other = (dataclasses.asdict(setup.net) for setup in (spoiled, twin))
        result |= {f"net.{field}" for field in own if own[field] != other[field]}
    if spoiled.flaws != twin.flaws and spoiled.dataset != twin.dataset:
        result.add("data")
    return result | {
        name for name in ("grey", "training_mode") if getattr(spoiled, name) != getattr(twin, name)
    }


def test_of_plain_and_registered_networks_each_plant_changes_what_it_says() -> None:
    for one in EVERY:
        if one.spoiled.plan is None and one.plant in plants.OPTIONS.get(one.spoiled.name, []):
            assert changed(one) == {"options"}, one.name
            continue
        allowed = (
            {"net.norm", "net.function", "net.init", "net.dropout", "net.name", "net.block"}
            if one.plant.name in WHOLE_NETS
            else set()
        )
        result = changed(one)
        assert result - allowed <= CHANGES[one.plant.name], one.name
        needed = CHANGES[one.plant.name] - MAY_BE_SO_ALREADY
        assert needed <= result, one.name


def test_a_model_s_own_option_is_all_that_its_plants_change() -> None:
    chosen = [one for one in failing("blind") if one.base.startswith("small-alexnet")]
    by_name = {
        one.plant.name: options(one.spoiled) - options(one.twin)
        for one in chosen
        if options(one.spoiled) != options(one.twin)
    }
    assert by_name == {"initialisation-article": {("init", "article")}, "dropout": {("dropout", 0.9)}}


def options(setup: Setup) -> set[tuple[str, str | float]]:
    return set(setup.values["options"].items())


@pytest.mark.parametrize("name", PARTS)
def test_what_no_first_change_mends_is_wrong_data_or_code_or_two_faults_or_what_nobody_knows(
    name: str,
) -> None:
    for one in failing(name):
        if not one.plant.mendable:
            beyond = one.spoiled.flaws != one.twin.flaws or one.spoiled.training_mode
            two = len(one.plant.causes) == 2
            assert beyond or two or one.plant.causes == (accepted.UNEXPLAINED,), one.name


@given(st.floats(1e-4, 1.0), st.integers(1, 256), st.sampled_from(STRENGTHS))
def test_rates_are_multiples_of_the_healthy_one_and_runs_of_few_images_have_enough_steps(
    lr: float, batch: int, how: Strengths
) -> None:
    base = PARTS["test"].bases[0].but(lr=lr, batch_size=batch)
    spoiled = {plant.name: plant.spoil(base) for plant in [*plants.of_steps(how), *plants.of_data(how)]}
    assert spoiled["rate-too-high"].values["lr"] == pytest.approx(lr * how.high)
    assert spoiled["rate-too-low"].values["lr"] == pytest.approx(lr * how.low)
    assert 100 <= steps(spoiled["over-fitting-data"], how.by_heart) <= 800
    assert marked(spoiled["labels-noisy"]) != marked(base)


def steps(setup: Setup, images: int) -> int:
    return int(setup.values["epochs"]) * -(-images // int(setup.values["batch_size"]))
