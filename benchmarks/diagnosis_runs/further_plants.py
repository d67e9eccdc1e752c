"""What is planted from the sixth blind part on: new causes, pairs of them, and what no rule knows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from benchmarks.diagnosis_runs import data, spoiling
from benchmarks.diagnosis_runs.accepted import UNEXPLAINED
from benchmarks.diagnosis_runs.blocks import SPARSE, BlockPlan
from benchmarks.diagnosis_runs.drawn import CLASSES
from benchmarks.diagnosis_runs.further import Further
from benchmarks.diagnosis_runs.setups import Change, Plant, Setup, with_norm
from benchmarks.diagnosis_runs.strengths import Strengths


def of_output(how: Further) -> list[Plant]:
    """An activation after the last layer."""
    return [Plant(("output-activation",), _net(output=function), word=function) for function in how.outputs]


def of_norm(how: Further) -> list[Plant]:
    """Running statistics that do not come near what they estimate."""

    def short(setup: Setup) -> Setup:
        return with_norm(setup).but(epochs=how.settling)

    return [
        Plant(
            ("batch-norm-unsettled",),
            lambda s, momentum=momentum: _net(momentum=momentum)(short(s)),  # type: ignore[misc]
            short,
            word=f"{momentum:g}",
        )
        for momentum in how.momentum
    ]


def of_norm_option(how: Further) -> list[Plant]:
    """The same in a torchvision network, by its own momentum or another."""
    return [
        Plant(("batch-norm-unsettled",), lambda s: _option(s, momentum=0.0), word="own"),
        Plant(("batch-norm-unsettled",), lambda s: _option(s, momentum=how.momentum[0]), word="stated"),
    ]


def of_images(how: Further) -> list[Plant]:
    """Images that are constant, or that augmentation leaves hardly anything of."""
    images, quality = how.copied[1:]
    return [
        Plant(
            ("constant-input",), _flawed("n", spoiling.constant(how.constant)), word="equal", mendable=False
        ),
        Plant(
            ("constant-input",), _flawed("q", spoiling.divided(how.divided)), word="divided", mendable=False
        ),
        Plant(("constant-input",), lambda s: s.but(cutout=2 * _side(s) + 2), word="blanked"),
        Plant(
            ("augmentation-too-strong",), lambda s: s.but(cutout=round(how.cutout * _side(s))), word="cutout"
        ),
        Plant(
            ("augmentation-too-strong",), lambda s: s.but(pad_crop=round(how.pad_crop * _side(s))), word="pad"
        ),
        Plant(
            ("augmentation-too-strong",),
            lambda s: s.but(crop_from=how.enlarged_crop * _side(s)),
            word="window",
        ),
        Plant(
            ("augmentation-too-strong",),
            lambda s: s.but(colour_jitter=how.jitter, cutout=_side(s), pad_crop=_side(s) // 2),
            word="everything",
        ),
        Plant(
            ("leakage",),
            lambda s: _tiny(s, how.copied[0]).flawed(f"j{images}", spoiling.copied_as_jpeg(images, quality)),
            lambda s: _tiny(s, how.copied[0]),
            word="jpeg", mendable=False, flatters=True,
        ),
    ]  # fmt: skip


def of_course(how: Further) -> list[Plant]:
    """Steps with which a run learns and does not settle."""
    momentum, times = how.unstable
    return [
        Plant(
            ("unstable-training",),
            lambda s: s.but(optimiser="nesterov", momentum=momentum, lr=_sgd_rate(s) * times,
                            schedule="constant"),
            word="momentum",
        ),
        Plant(
            ("unstable-training",),
            lambda s: s.but(optimiser="adam", lr=how.unstable_adam, beta2=0.6, schedule="constant"),
            word="beta2",
        ),
    ]  # fmt: skip


def of_splits(how: Further) -> list[Plant]:
    """Classes that differ between what is learned from and what is tested."""
    flaws = {
        "rotated": spoiling.rotated_names(how.rotated),
        "swapped": spoiling.swapped_names(*how.swapped),
        "apart": spoiling.apart(how.apart),
        "untrained": spoiling.untrained(*how.untrained),
    }
    return [
        Plant(("split-mismatch",), _flawed(f"s-{word}", flaw), word=word, mendable=False)
        for word, flaw in flaws.items()
    ]


def of_tiny(how: Further) -> list[Plant]:
    """A set of 20 to 60 images."""
    return [
        Plant(
            ("over-fitting-data",),
            lambda s: _tiny(s, how.tiny),
            also=("over-fitting-augmentation", "over-fitting-model"),
            word="tiny",
            mendable=False,
        )
    ]


def of_nobody_knows(how: Further) -> list[Plant]:
    """What fails by a cause that no rule is meant to name. Each allows what comes nearest."""
    network, pixels = ("under-fitting",), ("labels-shuffled", "labels-noisy")
    shifted = ("split-mismatch",)
    if how.unknown == "of the tenth":
        return [
            _unknown("two-columns", _net(discards="all-but-two-columns"), (*network, "constant-input")),
            _unknown("hollow", _flawed("u-hollow", spoiling.hollow), network),
            _unknown("dealt-rows", _flawed("u-dealt", spoiling.dealt_rows), pixels),
            _unknown("lost", _flawed("u-lost", spoiling.lost(0.35)), (*network, *pixels)),
            _unknown("test-thinned", _flawed("u-thinned", spoiling.thinned_test), shifted),
        ]
    if how.unknown == "of the ninth":
        return [
            _unknown(
                "quarters", _net(discards="all-but-quarters"), (*network, "constant-input", "data-enlarged")
            ),
            _unknown("half-hidden", _flawed("u-hidden", spoiling.half_hidden), network),
            _unknown("blended", _flawed("u-blended", spoiling.blended), pixels),
            _unknown("rained-on", _flawed("u-rained", spoiling.rained_on), (*network, *pixels)),
            _unknown("test-mirrored", _flawed("u-mirrored", spoiling.mirrored_test), shifted),
            _unknown("test-coarse", _flawed("u-coarse", spoiling.coarse_test), (*shifted, "data-enlarged")),
            _unknown("test-zoomed", _flawed("u-zoomed", spoiling.zoomed_test), shifted),
            _unknown(
                "clipped", lambda s: s.but(clip_norm=2e-4, optimiser="sgd", momentum=0.0, lr=_sgd_rate(s)),
                ("rate-too-low", "too-few-steps"),
            ),
        ]  # fmt: skip
    if how.unknown == "later":
        return [
            _unknown("two-rows", _net(discards="all-but-two-rows"), (*network, "constant-input")),
            _unknown("exchanged", _flawed("u-exchanged", spoiling.exchanged), pixels),
            _unknown("merged", _flawed("u-merged", spoiling.merged), pixels),
            _unknown("marked", _flawed("u-marked", spoiling.marked_train), shifted),
            _unknown("test-shifted", _flawed("u-shifted", spoiling.shifted_test), shifted),
            _unknown("test-noisy", _flawed("u-noisy", spoiling.noisy_test), shifted),
            _unknown("test-inverted", _flawed("u-inverted", spoiling.inverted_test), shifted),
            _unknown("output-dropped", _net(output_dropout=0.96), ("dropout",)),
        ]
    return [
        _unknown("mean", _net(discards="all-but-mean"), (*network, "constant-input")),
        _unknown("corners", _net(discards="all-but-corners"), (*network, "constant-input")),
        _unknown("few-pixels", _net(discards="all-but-few-pixels"), network),
        _unknown("single-pixels", lambda s: s.but(SPARSE), network),
        _unknown("scattered", _flawed("u-scattered", spoiling.scattered), pixels),
        _unknown("test-inverted", _flawed("u-inverted", spoiling.inverted_test), shifted),
        _unknown("test-turned", _flawed("u-turned", spoiling.turned_test), shifted),
        _unknown("test-dimmed", _flawed("u-dimmed", spoiling.dimmed_test), (*shifted, "input-scale")),
        _unknown("flipped", lambda s: s.but(flip="random"), ("augmentation-too-strong",)),
        _unknown("output-dropped", _net(output_dropout=0.97), ("dropout",)),
        _unknown(
            "smoothed", lambda s: s.but(label_smoothing=0.995), ("under-fitting", "too-few-steps")
        ),
        _unknown("warmed", lambda s: s.but(warmup_epochs=s.values["epochs"], lr=_sgd_rate(s) / 30,
                                           optimiser="sgd", momentum=0.0),
                 ("rate-too-low", "too-few-steps")),
    ]  # fmt: skip


def of_further_pairs(how: Further, strengths: Strengths) -> list[Plant]:
    """Two causes at once; no first change mends both."""

    def noisy(setup: Setup) -> Setup:
        return setup.flawed(f"b{strengths.noisy}", data.noisy(strengths.noisy))

    def unbalanced(setup: Setup) -> Setup:
        return setup.flawed("c", data.unbalanced(*strengths.unbalanced))

    def missing(setup: Setup) -> Setup:
        return setup.flawed("d", data.missing(*strengths.missing))

    def unsettled(setup: Setup) -> Setup:
        return _net(momentum=how.momentum[0])(with_norm(setup).but(epochs=how.settling))

    def hidden(setup: Setup) -> Setup:
        return setup.but(cutout=round(how.cutout * _side(setup)))

    def decayed(setup: Setup) -> Setup:
        decoupled = setup.values["optimiser"] == "adamw"
        return setup.but(weight_decay=strengths.decay_adamw if decoupled else strengths.decay)

    def dropped(setup: Setup) -> Setup:
        return setup.but(replace(setup.net, dropout=strengths.dropout))

    def ended(setup: Setup) -> Setup:
        factor, share = strengths.ended
        rate = float(setup.values["lr"]) * share
        return setup.but(schedule="step", step_epochs=1, step_factor=factor, lr=rate)

    output = _net(output="relu")
    changes: dict[tuple[str, str], tuple[Change, Change]] = {
        ("output-activation", "labels-noisy"): (output, noisy),
        ("output-activation", "classes-missing"): (output, missing),
        ("output-activation", "classes-unbalanced"): (output, unbalanced),
        ("augmentation-too-strong", "classes-unbalanced"): (hidden, unbalanced),
        ("augmentation-too-strong", "labels-noisy"): (hidden, noisy),
        ("batch-norm-unsettled", "classes-missing"): (unsettled, missing),
        ("batch-norm-unsettled", "labels-noisy"): (unsettled, noisy),
        ("labels-noisy", "weight-decay"): (noisy, decayed),
        ("weight-decay", "classes-missing"): (decayed, missing),
        ("labels-shuffled", "rate-too-high"): (
            lambda s: s.flawed("a", data.shuffled),
            lambda s: s.but(lr=float(s.values["lr"]) * strengths.high),
        ),
        ("dropout", "rate-too-low"): (dropped, lambda s: s.but(lr=float(s.values["lr"]) * strengths.low)),
        ("split-mismatch", "weight-decay"): (
            _flawed("s-rotated", spoiling.rotated_names(how.rotated)),
            decayed,
        ),
        ("schedule-ended", "classes-missing"): (ended, missing),
        ("dropout", "too-few-steps"): (dropped, lambda s: s.but(epochs=1, limit=strengths.begun)),
    }
    every = [Plant(causes, _both(*pair), mendable=False, word="two") for causes, pair in changes.items()]
    return [plant for plant in every if "+".join(plant.causes) in how.pairs]


def _both(one: Change, other: Change) -> Change:
    return lambda setup: other(one(setup))


def _unknown(word: str, spoil: Change, also: tuple[str, ...]) -> Plant:
    return Plant((UNEXPLAINED,), spoil, mendable=False, also=also, word=word)


def _net(**fields: Any) -> Change:
    """The same network with other fields."""

    def change(setup: Setup) -> Setup:
        net = setup.net
        if not isinstance(net, BlockPlan):
            raise ValueError(f"{setup.name} is no plan of blocks.")
        return setup.but(replace(net, **fields))

    return change


def _flawed(words: str, flaw: data.Flaw) -> Callable[[Setup], Setup]:
    return lambda setup: setup.flawed(words, flaw)


def _tiny(setup: Setup, each: int) -> Setup:
    """So many images a class, for some 200 steps."""
    steps = -(-each * CLASSES // int(setup.values["batch_size"]))
    return setup.flawed(f"t{each}", spoiling.few(each)).but(epochs=200 // steps)


def _side(setup: Setup) -> int:
    """The side of the images as the network reads them."""
    return setup.side


def _sgd_rate(setup: Setup) -> float:
    """The healthy rate, as SGD's where it is Adam's."""
    adaptive = setup.values["optimiser"] in ("adam", "adamw")
    return 0.03 if adaptive else float(setup.values["lr"])


def _option(setup: Setup, **values: float) -> Setup:
    return setup.but(options={**setup.values["options"], **values})
