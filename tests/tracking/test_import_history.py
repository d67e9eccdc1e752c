"""Histories from CSV become runs of their own kind; what is no history is one sentence and no run."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnviz import tracking
from cnnviz.diagnosis import diagnose, gather
from cnnviz.diagnosis.outcome import status_text
from cnnviz.tracking import Database, Kind, Status
from cnnviz.tracking.import_history import curve_of, import_history

LIGHTNING = """epoch,step,train_loss_step,val_acc,val_loss,train_loss_epoch,lr-SGD
0,9,2.1,,,,0.1
0,19,1.9,,,,0.1
0,19,,0.31,1.8,,
0,19,,,,2.0,
1,29,1.5,,,,0.1
1,39,,0.52,1.4,1.6,
"""
KERAS = """epoch,accuracy,loss,learning_rate,val_accuracy,val_loss
0,0.41,1.9,0.001,0.5,1.6
1,0.55,1.5,0.001,0.6,1.3
"""


def written(folder: Path, text: str, name: str = "metrics.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def curve(database: Database, run: int, name: str) -> list[tuple[int, float]]:
    found = tracking.sample_metric(database, run, name)
    return list(zip(found.steps.tolist(), found.values.tolist(), strict=True))


def test_lightning_s_log_is_read(sqlite: Database, tmp_path: Path) -> None:
    made = import_history(sqlite, written(tmp_path, LIGHTNING), name="mine", model="Net", classes=10)
    run = tracking.get_run(sqlite, made.run_id)
    assert (run.kind, run.status, run.name, run.model) == (Kind.IMPORTED, Status.FINISHED, "mine", "Net")
    assert (run.step, run.epoch) == (39, 2.0)
    assert curve(sqlite, run.id, "train/loss") == [(9, 2.1), (19, 1.9), (29, 1.5)]
    assert curve(sqlite, run.id, "train/epoch_loss") == [(19, 2.0), (39, 1.6)]
    assert curve(sqlite, run.id, "val/accuracy") == [(19, 0.31), (39, 0.52)]
    assert curve(sqlite, run.id, "lr") == [(9, 0.1), (19, 0.1), (29, 0.1)]


def test_keras_s_log_has_epochs_and_no_steps(sqlite: Database, tmp_path: Path) -> None:
    made = import_history(sqlite, written(tmp_path, KERAS))
    assert set(made.curves) == {"train/epoch_accuracy", "train/epoch_loss", "lr", "val/accuracy", "val/loss"}
    assert curve(sqlite, made.run_id, "train/epoch_loss") == [(1, 1.9), (2, 1.5)]


def test_epochs_are_not_taken_for_steps(sqlite: Database, tmp_path: Path) -> None:
    found = diagnose(gather(sqlite, import_history(sqlite, written(tmp_path, KERAS), classes=10).run_id))
    assert found.findings == ()
    (steps,) = (one for one in found.checked if one.cause == "too-few-steps")
    assert "the file counts epochs" in steps.because
    assert status_text(gather(sqlite, 1)) == "finished after 2 epochs"
    made = import_history(sqlite, written(tmp_path, KERAS), classes=10, steps_per_epoch=38)
    assert curve(sqlite, made.run_id, "val/loss") == [(38, 1.6), (76, 1.3)]
    found = diagnose(gather(sqlite, made.run_id))
    assert [finding.cause for finding in found.findings] == ["too-few-steps"]
    with pytest.raises(ValueError, match="An epoch has at least one step, not 0"):
        import_history(sqlite, written(tmp_path, KERAS), steps_per_epoch=0)


def test_an_accuracy_is_exact_by_the_images_it_was_measured_on(sqlite: Database, tmp_path: Path) -> None:
    lines = ["step,loss,val_acc"] + [f"{step},{2.3 * 0.98**step:.3f},0.9" for step in range(1, 400)]
    file = written(tmp_path, "\n".join(lines))
    found = diagnose(gather(sqlite, import_history(sqlite, file, classes=10).run_id))
    assert found.verdict.endswith("on how many images the accuracy of 90.0 % was measured is not known.")
    assert "--held-out N" in found.missing[0]
    found = diagnose(gather(sqlite, import_history(sqlite, file, classes=10, held_out=597).run_id))
    assert "90.0 % of 597 held-out images" in found.verdict
    with pytest.raises(ValueError, match="measured on at least one image, not 0"):
        import_history(sqlite, file, held_out=0)


def test_a_history_is_diagnosed_by_what_it_has(sqlite: Database, tmp_path: Path) -> None:
    lines = ["step,loss,accuracy"] + [f"{step},{2.302 + 0.001 * (step % 3)},0.1" for step in range(1, 200)]
    made = import_history(sqlite, written(tmp_path, "\n".join(lines)), classes=10)
    found = diagnose(gather(sqlite, made.run_id))
    assert found.outcome in ("unexplained", "not-judged", "cause-found")
    assert all(not finding.changes for finding in found.findings)
    assert not any("DataLoader batches" in one.because for one in found.checked)


def test_columns_that_are_not_known_are_named(sqlite: Database, tmp_path: Path) -> None:
    made = import_history(sqlite, written(tmp_path, "step,loss,my_gpu,=cmd()\n1,2.0,3,4\n"))
    assert (made.curves, made.ignored) == (("train/loss",), ("my_gpu", "=cmd()"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "no column that is known"),
        ("a,b\n1,2\n", "no column that is known"),
        ("step,loss\n", "a heading and no rows"),
        (",".join(["loss"] * 500), "at most 200 are read"),
        ('step,loss\n1,"' + "x" * 200_000 + '"\n', "is no CSV file"),
    ],
)
def test_what_is_no_history_is_one_sentence_and_no_run(
    sqlite: Database, tmp_path: Path, text: str, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        import_history(sqlite, written(tmp_path, text))
    assert tracking.list_runs(sqlite) == []


def test_the_number_of_classes_is_bounded(sqlite: Database, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="2 to 100,000 classes, not 1"):
        import_history(sqlite, written(tmp_path, KERAS), classes=1)


@given(st.text(max_size=60))
def test_any_name_of_a_column_is_a_curve_or_none(name: str) -> None:
    found = curve_of(name.lower())
    assert found is None or found == "lr" or found.split("/")[0] in ("train", "val", "test")
