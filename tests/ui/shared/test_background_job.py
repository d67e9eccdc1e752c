"""A background job: what it says of itself while it works and after it ended, however it ended."""

import threading

from cnnviz.datasets import Progress, Step
from cnnviz.ui.shared.background_job import BackgroundJob, _cancel_all

FIRST = Step("looking", 0, None)
DEADLINE = 60


def test_what_is_done_is_done_even_if_it_is_cancelled_then() -> None:
    job = BackgroundJob(lambda progress: 7, FIRST, "job")
    job.wait(DEADLINE)
    job.cancel()
    assert job.result == 7
    assert (job.running, job.cancelled, job.stopping, job.error) == (False, False, False, None)


class Gated:
    """Work that reports once, waits, and reports again."""

    def __init__(self) -> None:
        self.reached, self.go_on = threading.Event(), threading.Event()
        self.went_on = False

    def __call__(self, progress: Progress) -> int:
        progress(Step("reading", 1, 2))
        self.reached.set()
        assert self.go_on.wait(DEADLINE)
        progress(Step("reading", 2, 2))
        self.went_on = True
        return 7


def test_it_ends_at_the_first_report_after_it_was_cancelled() -> None:
    work = Gated()
    job = BackgroundJob(work, FIRST, "job")
    assert work.reached.wait(DEADLINE)
    assert job.step == Step("reading", 1, 2)
    job.cancel()
    assert job.stopping
    assert not job.cancelled
    work.go_on.set()
    job.wait(DEADLINE)
    assert job.cancelled
    assert not work.went_on
    assert job.result is None


def test_every_end_gives_the_turn_to_the_next() -> None:
    def fail(progress: Progress) -> int:
        raise MemoryError("too much")

    turns = threading.BoundedSemaphore(2)
    ended = [BackgroundJob(fail, FIRST, "job", turns) for _ in range(4)]
    last = BackgroundJob(lambda progress: 7, FIRST, "job", turns)
    for job in (*ended, last):
        job.wait(DEADLINE)
    assert [type(job.error) for job in ended] == [MemoryError] * len(ended)
    assert last.result == 7
    assert not last.waiting


def test_one_that_waits_for_its_turn_is_cancelled_without_having_begun() -> None:
    turns, work = threading.BoundedSemaphore(1), Gated()
    first = BackgroundJob(work, FIRST, "job", turns)
    assert work.reached.wait(DEADLINE)
    second = BackgroundJob(lambda progress: 7, FIRST, "job", turns)
    assert second.waiting
    second.cancel()
    second.wait(DEADLINE)
    assert (second.cancelled, second.result) == (True, None)
    work.go_on.set()
    first.wait(DEADLINE)
    assert first.result == 7


def test_at_the_end_of_the_process_every_job_is_cancelled_and_waited_for() -> None:
    work = Gated()
    job = BackgroundJob(work, FIRST, "job")
    assert work.reached.wait(DEADLINE)
    work.go_on.set()
    _cancel_all()
    assert not job.running
    assert job.cancelled or job.result == 7
