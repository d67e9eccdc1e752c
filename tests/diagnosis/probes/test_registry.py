"""Probes are found by looking, say what they lack, and leave JSON in the evidence."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from cnnviz import tracking
from cnnviz.diagnosis import Evidence, probe, probes
from cnnviz.diagnosis.probes import MISSING
from cnnviz.tracking import Database
from cnnviz.training.queue import enqueue
from tests.diagnosis.tiny import RECIPE, trained


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CNNVIZ_HOME whose run 1 has finished and whose run 2 waits."""
    folder = tmp_path_factory.mktemp("probed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNVIZ_HOME", str(folder))
        with tracking.connect() as database:
            trained(database)
            enqueue(database, RECIPE)
    return folder


@pytest.fixture
def database(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """The run database of that home."""
    monkeypatch.setenv("CNNVIZ_HOME", str(home))
    with tracking.connect() as opened:
        yield opened


def test_every_probe_answers_with_json_that_survives_its_file(database: Database, tmp_path: Path) -> None:
    result = probe(database, 1)
    assert set(result.probes) == set(probes())
    assert not [name for name, value in result.probes.items() if MISSING in value]
    orjson.dumps(result.probes)
    result.write(tmp_path / "run.json.gz")
    assert Evidence.read(tmp_path / "run.json.gz") == result


def test_without_a_checkpoint_it_says_so_in_a_sentence(database: Database) -> None:
    result = probe(database, 2).probes
    for name, one in probes().items():
        assert (MISSING in result[name]) == one.trained
    missing = [value[MISSING] for value in result.values() if MISSING in value]
    assert all("has no checkpoint" in sentence for sentence in missing)


def test_an_unknown_probe_is_refused_with_the_names_of_all(database: Database) -> None:
    with pytest.raises(ValueError, match=r"no probe 'x-ray'; there are .*initial-loss"):
        probe(database, 1, ["x-ray"])


def test_fresh_lenet_starts_near_the_loss_of_an_even_guess(database: Database) -> None:
    result = probe(database, 1, ["initial-loss"]).probes["initial-loss"]
    assert result["chance_loss"] == pytest.approx(math.log(10))
    assert result["loss"] == pytest.approx(math.log(10), abs=0.1)
