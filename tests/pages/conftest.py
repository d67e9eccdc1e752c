"""What several pages' tests begin with."""

from pathlib import Path

import pytest

from cnnviz.inference.weights import bundled
from tests.pages.trained import train_in


@pytest.fixture(scope="session")
def trained_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a finished run, number 1; tests read it and leave it as it is."""
    folder = tmp_path_factory.mktemp("trained")
    train_in(folder)
    return folder


@pytest.fixture
def nothing_ships(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is shown does not hang on what ships today."""
    monkeypatch.setattr(bundled, "FOLDER", tmp_path)


@pytest.fixture
def trained(trained_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run to look into."""
    monkeypatch.setenv("CNNVIZ_HOME", str(trained_home))
