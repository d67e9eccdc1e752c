"""What a checkpoint says to the test images, and its weights alone."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from cnnviz import datasets, tracking
from cnnviz.datasets import Step
from cnnviz.inference import InferenceError, evaluate
from cnnviz.inference.export import export_weights, weights_name
from cnnviz.inference.weights.bundled import FORMAT, read_card
from cnnviz.tracking import Database


def test_answers_give_the_matrix_that_the_run_recorded(database: Database) -> None:
    steps: list[Step] = []
    result = evaluate.predict_test_images(database, 1, progress=steps.append)
    record = tracking.latest_record(database, 1, "test/confusion")
    assert record is not None
    matrix = np.zeros((10, 10), np.int64)
    np.add.at(matrix, (result.true, result.predicted), 1)
    assert matrix.tolist() == record.body
    assert result.step == record.step
    assert steps[-1].total == len(result.true)
    kept = evaluate.cached_predictions(database, 1)
    assert kept is not None
    assert np.array_equal(kept.predicted, result.predicted)
    assert ((result.probability > 0) & (result.probability <= 1)).all()


def test_the_images_of_a_cell_come_surest_first(database: Database) -> None:
    result = evaluate.predict_test_images(database, 1)
    rows = result.rows(3, 3)
    data = datasets.load("digits")
    assert (data.test.labels[rows] == 3).all()
    assert (result.predicted[rows] == 3).all()
    assert (np.diff(result.probability[rows]) <= 0).all()
    assert len(rows) == ((result.true == 3) & (result.predicted == 3)).sum()


def test_answers_of_an_older_checkpoint_are_not_taken_for_the_newer(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate.predict_test_images(database, 1)
    assert evaluate.cached_predictions(database, 1, "best") is None
    known = tracking.checkpoints(database, 1)["last"]
    later = {"last": known._replace(step=known.step + 1)}
    monkeypatch.setattr(tracking, "checkpoints", lambda *_: later)
    assert evaluate.cached_predictions(database, 1) is None


def test_a_damaged_file_of_answers_is_none(database: Database) -> None:
    evaluate.predict_test_images(database, 1)
    run = tracking.get_run(database, 1)
    path = tracking.run_folder(run.id, run.key) / "answers-last.safetensors"
    path.write_bytes(path.read_bytes()[:40])
    assert evaluate.cached_predictions(database, 1) is None


def test_other_data_are_refused(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    other = dataclasses.replace(datasets.load("digits"), fingerprint="other")
    monkeypatch.setattr(datasets, "load", lambda *_args, **_named: other)
    with pytest.raises(InferenceError, match="holds other images now"):
        evaluate.predict_test_images(database, 1)


def test_weights_alone_have_a_card(database: Database, tmp_path: Path) -> None:
    run = tracking.get_run(database, 1)
    path = tmp_path / weights_name(run, "last")
    path.write_bytes(export_weights(database, 1))
    assert path.name == "run-1-lenet5.safetensors"
    with safe_open(path, "np") as file:
        assert not [name for name in file.keys() if name.startswith(("optimiser", "model."))]  # noqa: SIM118
        assert sum(file.get_tensor(name).size for name in file.keys()) == run.params  # noqa: SIM118
        assert file.metadata()["format"] == FORMAT
    card = read_card(path)
    assert card.accuracy == run.metrics["test/accuracy"].last
    assert (card.recipe.dataset, card.test_images, card.params) == (
        "digits",
        len(datasets.load("digits").test),
        run.params,
    )
    checkpoint = tracking.checkpoints(database, 1)["last"]
    assert path.stat().st_size < checkpoint.bytes


def test_a_run_without_a_checkpoint_has_no_weights(database: Database) -> None:
    with pytest.raises(InferenceError, match="last or best"):
        export_weights(database, 1, "first")
