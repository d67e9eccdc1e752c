"""The example of a network of one's own runs as it stands, in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_it_goes_from_the_file_to_a_model_that_needs_no_cnnviz(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CNNVIZ_MODELS": ""}
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "own_network.py"), str(tmp_path)],
        capture_output=True, text=True, check=False, env=environment, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Net: " in done.stdout
    assert "Run 1 finished" in done.stdout
    assert "Run 2 finished" in done.stdout
    assert done.stdout.rstrip().endswith("torch.Size([2, 10])")
    assert sorted(path.name for path in tmp_path.glob("exported.p*")) == ["exported.pth", "exported.py"]
