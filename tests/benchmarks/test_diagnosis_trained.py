"""A part can be judged by what is trained of it, without training more."""

from pathlib import Path
from unittest import mock

from benchmarks import diagnosis
from benchmarks.diagnosis_runs.training import Trainer


def test_with_trained_only_what_is_not_trained_is_left_out(tmp_path: Path) -> None:
    asked = diagnosis.parsed(["--part", "blind-9", "--trained-only"])
    database = mock.MagicMock()
    kept = diagnosis.trained(asked, Trainer(database, tmp_path))
    assert (kept.runs, kept.healthy, kept.fallen) == ([], [], [])
    assert not database.mock_calls
