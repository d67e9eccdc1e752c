"""The product's worker, whose runs leave behind in their process whatever a run could."""

from __future__ import annotations

import sys
from typing import Any
from unittest import mock

from cnnviz.training.workers import process, worker

_work = worker.work


def work(*given: Any) -> Any:
    """The product's, and then everything is changed."""
    from tests.training.workers.test_reuse import dirty

    ended = _work(*given)
    dirty()
    return ended


if __name__ == "__main__":
    mock.patch.object(worker, "work", work).start()
    sys.exit(process.main())
