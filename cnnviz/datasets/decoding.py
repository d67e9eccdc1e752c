"""Many pictures at once: threads, since Pillow's decoders let go of the interpreter while they work."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")
MOST_WORKERS = 16


def workers() -> int:
    """Threads worth having here."""
    return min(MOST_WORKERS, os.cpu_count() or 1)


def in_order(
    work: Callable[[Job], Result], jobs: Iterable[Job], threads: int | None = None
) -> Generator[Result, None, None]:
    """Yield `work(job)` for each job, in order, with at most two jobs a thread finished or under way ahead.

    What is not asked for is not begun: memory stays bounded however slow the reader is. An error of `work` is
    raised at its turn. Closing the iterator drops what is waiting.
    """
    count = threads or workers()
    ahead: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(count, thread_name_prefix="decode")
    try:
        for job in jobs:
            ahead.append(pool.submit(work, job))
            if len(ahead) >= 2 * count:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
