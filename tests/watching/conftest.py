"""A run database for watched loops, and the promise that torch's functions are torch's own afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from torch.nn import functional

from cnnviz import tracking
from cnnviz.watching import loss_functions, recording


@pytest.fixture
def database(tmp_path: Path) -> Iterator[tracking.Database]:
    """An empty run database."""
    with tracking.connect(f"sqlite:///{tmp_path}/runs.sqlite") as opened:
        yield opened


@pytest.fixture(autouse=True)
def _torch_is_left_alone() -> Iterator[None]:
    def functions() -> dict[str, object]:
        kernels = {f"{name}'s": getattr(*place) for name, place in loss_functions.KERNELS.items()}
        return {name: getattr(functional, name) for name in loss_functions.WRAPPED} | kernels

    before = functions()
    yield
    for run in list(recording.open_runs):
        run.finish()
    assert functions() == before
