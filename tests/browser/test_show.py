"""`cnnviz.show` from a script: with an app that runs, and with none."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.server import ROOT, Server

SCRIPT = """
import torch
from torch import nn
import cnnviz

torch.manual_seed(0)
net = nn.Sequential(nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(6 * 144, 10))
shown = cnnviz.show(net, (1, 28, 28), name="from-a-script")
print(shown.url, flush=True)
input()
"""

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def started(home: Path) -> subprocess.Popen[str]:
    """The script, which waits for a line before it ends."""
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, env={**os.environ, "CNNVIZ_HOME": str(home)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def address(script: subprocess.Popen[str]) -> str:
    """The address that it prints."""
    assert script.stdout is not None
    lines = [script.stdout.readline(), script.stdout.readline()]
    assert lines[0].startswith("Shown at http://localhost:"), lines
    return lines[1].strip()


def test_a_script_shows_its_network_in_the_app_that_runs(server: Server, visit: Visit) -> None:
    script = started(server.home)
    try:
        url = address(script)
        assert url == f"{server.url}/architecture?model=shown/from-a-script"
        page = visit(url.removeprefix(f"{server.url}/"))
        expect(page.get_by_text("A network that another program of yours shows.")).to_be_visible()
        page = visit("features?model=shown/from-a-script&layer=0")
        expect(page.locator(".st-key-features-mosaic canvas.mosaic")).to_be_visible()
    finally:
        script.communicate("\n", timeout=60)
    page = visit("features?model=shown/from-a-script")
    expect(page.get_by_text("does not answer any more").first).to_be_visible()


def test_without_an_app_it_starts_one_which_ends_with_it(tmp_path: Path) -> None:
    script = started(tmp_path)
    try:
        url = address(script)
        with urllib.request.urlopen(url.partition("/architecture")[0] + "/_stcore/health") as answer:
            assert answer.status == 200
    finally:
        script.communicate("\n", timeout=60)
    assert not list((tmp_path / "app").glob("*.json"))
