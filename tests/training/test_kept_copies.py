"""Copies of code and weights go with the last run that names them, and not before."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnnviz import tracking
from cnnviz.training.travel import prune_copies

CODE, WEIGHTS, LOOSE = "a" * 64, "b" * 64, "c" * 64


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CNNVIZ_HOME", str(tmp_path))
    for digest in (CODE, LOOSE):
        (tmp_path / "code" / digest).mkdir(parents=True)
        (tmp_path / "code" / digest / "net.py").write_text("x" * 10)
    (tmp_path / "weights").mkdir()
    for digest in (WEIGHTS, LOOSE):
        (tmp_path / "weights" / f"{digest}.safetensors").write_bytes(bytes(7))
    (tmp_path / "weights" / "of-the-user.safetensors").write_bytes(bytes(7))
    return tmp_path


def kept(home: Path) -> set[str]:
    return {path.name[:3] for folder in ("code", "weights") for path in (home / folder).iterdir()}


def test_what_no_run_names_goes_and_the_rest_stays(home: Path) -> None:
    recipe = {"model": "file/Net", "code": CODE, "start_from": f"file:net.pth@{WEIGHTS}"}
    with tracking.connect() as database:
        run = tracking.create_run(database, model="file/Net", dataset="digits", recipe=recipe, seed=0)
        assert prune_copies(database) == (0, 0), "they were only just made"
        assert prune_copies(database, older_than=0.0) == (2, 17)
        assert kept(home) == {"aaa", "bbb", "of-"}
        tracking.request(database, run.id, tracking.Command.STOP)
        tracking.delete_run(database, run.id)
        assert prune_copies(database, older_than=0.0) == (0, 0), "it can be brought back"
        tracking.purge_runs(database)
        assert prune_copies(database, older_than=0.0) == (2, 17)
        assert kept(home) == {"of-"}
