"""`cnnviz export`: the files it writes, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cnnviz.cli import main

SMALL = (
    "train",
    "--model",
    "lenet5",
    "--dataset",
    "digits",
    "--set",
    "limit=100",
    "--epochs",
    "1",
    "--device",
    "cpu",
)


def test_a_run_is_written_in_the_form_of_the_ending(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(SMALL) == 0
    capsys.readouterr()
    assert main(["export", "1", "--output", str(tmp_path / "net.py")]) == 0
    assert sorted(path.name for path in tmp_path.glob("net.*")) == ["net.pth", "net.py"]
    assert "conv1.weight" in torch.load(tmp_path / "net.pth", weights_only=True)
    assert main(["export", "1", "-o", str(tmp_path / "some.bin"), "--format", "pth"]) == 0
    assert str(tmp_path / "some.bin") in capsys.readouterr().out
    assert main(["export", "1", "-o", str(tmp_path / "net.bin")]) == 2
    assert "Which format?" in capsys.readouterr().err
    assert main(["export", "9", "-o", str(tmp_path / "net.py")]) == 2
