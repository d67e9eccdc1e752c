"""A run database for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cnnviz import tracking
from cnnviz.tracking import Database


@pytest.fixture
def database() -> Iterator[Database]:
    with tracking.connect() as opened:
        yield opened
