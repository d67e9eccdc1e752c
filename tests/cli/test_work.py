"""`cnnviz work`: what it refuses at the start, instead of waiting for runs that it never trains."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnnviz.cli import main
from cnnviz.cli.commands import train as command
from cnnviz.tracking.store import open_store
from cnnviz.training import estimate


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("CNNVIZ_STORE", "https://bucket/folder", "CNNVIZ_STORE is a folder, or an address that begins with"),
        ("CNNVIZ_STORE", "s3://", "CNNVIZ_STORE names no bucket"),
        ("CNNVIZ_STORE", "shared", "CNNVIZ_STORE is a whole path"),
        (
            "CNNVIZ_DATABASE_URL",
            "postgresql://a:secret@host:port/b",
            "CNNVIZ_DATABASE_URL is an address like",
        ),
    ],
)
def test_a_wrong_address_is_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variable: str,
    value: str,
    sentence: str,
) -> None:
    monkeypatch.setenv(variable, value)
    assert main(["work"]) == 2
    printed = capsys.readouterr()
    assert sentence in printed.err
    assert "Training what is queued" not in printed.out
    assert "secret" not in printed.err


@pytest.mark.parametrize("device", ["cuda:0", "mps"])
def test_a_device_that_is_not_here_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], device: str
) -> None:
    monkeypatch.setattr(estimate, "may_have_gpu", lambda: False)
    assert main(["work", "--device", device]) == 2
    assert f"with --device {device} it would train nothing" in capsys.readouterr().err


def test_a_store_that_cannot_be_written_is_said_at_the_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("no folder")
    store = open_store(str(tmp_path / "file"))
    assert store is not None
    command._check_store(store)
    said = capsys.readouterr().err
    assert said.startswith("cnnviz: The store (CNNVIZ_STORE) cannot be written: ")
    assert said.endswith("Until it can be, runs go on with this machine's own disk.\n")
