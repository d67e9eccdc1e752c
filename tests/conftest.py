"""What every test stands on: nothing of the user's is touched, and no example is hurried."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Before torch is imported: the tests run in as many processes as there are cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# No deadlines: how long an example takes tells about the machine, not about the code.
settings.register_profile("default", deadline=None)
settings.register_profile("soak", deadline=None, max_examples=2000)
settings.load_profile("default")


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test an empty CNNVIZ_HOME of its own."""
    monkeypatch.setenv("CNNVIZ_HOME", str(tmp_path / "cnnviz-home"))
