"""A watched run on the pages: shown as what it is, without buttons that cannot work, with its fix in code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from cnnviz import tracking
from cnnviz.tracking import Command, Status
from cnnviz.tracking.import_history import import_history
from cnnviz.watching import WatchedRun
from tests.pages.runner import html, open_page
from tests.watching.loops import Net, loop


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("watched")


@pytest.fixture(scope="module")
def run(home: Path) -> Iterator[WatchedRun]:
    """A run whose loop goes on, and in which zero_grad is missing."""
    with tracking.connect(f"sqlite:///{home}/runs.sqlite") as database:
        watched = loop(database, name="my loop", clear=False)
        watched.diagnose()
        yield watched
        watched.finish()


@pytest.fixture(autouse=True)
def _database(home: Path, run: WatchedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNVIZ_HOME", str(home))
    monkeypatch.setenv("CNNVIZ_DATABASE_URL", f"sqlite:///{home}/runs.sqlite")


def labels(app: object) -> list[str]:
    return [button.label for button in app.button]  # type: ignore[attr-defined]


def test_train_shows_it_live_and_can_only_ask_it_to_stop(run: WatchedRun) -> None:
    app = open_page("train", run=str(run.id))
    assert "Net on my own data, a training loop of its own, cpu" in html(app)
    assert not {"Pause", "Resume", "Stop", "Clone run"} & set(labels(app))
    app.button(key="run-stop").click().run()
    assert not app.exception
    captions = [caption.value for caption in app.caption]
    assert any("the loop ends once it reads run.should_stop" in text for text in captions)
    run._writer.flush()
    assert run.should_stop
    assert tracking.get_run(run._database, run.id or 0).status is Status.STOPPING
    with pytest.raises(tracking.WrongStateError):
        tracking.request(run._database, run.id or 0, Command.RESUME)


def test_runs_shows_its_settings_and_no_recipe(run: WatchedRun) -> None:
    app = open_page("runs", run=str(run.id))
    headings = [heading.value for heading in app.header]
    assert "Settings" in headings
    assert "Recipe" not in headings
    assert "watched, " in " ".join(element.value for element in app.markdown)
    assert not [button for button in labels(app) if "Clone" in button]


def test_diagnose_shows_the_fix_as_code_and_offers_no_recipe(run: WatchedRun) -> None:
    app = open_page("diagnose", run=str(run.id))
    assert "optimizer.zero_grad() is missing" in html(app)
    assert any("optimizer.zero_grad()" in code.value for code in app.code)
    assert not {"Apply and run", "Stop it, apply and run", "Probe"} & set(labels(app))


@pytest.fixture(scope="module")
def tuned(run: WatchedRun) -> WatchedRun:
    """A run with a frozen layer, and a slower one below the last."""
    model = Net()
    model.conv.requires_grad_(False)
    groups: list[dict[str, Any]] = [
        {"params": model.norm.parameters(), "lr": 0.005},
        {"params": model.head.parameters()},
    ]
    watched = loop(run._database, model=model, make=lambda m: torch.optim.SGD(groups, 0.05), epochs=1)
    watched.finish()
    return watched


def test_frozen_layers_and_slower_ones_are_marked(tuned: WatchedRun) -> None:
    app = open_page("train", run=str(tuned.id))
    table = html(app)
    for line in (
        '<th scope="row">conv</th><td>Conv2d</td><td>6×6×6</td><td class="number">60</td>'
        '<td class="number">frozen</td>',
        '<td class="number">× 0.1</td>',
        "1 of 3 layers with weights are frozen: 60 of 723 parameters keep their first values. "
        "Parts of the learning rate: × 0.1, × 1.",
    ):
        assert line in table


def test_its_recipe_cannot_be_cloned_by_an_address(run: WatchedRun) -> None:
    app = open_page("train", parent=str(run.id))
    text = " ".join(element.value for kind in (app.info, app.warning, app.markdown) for element in kind)
    assert f"The recipe of run “{run.id}” cannot be had" in text or "cannot be had" in text


def test_an_imported_run_announces_no_confusion_matrix(tmp_path: Path) -> None:
    history = tmp_path / "history.csv"
    history.write_text("step,loss,accuracy\n1,2.3,0.1\n2,1.9,0.3\n", encoding="utf-8")
    with tracking.connect() as database:
        number = import_history(database, history).run_id
    app = open_page("train", run=str(number))
    captions = [caption.value for caption in app.caption]
    assert any(text.startswith("No confusion matrix was recorded") for text in captions)
    assert not any("comes with the end of the first epoch" in text for text in captions)
