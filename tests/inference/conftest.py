"""One small finished run on digits, trained once, in a home that tests only read."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cnnviz import tracking
from cnnviz.tracking import Database
from cnnviz.training import Recipe
from cnnviz.training.queue import enqueue
from cnnviz.training.workers.worker import work

RECIPE = Recipe(dataset="digits", limit=400, epochs=2, batch_size=50, device="cpu")


@pytest.fixture(scope="session")
def trained_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CNNVIZ_HOME whose run 1 has finished."""
    home = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNVIZ_HOME", str(home))
        with tracking.connect() as database:
            run = enqueue(database, RECIPE)
            lease = tracking.claim(database, "cpu", only=run.id)
            assert lease is not None
            assert work(database, lease, lambda _: None, lambda: False) is tracking.Status.FINISHED
    return home


@pytest.fixture
def database(trained_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """The run database of that home, which is CNNVIZ_HOME now."""
    monkeypatch.setenv("CNNVIZ_HOME", str(trained_home))
    with tracking.connect() as opened:
        yield opened
