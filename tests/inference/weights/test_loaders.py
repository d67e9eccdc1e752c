"""Models out of runs: finished, still going, from before the interface was stored."""

from pathlib import Path

import pytest
import torch

from cnnviz import tracking
from cnnviz.inference import InferenceError
from cnnviz.inference.weights.loaders import from_run
from cnnviz.tracking import Database
from cnnviz.training import checkpoint
from cnnviz.training.checkpoint import ModelSignature


@pytest.mark.parametrize("kind", ["last", "best"])
def test_a_runs_model_has_its_classes_and_its_accuracy(database: Database, kind: str) -> None:
    loaded = from_run(database, 1, kind)
    assert loaded.classes == tuple(map(str, range(10)))
    assert loaded.input_shape == (1, 28, 28)
    assert loaded.dataset == "digits"
    rows = tracking.read_metrics(database, 1).rows
    step = tracking.checkpoints(database, 1)[kind].step
    assert loaded.accuracy == next(r.value for r in rows if (r.name, r.step) == ("test/accuracy", step))
    assert not loaded.model.training


def test_a_checkpoint_without_a_signature_is_completed_from_the_data(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = from_run(database, 1)
    read = checkpoint.read

    def old(path: Path) -> checkpoint.CheckpointContents:
        stored = read(path)
        return checkpoint.CheckpointContents(stored.position, stored.weights, None)

    monkeypatch.setattr(checkpoint, "read", old)
    assert from_run(database, 1).preprocessing == known.preprocessing


def test_what_a_run_has_not_is_said(database: Database) -> None:
    with pytest.raises(InferenceError, match="last or best, not 'first'"):
        from_run(database, 1, "first")
    with pytest.raises(tracking.NoSuchRunError):
        from_run(database, 77)


def test_a_run_without_a_checkpoint_says_when_there_will_be_one() -> None:
    with tracking.connect() as empty:
        run = tracking.create_run(empty, {}, model="lenet5", dataset="digits", seed=0)
        with pytest.raises(InferenceError, match=r"\(queued\) has no checkpoint 'last'"):
            from_run(empty, run.id)


def test_the_signature_survives_its_file() -> None:
    from cnnviz.training.data.transforms import Statistics

    images = torch.arange(48, dtype=torch.uint8).reshape(2, 1, 4, 6)
    before = ModelSignature(("ä", "b"), (8, 9), Statistics.of(images))
    after = ModelSignature.read(before.details(), before.tensors())
    assert (after.classes, after.side) == (before.classes, before.side)
    assert torch.equal(after.statistics.mean_image, before.statistics.mean_image)
