"""A stranger's `net.py` on the command line: trained, asked, edited, resumed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from cnnviz import tracking
from cnnviz.cli import main
from cnnviz.models.user_code import registration

NET = """
import torch
from torch import nn
from torch.nn import functional as F

from sizes import WIDTH


class Net(nn.Module):
    def __init__(self, width: int = WIDTH, act="relu", n_out=7):
        super().__init__()
        self.act = getattr(torch, act)
        self.conv, self.fc = nn.Conv2d(1, width, 3, stride=2), nn.Linear(width * 9, n_out)

    def forward(self, x):
        x = F.adaptive_max_pool2d(self.act(self.conv(x)), 3)
        return {"logits": self.fc(x.flatten(1)), "features": x}


class Fails(nn.Module):
    def forward(self, x):
        return {}["missing"]  # fails


class Leaves(Net):
    def forward(self, x):
        return super().forward(torch.from_numpy(x.numpy().copy()))
"""
Capture = pytest.CaptureFixture[str]
SMALL = ("--dataset", "digits", "--set", "limit=200", "--epochs", "2", "--device", "cpu")


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file, and a module beside it."""
    monkeypatch.setenv(registration.VARIABLE, "")
    (tmp_path / "sizes.py").write_text("WIDTH = 6\n", encoding="utf-8")
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    return tmp_path / "net.py"


def test_it_is_trained_and_resumed_with_the_code_that_it_began_with(
    net: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = ("--model", f"{net}:Net", "--option", "act=tanh", "--option", "width=5")
    assert main(["train", *named, *SMALL, "--json"]) == 0
    out, err = capsys.readouterr()
    assert "'logits' is taken for its logits" in err
    report = json.loads(out)
    assert (report["model"], report["status"]) == ("file/Net", "finished")
    assert report["recipe"]["options"] == {"act": "tanh", "width": 5}
    whole = _weights(1)
    # The same run again, interrupted; its file is edited before it goes on, and nobody names it.
    with tracking.connect() as database:
        from cnnviz.datasets.spec import silent
        from cnnviz.training import Recipe
        from cnnviz.training.queue import enqueue
        from cnnviz.training.workers.worker import work

        first = tracking.get_run(database, 1)
        run = enqueue(database, Recipe.model_validate(first.recipe).model_copy(update={"code": ""}))
        assert run.recipe == first.recipe
        lease = tracking.claim(database, "cpu", only=run.id)
        assert lease is not None
        steps = iter(range(1000))
        work(database, lease, silent, lambda: next(steps) >= 2)
        assert tracking.get_run(database, 2).status == "stopped"
        (net.parent / "sizes.py").write_text("raise SystemExit('edited')\n", encoding="utf-8")
        net.write_text("raise SystemExit('edited')\n", encoding="utf-8")
        monkeypatch.setenv(registration.VARIABLE, "")
    assert main(["train", "--resume", "2"]) == 0
    assert _weights(2) == whole


def _weights(run_id: int) -> dict[str, bytes]:
    from safetensors.torch import load_file

    with tracking.connect() as database:
        run = tracking.get_run(database, run_id)
    tensors = load_file(tracking.run_folder(run.id, run.key) / "last.safetensors")
    return {name: value.numpy().tobytes() for name, value in tensors.items()}


def test_its_run_and_its_weights_are_asked(net: Path, capsys: Capture, tmp_path: Path) -> None:
    Image.new("L", (28, 28), 90).save(tmp_path / "x.png")
    assert main(["train", "--model", f"{net}:Net", *SMALL]) == 0
    with tracking.connect() as database:
        run = tracking.get_run(database, 1)
    weights = tracking.run_folder(run.id, run.key) / "last.safetensors"
    capsys.readouterr()
    ways = (["--run", "1"], ["--model", f"{net}:Net", "--weights", str(weights)])
    told = []
    for way in ways:
        assert main(["predict", str(tmp_path / "x.png"), *way, "--json"]) == 0
        told.append(json.loads(capsys.readouterr().out))
    assert told[0] == told[1]
    for way in (["--run", "1"], ["--model", f"{net}:Net"]):
        assert main(["features", str(tmp_path / "x.png"), *way, "--layer", "conv"]) == 0
        assert "conv: 6 maps of" in capsys.readouterr().out


def test_a_file_handed_in_does_not_choose_code(
    net: Path, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["train", "--model", f"{net}:Net", *SMALL]) == 0
    with tracking.connect() as database:
        run = tracking.get_run(database, 1)
    monkeypatch.setenv(registration.VARIABLE, "")
    Image.new("L", (28, 28), 90).save(tmp_path / "x.png")
    weights = tracking.run_folder(run.id, run.key) / "last.safetensors"
    assert main(["predict", str(tmp_path / "x.png"), "--weights", str(weights)]) == 2
    assert "There is no model 'file/Net' here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("Fails", "Fails cannot be run: KeyError: 'missing' (net.py, line 22)."),
        ("Gone", "There is no 'Gone' in net.py; it defines Net, Fails, Leaves."),
        ("Net(depth=3)", "Net has no argument 'depth'; its arguments are: width, act, n_out."),
    ],
)
def test_what_cannot_be_trained_is_a_sentence(net: Path, capsys: Capture, name: str, sentence: str) -> None:
    assert main(["train", "--model", f"{net}:{name}", *SMALL]) == 2
    assert capsys.readouterr().err.strip() == f"cnnviz: {sentence}"


def test_a_network_that_leaves_torch_is_queued(net: Path) -> None:
    from cnnviz.training import Recipe
    from cnnviz.training.queue import enqueue

    registration.add(f"{net}:Leaves")
    with tracking.connect() as database:
        assert enqueue(database, Recipe(model="file/Leaves", dataset="digits", limit=200)).status == "queued"


def test_a_recipe_from_outside_names_no_other_code(net: Path) -> None:
    from cnnviz.training import Recipe
    from cnnviz.training.recipe import require_registered, with_code

    with pytest.raises(ValueError, match="There is no model 'file/Net' here"):
        require_registered(Recipe(model="file/Net"), "The link")
    registration.add(f"{net}:Net", {"act": "tanh"})
    kept = with_code(Recipe(model="file/Net"))
    assert kept.options == {"act": "tanh"}
    require_registered(kept, "The link")
    with pytest.raises(ValueError, match=r"Option 'act' cannot be 'system'; it can be tanh\."):
        require_registered(kept.changed({"options": {"act": "system"}}), "The link")
    with pytest.raises(ValueError, match=r"Option 'act' cannot be 'system'; it can be tanh\."):
        with_code(Recipe(model="file/Net", options={"act": "system"}))
    net.write_text(NET + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match="another version of Net than this program was started with"):
        require_registered(kept, "The link")
