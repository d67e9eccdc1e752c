"""The two halves are apart, and every run of them can be told by its name."""

from collections import Counter

import pytest

from benchmarks.diagnosis_runs import halves
from benchmarks.diagnosis_runs.halves import BASES, HALVES, failing, healthy
from benchmarks.diagnosis_runs.setups import Setup
from cnnviz.models import registry


def test_halves_share_neither_networks_nor_data() -> None:
    tuning, test = (BASES[number] for number in (HALVES["tune"], HALVES["test"]))
    assert not {base.source for base in tuning} & {base.source for base in test}
    assert not {base.net.name for base in tuning} & {base.net.name for base in test}


@pytest.mark.parametrize("half", HALVES)
def test_names_are_unique_and_plants_change_something(half: str) -> None:
    planned = list(failing(half))
    names = Counter([one.name for one in planned] + [name for name, _, _ in healthy(half)])
    assert set(names.values()) == {1}
    assert all(halves.marked(one.spoiled) != halves.marked(one.twin) for one in planned)


def test_the_test_half_is_as_large_as_was_promised() -> None:
    planned = list(failing("test"))
    assert len(planned) >= 60
    assert len({cause for one in planned for cause in one.plant.causes}) >= 15


@pytest.mark.parametrize("half", HALVES)
def test_every_network_can_be_built(half: str) -> None:
    shapes = {"digits": (1, 28, 28), "cifar": (3, 16, 16), "mnist": (1, 20, 20), "gratings": (3, 16, 16)}

    def problem(setup: Setup) -> str:
        return "" if setup.plan is None else setup.plan.layers(shapes[setup.source]).problem()

    setups = [setup for one in failing(half) for setup in (one.spoiled, one.twin)]
    everything = [*setups, *(setup for _, setup, _ in healthy(half))]
    assert {problem(setup) for setup in everything} == {""}
    assert {setup.values["model"] for setup in everything if setup.plan is None} <= set(registry.specs())
