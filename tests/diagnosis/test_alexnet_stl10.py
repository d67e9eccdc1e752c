"""The recorded runs of the AlexNet/STL-10 paper review say what the story says: why one failed."""

import math

import numpy as np
import pytest

from cnnviz import tracking
from cnnviz.diagnosis import diagnose
from cnnviz.diagnosis.evidence.mean_field import propagate
from cnnviz.diagnosis.recorded import (
    COLLAPSED,
    FOLDER,
    SUFFIX,
    Row,
    Table,
    card,
    recorded,
    recorded_conditions,
    table,
)
from cnnviz.diagnosis.recorded.fresh import CLASSES, STARTS, fresh, measure
from cnnviz.diagnosis.recorded.record import MAX_BYTES, package_run
from cnnviz.diagnosis.recorded.stand_in import first_of_each
from cnnviz.experiments.presets.alexnet_stl10 import AS_WRITTEN, CONDITIONS, FULL, base, recipe
from cnnviz.models import get as model
from cnnviz.tracking import Database
from cnnviz.training import get
from tests.diagnosis.tiny import trained

MENDING = ("He initialization", "He, standardized, rate 0.01", "pixels up to ±255", "as the paper")
FAILED, MENDED = "alexnet-stl10-failed", "alexnet-stl10-fixed"


def test_the_failed_run_is_stuck_at_an_even_guess_with_one_answer() -> None:
    run = recorded(FAILED)
    assert run.curve("train/epoch_loss").last == pytest.approx(math.log(10), abs=0.02)
    assert run.curve("test/accuracy").last == pytest.approx(0.1, abs=0.02)
    assert run.predicted["test"][-1].largest_share >= COLLAPSED
    assert "one-class" in {finding.cause for finding in diagnose(run).findings}


def test_the_mended_run_learns_in_the_same_steps() -> None:
    failed, run = recorded(FAILED), recorded(MENDED)
    assert (run.step, run.total_steps, run.data) == (failed.step, failed.total_steps, failed.data)
    assert run.curve("train/epoch_loss").values[-1] < failed.curve("train/epoch_loss").values[-1] - 0.3
    assert run.curve("test/accuracy").values[-1] > 3 * failed.curve("test/accuracy").values[-1]
    assert run.predicted["test"][-1].largest_share < 0.5
    assert "one-class" not in {finding.cause for finding in diagnose(run).findings}


@pytest.mark.parametrize("name", [FAILED, MENDED])
def test_recordings_are_small_and_know_where_they_come_from(name: str) -> None:
    assert (FOLDER / f"{name}{SUFFIX}").stat().st_size <= MAX_BYTES
    run, made = recorded(name), card(name)
    assert made.steps == run.step
    assert made.epochs == run.recipe.epochs
    assert "CIFAR-10" in made.data
    assert run.recipe.dataset == "cifar10"
    assert "/" not in run.recipe.dataset, "a name, and no path"
    assert run.recipe.name == get("article-alexnet-stl10").name


def test_the_failed_recipe_is_the_articles_on_smaller_images() -> None:
    changed = set(get("article-alexnet-stl10").difference(recorded(FAILED).recipe))
    assert changed == {"dataset", "limit", "size", "crop_from"}


def test_the_arithmetic_follows_the_full_network_down_to_a_ten_thousandth() -> None:
    text = fresh()
    spec = model("alexnet")
    assert spec.layers is not None
    for start, (init, normalisation, scale) in STARTS.items():
        layers = spec.layers(
            CLASSES, FULL, spec.options.parse({"init": init, "normalisation": normalisation})
        )
        reckoned = propagate(layers, text.entering(scale))
        assert [layer.name for layer in reckoned] == [layer.name for layer in text.layers[start]]
        for ours, seen in zip(reckoned, text.layers[start], strict=True):
            # What pooling lifts is left out, and least where a signal is small beside what all images share.
            most = 1.15 if start == "article" else 2.5
            assert 0.85 < seen.signal / ours.signal < most, (start, ours.name)


def test_a_measurement_can_be_made_again() -> None:
    import torch

    images = torch.rand(2, *FULL, generator=torch.Generator().manual_seed(0))
    layers = measure(images, torch.tensor([0, 1]), "article", 0)
    assert [layer.name for layer in layers] == [layer.name for layer in fresh().layers["article"]]
    assert layers[-1].signal < 1e-2 * layers[-1].spread


def test_the_table_has_every_arm_with_the_same_seeds() -> None:
    runs = table()
    assert set(runs.names) == set(CONDITIONS)
    assert runs.names[0] == AS_WRITTEN
    seeds = [row.seed for row in runs.of(AS_WRITTEN)]
    assert len(seeds) >= 3
    for name in runs.names:
        result = [row.seed for row in runs.of(name)]
        assert result == seeds[: len(result)], name
        assert {row.steps for row in runs.of(name)} == {79 * recipe(name, 0).epochs}


def test_other_pixels_or_other_weights_free_it_and_the_rest_does_not() -> None:
    """What the story says in so many words."""
    result = {arm.name: arm for arm in recorded_conditions(table())}
    for name in MENDING:
        assert result[name].collapsed == 0, name
        assert result[name].accuracy > 1.5 * result[AS_WRITTEN].accuracy, name
    for name in set(result) - set(MENDING):
        assert result[name].collapsed == result[name].n, name


def test_arms_are_compared_seed_by_seed() -> None:
    rows = [
        _row("base", 0, 0.1, 1.0),
        _row("base", 1, 0.12, 0.95),
        _row("up", 1, 0.3, 0.2),
        _row("up", 0, 0.2, 0.3),
    ]
    base_arm, up = recorded_conditions(Table(machine="", test_images=10, rows=tuple(rows)))
    assert (base_arm.gain, base_arm.collapsed, base_arm.n) == (None, 2, 2)
    assert up.accuracies == (0.2, 0.3)
    assert up.gain is not None
    assert up.gain.mean == pytest.approx(np.mean([0.2 - 0.1, 0.3 - 0.12]))
    assert up.gain.half == pytest.approx(12.7062 * np.std([0.1, 0.18], ddof=1) / math.sqrt(2), rel=1e-4)


def _row(arm: str, seed: int, accuracy: float, share: float) -> Row:
    return Row(arm=arm, seed=seed, steps=1, loss=2.3, test_loss=2.3, accuracy=accuracy, largest_share=share,
               curve=(), first=(), last=(), seconds=1.0)  # fmt: skip


def test_arms_change_what_they_say_and_no_more() -> None:
    for name in CONDITIONS:
        changed = set(base().difference(recipe(name, 0)))
        assert changed or name == AS_WRITTEN, name
        assert changed <= {"layers", "lr", "scale", "epochs", "optimiser", "weight_decay"}


def test_only_a_finished_run_ships() -> None:
    with tracking.connect() as database:
        run = trained(database, epochs=1)
        words = {"title": "Digits", "dataset": "digits", "data": "ten digits", "command": "cnnviz train"}
        evidence, made = package_run(database, run.id, **words)
        assert (evidence.run, evidence.title, made.steps) == (None, "Digits", run.step)
        assert made.versions.keys() >= {"python", "torch"}
        waiting = _queued(database)
        with pytest.raises(ValueError, match="is of a finished run"):
            package_run(database, waiting, **words)


def _queued(database: Database) -> int:
    from cnnviz.training.queue import enqueue
    from tests.diagnosis.tiny import RECIPE

    return enqueue(database, RECIPE).id


def test_the_stand_in_takes_the_first_of_each_class() -> None:
    assert first_of_each([1, 0, 1, 1, 0, 0], 2) == [0, 1, 2, 4]
