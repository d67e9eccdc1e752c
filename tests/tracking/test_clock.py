"""Time in training, told from the history of states."""

import numpy as np

from cnnviz.tracking import Status, StatusChange, elapsed


def change(new: Status, time: float) -> StatusChange:
    return StatusChange(1, None, new, time, None)


HISTORY = [
    change(Status.QUEUED, 100),
    change(Status.STARTING, 110),
    change(Status.RUNNING, 120),
    change(Status.PAUSED, 150),
    change(Status.QUEUED, 500),
    change(Status.RUNNING, 600),
    change(Status.STOPPING, 605),
    change(Status.STOPPED, 610),
]


def test_pauses_count_nothing() -> None:
    times = np.array([90.0, 120, 130, 150, 300, 600, 604, 610])
    assert elapsed(HISTORY, times).tolist() == [0, 0, 10, 30, 30, 30, 34, 40]


def test_a_run_that_goes_on_has_no_end_yet() -> None:
    times = np.array([125.0, 140, 1_000])
    assert elapsed(HISTORY[:3], times).tolist() == [5, 20, 880]


def test_nothing_is_nothing() -> None:
    assert elapsed([], np.array([1.0, 2.0])).tolist() == [0, 0]
    assert elapsed(HISTORY, np.array([])).tolist() == []
