"""Results that ship are of today's experiments, and say what their own numbers say."""

import pytest

from cnnviz.experiments.presets import get_preset, list_presets
from cnnviz.experiments.recordings import names, recording
from cnnviz.experiments.results import condition_results
from cnnviz.experiments.verdict import notes, verdict


def test_every_ready_made_experiment_has_one() -> None:
    assert set(names()) == set(list_presets())


@pytest.mark.parametrize("name", names())
def test_it_is_of_todays_experiment_and_follows_from_its_runs(name: str) -> None:
    result = recording(name)
    assert result.experiment == get_preset(name).small
    outcomes = {arm.name: arm.outcomes for arm in result.result.conditions}
    params = {arm.name: arm.params for arm in result.result.conditions}
    arms = condition_results(result.experiment, outcomes, params, result.result.epochs)
    for again, recorded in zip(arms, result.result.conditions, strict=True):
        assert again.sentence == recorded.sentence
        assert again.changes == recorded.changes
        assert (again.difference is None) == (recorded.difference is None)
        if again.difference is not None and recorded.difference is not None:
            assert again.difference.mean == pytest.approx(recorded.difference.mean)
            assert again.difference.half == pytest.approx(recorded.difference.half)
    assert result.result.verdict == verdict([arm.sentence for arm in arms[1:]], outcomes)
    assert result.result.hardware
    differences = [arm.difference for arm in arms[1:]]
    assert result.result.notes == notes(outcomes, differences, arms[0].mean, result.result.test_images)
    assert result.torch
