"""A preparation job: what it says of itself while it works and after it ended, however it ended."""

import threading
from pathlib import Path

import numpy as np

from cnnviz.datasets import Dataset, Part, Progress, Step
from cnnviz.ui.dataset import job
from cnnviz.ui.dataset.job import Job

PART = Part(np.zeros((2, 1, 4, 4), np.uint8), np.arange(2))
DATA = Dataset("mine/x", "x", ("a", "b"), PART, PART, "0", (), Path("x"))


def test_what_is_done_is_done_even_if_it_is_cancelled_then() -> None:
    one = Job("x.zip", lambda progress: DATA)
    one.wait(60)
    one.cancel()
    assert one.dataset is DATA
    assert (one.running, one.cancelled, one.stopping, one.error) == (False, False, False, None)


def test_it_ends_at_the_first_report_after_it_was_cancelled() -> None:
    reached, go_on = threading.Event(), threading.Event()
    after: list[str] = []

    def work(progress: Progress) -> Dataset:
        progress(Step("reading", 1, 2))
        reached.set()
        assert go_on.wait(60)
        progress(Step("reading", 2, 2))
        after.append("went on")
        return DATA

    one = Job("x.zip", work)
    assert reached.wait(60)
    assert one.step == Step("reading", 1, 2)
    one.cancel()
    assert one.stopping
    assert not one.cancelled
    go_on.set()
    one.wait(60)
    assert one.cancelled
    assert not after
    assert one.dataset is None


def test_every_end_gives_the_turn_to_the_next() -> None:
    def fail(progress: Progress) -> Dataset:
        raise MemoryError("too much")

    ended = [Job("x.zip", fail) for _ in range(2 * job.AT_ONCE)]
    last = Job("y.zip", lambda progress: DATA)
    for one in (*ended, last):
        one.wait(60)
    assert [type(one.error) for one in ended] == [MemoryError] * len(ended)
    assert last.dataset is DATA
    assert not last.waiting
