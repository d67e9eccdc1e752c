"""A stranger's net.py, from `cnnviz app --model` to a network that runs where cnnviz is not."""

import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from cnnviz.tracking import Database, list_runs
from tests.browser.conftest import Visit
from tests.browser.server import Server, serve
from tests.browser.test_train import PATIENCE_MS, press, state

NET = """
import torch
from torch import nn

from blocks import block


class Stranger(nn.Module):
    def __init__(self, width: int = 6, n_out: int = 10):
        super().__init__()
        self.stem, self.body = block(1, width), block(width, 2 * width)
        self.head = nn.LazyLinear(n_out)

    def forward(self, pixels):
        x = self.body(self.stem(pixels))
        return {"maps": x, "logits": self.head(x.flatten(1))}
"""
BLOCKS = """
from torch import nn


def block(channels, width):
    return nn.Sequential(nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
"""
ELSEWHERE = """
import sys

sys.modules["cnnviz"] = None  # cannot be imported
import torch
import {module}

print(tuple({module}.load()(torch.zeros(3, *{module}.INPUT_SHAPE)).shape))
"""


pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def server(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An app that was started with the stranger's network."""
    folder = tmp_path_factory.mktemp("stranger")
    (folder / "net.py").write_text(NET, encoding="utf-8")
    (folder / "blocks.py").write_text(BLOCKS, encoding="utf-8")
    with serve(folder, models=[f"{folder}/net.py:Stranger@1x16x16"]) as running:
        yield running


def test_it_is_trained_diagnosed_looked_into_exported_and_run_elsewhere(
    visit: Visit, runs: Database, tmp_path: Path
) -> None:
    page = visit("architecture?model=file/Stranger")
    expect(page.get_by_text("'logits' is taken for its logits").first).to_be_visible()
    page = visit("train?model=file/Stranger&dataset=digits&set.epochs=2&set.limit=400&set.device=cpu")
    press(page, "Start")
    state(page, "finished")
    (run,) = list_runs(runs)
    assert run.model == "file/Stranger"
    page = visit(f"diagnose?run={run.id}")
    expect(page.get_by_text(re.compile("Healthy|Cause found|Not healthy|Not judged")).first).to_be_visible()
    page = visit(f"features?run={run.id}&layer=stem.0")
    expect(page.locator(".st-key-features-mosaic canvas.mosaic")).to_be_visible(timeout=PATIENCE_MS)
    page = visit(f"runs?run={run.id}")
    page.get_by_role("button", name="Export").click()
    page.get_by_role("button", name="PyTorch source and weights (zip)").click()
    save = page.get_by_role("button", name=re.compile("^Save run-.*zip"))
    expect(save).to_be_visible(timeout=PATIENCE_MS)
    with page.expect_download() as download:
        save.click()
    with zipfile.ZipFile(download.value.path()) as archive:
        archive.extractall(tmp_path)
    (module,) = (path.stem for path in tmp_path.glob("*.py"))
    code = ELSEWHERE.format(module=module)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "(3, 10)\n", done.stderr
