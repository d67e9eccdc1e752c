"""What every test stands on: nothing of the user's is touched, and no example is hurried."""

import functools
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from streamlit.components.v2 import manifest_scanner
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests import quick_homes

# Before torch is imported: the tests run in as many processes as there are cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# AppTest reads the metadata of every installed package whenever it opens a page: two thirds of its time.
manifest_scanner.scan_component_manifests = functools.cache(manifest_scanner.scan_component_manifests)

quick_homes.install()

# No deadlines: how long an example takes tells about the machine, not about the code.
settings.register_profile("default", deadline=None)
settings.register_profile("soak", deadline=None, max_examples=2000)
settings.load_profile("default")


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give each test an empty CNNVIZ_HOME of its own, and no networks that an earlier one named or showed.

    AppTest leaves the page's script as the main module, which new processes would run first.
    """
    main = sys.modules["__main__"]
    monkeypatch.setenv("CNNVIZ_HOME", str(tmp_path / "cnnviz-home"))
    monkeypatch.delenv("CNNVIZ_MODELS", raising=False)
    yield
    sys.modules["__main__"] = main
    if (registry := sys.modules.get("cnnviz.models.registry")) is not None:
        for name in registry.shown_specs():
            registry._in_memory.pop(name, None)


WHOLE = ("tests/browser/", "tests/pages/")
"""Folders whose tests share what takes long to make, by file: an app and its runs, a trained network."""


class _SomeFilesWhole(LoadScopeScheduling):
    """Tests in a browser and of pages go to a worker a file at a time, all others one by one.

    Those in a browser wait more than they work, so that two workers with an app and a Chromium each are done
    in little more than half the time; a file kept whole keeps what its tests share. (xdist's own groups,
    `loadgroup`, are lost on pytest 9.2, which no longer reads the `_nodeid` that xdist 3.8 writes them into.)
    """

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.partition("::")[0] if nodeid.startswith(WHOLE) else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Take the place of `--dist`: what stays together is decided here."""
    return _SomeFilesWhole(config, log)
