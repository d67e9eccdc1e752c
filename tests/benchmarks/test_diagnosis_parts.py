"""The parts are apart, every run of them can be told by its name, and every network can be built."""

from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from benchmarks.diagnosis_runs import accepted, crossing, folders, norm_models, parts, sources
from benchmarks.diagnosis_runs.blocks import BlockPlan
from benchmarks.diagnosis_runs.folders import Draw
from benchmarks.diagnosis_runs.parts import PARTS, failing, healthy
from benchmarks.diagnosis_runs.setups import Setup
from cnnviz.models import registry

SHAPES = {
    "digits": (1, 28, 28),
    "numerals": (1, 16, 16),
    "tiles": (3, 14, 14),
    "small-digits": (1, 12, 12),
    "cifar": (3, 16, 16),
    "photos": (3, 12, 12),
    "mnist": (1, 20, 20),
    "signs": (3, 14, 14),
    "fashion": (1, 14, 14),
    "gratings": (3, 16, 16),
    "glyphs": (1, 12, 12),
    "clocks": (1, 12, 12),
    "halos": (1, 13, 13),
    "pairs": (3, 14, 14),
    "letters": (1, 14, 14),
    "arrows": (3, 12, 12),
    "ciphers": (1, 14, 14),
    "shirts": (1, 12, 12),
    "postcodes": (1, 32, 32),
    "constellations": (1, 12, 12),
    "bags": (1, 14, 14),
    "checks": (3, 12, 12),
    "scrawls": (3, 13, 13),
    "plates": (1, 32, 32),
    "flags": (3, 10, 10),
    "fog": (1, 10, 10),
    "flocks": (1, 14, 14),
    "runes": (1, 13, 13),
    "sleeves": (3, 13, 13),
    "ripples": (3, 14, 14),
    "tokens": (1, 12, 12),
    "linens": (1, 12, 12),
    "knits": (1, 12, 12),
    "weaves": (3, 12, 12),
    "socks": (1, 16, 16),
    "hats": (3, 16, 16),
    "cards": (3, 10, 10),
    "dials": (1, 12, 12),
    "lamps": (1, 12, 12),
    "signals": (1, 12, 12),
    "maps": (3, 12, 12),
    "buttons": (3, 10, 10),
    "cheques": (1, 12, 12),
    "tickets": (3, 16, 16),
    "jackets": (3, 14, 14),
    "dresses": (1, 16, 16),
}
DRAWS = {name: found for name, found in vars(folders).items() if isinstance(found, Draw)} | folders.EVERY
CLASH = {frozenset(("NUMERALS", "MNIST")), frozenset(("NUMERALS", "SIGNS"))}
"""What may share images: all of them were scored before the parts drew from what was left."""


@pytest.mark.parametrize(("one", "other"), list(combinations(PARTS, 2)))
def test_parts_share_neither_networks_nor_data_nor_strengths(one: str, other: str) -> None:
    left, right = PARTS[one], PARTS[other]
    planted = [[*part.bases, *part.planted] for part in (left, right)]
    assert not {base.source for base in planted[0]} & {base.source for base in planted[1]}
    assert not {base.net.name for base in left.bases} & {base.net.name for base in right.bases}
    assert left.strengths != right.strengths


SETS = (
    (
        *("MNIST", "SIGNS", "NUMERALS", "STAMPS", "FAINT", "NOTES", "every-mnist"),
        *("CIPHERS", "SCRAWLS", "POSTCODES", "PLATES", "CHEQUES", "TICKETS"),
    ),
    ("CIFAR", "PHOTOS", "VIEWS", "every-cifar10"),
    (
        *("FASHION", "GARMENTS", "COATS", "BOOTS", "every-fashion"),
        *("SHIRTS", "BAGS", "SLEEVES", "KNITS", "HATS", "LINENS", "SOCKS"),
        *("JACKETS", "DRESSES"),
    ),
)


def test_what_is_drawn_of_a_set_is_in_no_other_draw() -> None:
    assert {name for names in SETS for name in names} == set(DRAWS)
    labels = np.random.default_rng(0).integers(0, 10, 20_000)
    rows = {name: {*draw.rows(labels, 0).tolist()} for name, draw in DRAWS.items()}
    for one, other in (pair for names in SETS for pair in combinations(names, 2)):
        assert not rows[one] & rows[other] or frozenset((one, other)) in CLASH, (one, other)


def test_every_small_model_meets_every_data_set_healthy_and_can_be_built_for_it() -> None:
    assert not list(failing("every"))
    met = {(setup.name, setup.source) for _, setup, _ in healthy("every")}
    models = {setup.name for setup in crossing.setups()}
    assert met == {(model, source) for model in models for source in crossing.SOURCES}
    assert {name.removeprefix("every-") for name in crossing.SOURCES} == {
        "digits",
        "shapes",
        "mnist",
        "fashion",
        "cifar10",
    }
    for _, setup, _ in healthy("every"):
        registry.resolve(registry.get(setup.name), 10, setup.values.get("size"), setup.values["options"])


@pytest.mark.parametrize("name", PARTS)
def test_names_are_unique_and_plants_change_something(name: str) -> None:
    planned = list(failing(name))
    names = Counter([one.name for one in planned] + [name for name, _, _ in healthy(name)])
    assert set(names.values()) == {1}
    assert all(parts.marked(one.spoiled) != parts.marked(one.twin) for one in planned)


def test_the_blind_parts_are_as_large_as_was_promised() -> None:
    for name, runs, causes in (
        ("blind", 80, 20),
        ("blind-2", 40, 20),
        ("blind-3", 40, 20),
        ("blind-4", 80, 20),
        ("blind-5", 80, 20),
        ("blind-6", 75, 30),
        ("blind-7", 75, 30),
        ("blind-8", 40, 30),
        ("blind-9", 60, 30),
        ("blind-10", 45, 30),
    ):
        planned = list(failing(name))
        assert len(planned) >= runs
        assert len({cause for one in planned for cause in one.plant.causes}) >= causes
    assert len(list(healthy("blind"))) >= 40
    assert sum(len(list(healthy(name))) for name in ("blind-6", "blind-7")) >= 110
    assert len(list(healthy("blind-9"))) >= 40
    assert len(list(healthy("blind-10"))) >= 40
    assert len(list(healthy("every"))) >= 35


@pytest.mark.parametrize("name", PARTS)
def test_every_network_can_be_built(name: str) -> None:
    def problem(setup: Setup) -> str:
        return "" if setup.plan is None else setup.plan.layers(SHAPES[setup.source]).problem()

    norm_models.register()
    setups = [setup for one in failing(name) for setup in (one.spoiled, one.twin)]
    everything = [*setups, *(setup for _, setup, _ in healthy(name))]
    assert {problem(setup) for setup in everything} == {""}
    assert {setup.values["model"] for setup in everything if setup.plan is None} <= set(registry.specs())


def test_where_no_network_starts_badly_nothing_of_the_start_is_planted() -> None:
    planted = {one.plant.name for one in failing("blind") if one.base == "vgg-signs"}
    assert "rate-too-high" in planted
    assert not planted & {"initialisation", "vanishing-gradients", "input-scale"}


def test_the_newest_blind_parts_plant_every_cause_of_the_issue_and_pairs_and_what_nobody_knows() -> None:
    for name, pairs, unknown in (
        ("blind-6", 9, 10),
        ("blind-7", 9, 10),
        ("blind-9", 8, 7),
        ("blind-10", 5, 5),
    ):
        planned = list(failing(name))
        causes = {cause for one in planned for cause in one.plant.causes}
        assert causes >= {
            *("output-activation", "batch-norm-unsettled", "constant-input", "augmentation-too-strong"),
            *("unstable-training", "split-mismatch", "leakage", accepted.UNEXPLAINED),
        }
        assert sum(len(one.plant.causes) == 2 for one in planned) >= pairs
        assert sum(one.plant.causes == (accepted.UNEXPLAINED,) for one in planned) >= unknown
        assert any("tiny" in one.name for one in planned)


@pytest.mark.parametrize(
    ("names", "torchvisions"),
    [
        (("blind-6", "blind-7"), {norm_models.MOBILENET, norm_models.DENSENET}),
        (("blind-9",), {norm_models.REGNET, norm_models.SHUFFLENET}),
        (("blind-10",), {norm_models.RESNET, norm_models.EFFICIENTNET}),
    ],
)
def test_the_newest_blind_parts_have_networks_of_three_to_fifty_layers_and_norms_with_other_momentum(
    names: tuple[str, ...], torchvisions: set[str]
) -> None:
    depths, models = set(), set()
    for name in names:
        for setup in (*PARTS[name].bases, *PARTS[name].registered):
            if isinstance(setup.plan, BlockPlan):
                each = 2 if setup.plan.block == "residual" else 1
                depths.add(1 + each * (len(setup.plan.convs) - 1) + len(setup.plan.dense) + 1)
        models |= {setup.name for setup in PARTS[name].planted}
    assert min(depths) == 3
    assert max(depths) == 50
    assert models == torchvisions


def test_a_torchvision_network_has_the_momentum_that_is_asked_for_or_its_own() -> None:
    norm_models.register()
    for model, own in norm_models.OWN.items():
        spec = registry.get(model)
        for options, momentum in (({}, own), ({"momentum": 0.25}, 0.25)):
            built = spec.builder(10, (3, 32, 32), spec.options.parse(options))
            momentums = {layer.momentum for layer in built.modules() if isinstance(layer, nn.BatchNorm2d)}
            assert [round(one or 0.0, 6) for one in momentums] == [momentum]


def test_second_names_are_written_down_for_every_cause_that_is_planted() -> None:
    for name in PARTS:
        for one in failing(name):
            assert one.plant.accepted.isdisjoint(one.plant.causes)
            assert one.plant.accepted >= {*one.plant.also} - {*one.plant.causes}


def test_registered_models_get_only_what_a_recipe_can_hold() -> None:
    registered = [one for one in failing("blind") if one.spoiled.plan is None]
    assert {one.base.split("-")[0] for one in registered} == {"lenet5", "small", "resnet18"}
    assert all(one.twin.plan is None for one in registered)


@pytest.mark.parametrize(
    "name",
    [
        *("digits", "small-digits", "glyphs", "clocks", "halos", "pairs"),
        *("letters", "arrows", "constellations", "checks", "flags", "fog", "flocks", "runes", "ripples"),
        *("tokens", "weaves", "cards", "dials", "lamps", "signals", "maps", "buttons"),
    ],
)
def test_sources_without_a_folder_are_made_in_the_shape_that_is_told(name: str) -> None:
    assert sources.there(name, None)
    made = sources.source(name, None)
    assert made.train_images.shape[1:] == made.test_images.shape[1:] == SHAPES[name]
    assert set(made.train_labels) == set(range(10))


def test_sources_that_need_a_folder_are_missing_without_it(tmp_path: Path) -> None:
    assert not sources.there("fashion", tmp_path)
    (tmp_path / "fashion").mkdir()
    assert sources.there("fashion", tmp_path)
    assert not sources.there("signs", None)
    with pytest.raises(FileNotFoundError, match="mnist"):
        sources.source("signs", tmp_path)
