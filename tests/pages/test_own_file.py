"""A network of one's own file on the pages: where it is shown, and what a visitor cannot do with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnnviz.models.user_code import registration
from tests.pages.runner import html, open_page, said

NET = """
from torch import nn


class Net(nn.Module):
    def __init__(self, width: int = 6, act="ReLU", num_classes=10):
        super().__init__()
        self.conv, self.act = nn.Conv2d(1, width, 3), getattr(nn, act)()
        self.fc = nn.Linear(width * 676, num_classes)

    def forward(self, x):
        return self.fc(self.act(self.conv(x)).flatten(1))
"""


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "net.py"
    path.write_text(NET, encoding="utf-8")
    monkeypatch.setenv(registration.VARIABLE, f"{path}:Net")
    return path


@pytest.mark.parametrize("page", ["architecture", "compare", "features", "train", "attribution"])
def test_it_is_on_every_page(net: Path, page: str) -> None:
    app = open_page(page, model="file/Net")
    assert "shown instead" not in said(app)
    assert "Net" in html(app) + said(app) + " ".join(str(box.value) for box in app.selectbox)


def test_an_edited_file_is_shown_as_it_is_now(net: Path) -> None:
    assert "10·(4,056 + 1)" in html(open_page("architecture", model="file/Net"))
    net.write_text(NET.replace("676, num_classes)", "676, num_classes, bias=False)"), encoding="utf-8")
    assert "10·4,056" in (shown := html(open_page("architecture", model="file/Net")))
    assert "10·(4,056 + 1)" not in shown


def test_an_option_that_only_whoever_started_it_may_give_is_refused(net: Path) -> None:
    app = open_page("architecture", model="file/Net", **{"option.act": "Tanh", "option.width": "7"})
    assert "Option 'act' cannot be 'Tanh'; it can be ReLU." in said(app)
    assert "10·(4,732 + 1)" in html(app)


def test_train_takes_neither_code_nor_such_an_option_from_the_address(net: Path) -> None:
    app = open_page("train", model="file/Net", **{"set.code": "0" * 64})
    assert "A recipe has no setting “code”" in said(app)
    app = open_page("train", model="file/Net", **{"set.options": '{"act": "Tanh"}'})
    assert "Option 'act' cannot be 'Tanh'" in said(app)


def test_without_a_name_it_is_not_there(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(registration.VARIABLE, "")
    assert "There is no model “file/Net”" in said(open_page("architecture", model="file/Net"))
