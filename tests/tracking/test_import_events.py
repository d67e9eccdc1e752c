"""TensorBoard's event files become runs; damage costs what lies behind it, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnviz import tracking
from cnnviz.formats import event_file_worker
from cnnviz.tracking import Database
from cnnviz.tracking.import_history import column_of, import_history
from tests.tracking import event_files
from tests.tracking.event_files import event


def curve(database: Database, run: int, name: str) -> list[tuple[int, float]]:
    found = tracking.sample_metric(database, run, name)
    return list(zip(found.steps.tolist(), [round(v, 4) for v in found.values.tolist()], strict=True))


def test_the_crc_is_that_of_the_standard() -> None:
    # RFC 3720, B.4: CRC-32C of 32 zeros is 0x8a9136aa, of 32 times 0xff 0x62a8ab43.
    for data, crc in ((bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43)):
        assert event_file_worker.masked_crc(data) == ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


@pytest.mark.parametrize("tensor", [False, True])
def test_scalars_become_curves(sqlite: Database, tmp_path: Path, tensor: bool) -> None:
    path = event_files.write(
        tmp_path / "events.out.tfevents.1.host",
        [event(s, tag, 2.0 / s, tensor=tensor) for s in (1, 2, 4) for tag in ("Loss/train", "lr", "fps")]
        + [event(4, "accuracy/val", 0.5, tensor=tensor)],
    )
    made = import_history(sqlite, path, classes=10)
    assert made.ignored == ("fps",)
    assert curve(sqlite, made.run_id, "train/loss") == [(1, 2.0), (2, 1.0), (4, 0.5)]
    assert curve(sqlite, made.run_id, "val/accuracy") == [(4, 0.5)]
    assert made.note == ""


def test_keras_s_folders_name_the_part_of_the_data(sqlite: Database, tmp_path: Path) -> None:
    for part, loss in (("train", 1.0), ("validation", 2.0)):
        event_files.write(
            tmp_path / "logs" / part / "events.out.tfevents.1",
            [event(epoch, "epoch_loss", loss / (epoch + 1), tensor=True) for epoch in range(3)],
        )
    made = import_history(sqlite, tmp_path / "logs")
    assert set(made.curves) == {"train/epoch_loss", "val/loss"}
    assert tracking.get_run(sqlite, made.run_id).epoch == 3.0


def test_large_records_are_skipped_and_a_cut_file_is_read_to_the_cut(
    sqlite: Database, tmp_path: Path
) -> None:
    path = event_files.write(
        tmp_path / "a.tfevents", [event(1, "loss", 3.0), bytes(200_000), event(2, "loss", 2.0)]
    )
    with path.open("ab") as file:
        file.write(event_files.record(event(3, "loss", 1.0))[:-1])
    made = import_history(sqlite, path)
    assert curve(sqlite, made.run_id, "train/loss") == [(1, 3.0), (2, 2.0)]
    assert "damaged or not yet written" in made.note


@pytest.mark.parametrize(
    ("events", "sentence"), [([], "holds no scalars"), ([event(1, "fps", 1.0)], "no column that is known")]
)
def test_what_holds_nothing_is_refused_and_makes_no_run(
    sqlite: Database, tmp_path: Path, events: list[bytes], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        import_history(sqlite, event_files.write(tmp_path / "a.tfevents", events))
    assert tracking.list_runs(sqlite) == []


def test_what_is_no_event_file_is_said(sqlite: Database, tmp_path: Path) -> None:
    (tmp_path / "b.tfevents").write_bytes(b"not at all" * 9)
    with pytest.raises(ValueError, match="is no TensorBoard event file"):
        import_history(sqlite, tmp_path / "b.tfevents")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="There is no TensorBoard event file"):
        import_history(sqlite, tmp_path / "empty")


@settings(max_examples=200)
@given(st.binary(max_size=80))
def test_any_bytes_are_scalars_or_a_value_error(data: bytes) -> None:
    try:
        for tag, step, value in event_file_worker.scalars(data):
            assert isinstance(tag, str)
            assert 0 <= step < 2**64
            assert isinstance(value, float)
    except ValueError:
        pass


@pytest.mark.parametrize(
    ("tag", "part", "column"),
    [("Loss/train", "", "train/loss"), ("train/acc", "", "train/acc"), ("epoch_loss", "validation",
      "epoch_validation_loss"), ("Loss", "train", "train_loss")],
)  # fmt: skip
def test_tags_are_named_as_columns_are(tag: str, part: str, column: str) -> None:
    assert column_of(tag, part) == column
