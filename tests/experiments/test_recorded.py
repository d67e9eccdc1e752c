"""Results that ship are of today's experiments, and say what their own numbers say."""

import pytest

from cnnviz.experiments.presets import get_preset, list_presets
from cnnviz.experiments.recorded import names, recording
from cnnviz.experiments.results import judged
from cnnviz.experiments.verdict import notes, verdict


def test_every_ready_made_experiment_has_one() -> None:
    assert set(names()) == set(list_presets())


@pytest.mark.parametrize("name", names())
def test_it_is_of_todays_experiment_and_follows_from_its_runs(name: str) -> None:
    found = recording(name)
    assert found.experiment == get_preset(name).small
    outcomes = {arm.name: arm.outcomes for arm in found.result.arms}
    params = {arm.name: arm.params for arm in found.result.arms}
    arms = judged(found.experiment, outcomes, params, found.result.epochs)
    for again, recorded in zip(arms, found.result.arms, strict=True):
        assert again.sentence == recorded.sentence
        assert again.changes == recorded.changes
        assert (again.difference is None) == (recorded.difference is None)
        if again.difference is not None and recorded.difference is not None:
            assert again.difference.mean == pytest.approx(recorded.difference.mean)
            assert again.difference.half == pytest.approx(recorded.difference.half)
    assert found.result.verdict == verdict([arm.sentence for arm in arms[1:]], outcomes)
    assert found.result.hardware
    differences = [arm.difference for arm in arms[1:]]
    assert found.result.notes == notes(outcomes, differences, arms[0].mean, found.result.test_images)
    assert found.torch
