"""The queue has a bound, which is said in one sentence and never leaves anything half queued."""

from __future__ import annotations

import pytest

from cnnviz import tracking
from cnnviz.experiments import Condition, Experiment, start
from cnnviz.tracking import Command, Database, QueueFullError
from cnnviz.training import Recipe
from tests.tracking.making import create

FULL = r"At most 3 runs wait at once, and 3 do; wait until some have ended, or take some out of the queue\."


@pytest.fixture
def _three_may_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnnviz.tracking.commands.MAX_QUEUED", 3)


@pytest.mark.usefixtures("_three_may_wait")
def test_no_more_runs_wait_than_may(database: Database) -> None:
    runs = [create(database).id for _ in range(3)]
    assert tracking.queue_capacity(database) == 0
    with pytest.raises(QueueFullError, match=FULL):
        create(database)
    tracking.request(database, runs[0], Command.STOP)
    assert tracking.queue_capacity(database) == 1
    create(database)
    with pytest.raises(QueueFullError, match=FULL):
        tracking.request(database, runs[0], Command.RESUME)
    assert len(tracking.list_runs(database, statuses=[tracking.Status.QUEUED])) == 3


@pytest.mark.usefixtures("_three_may_wait")
def test_an_experiment_that_does_not_fit_queues_nothing(database: Database) -> None:
    experiment = Experiment.of(
        question="?",
        base=Recipe(dataset="digits", device="cpu"),
        conditions=(Condition(name="a", changes={"lr": 0.1}),),
    )
    with pytest.raises(QueueFullError, match="and 0 do; 6 more do not fit, 3 would: "):
        start(database, experiment)
    assert tracking.list_runs(database) == []
    assert tracking.list_experiments(database) == []


def test_the_earlier_name_of_the_bound_is_the_same() -> None:
    assert tracking.MOST_QUEUED == tracking.MAX_QUEUED
