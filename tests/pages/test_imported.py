"""An imported history on the pages: what its file holds, and nothing that cannot be known or done."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from cnnviz import tracking
from cnnviz.figures.report.run import html_report
from cnnviz.tracking.import_history import import_history
from cnnviz.training import Recipe
from cnnviz.training.queue import enqueue
from cnnviz.ui.pages.runs.comparison import difference_lines
from tests.pages.runner import figures, html, links, open_page, said
from tests.tracking.event_files import event
from tests.tracking.event_files import write as write_events

LIGHTNING = """epoch,lr-SGD,step,train_acc,train_loss_epoch,train_loss_step,val_acc,val_loss
0,,9,,,2.30,,
0,,19,,,,0.30,2.10
0,,19,0.25,2.20,,,
1,,29,,,1.50,,
1,,39,,,,0.55,1.40
1,,39,0.60,1.30,,,
"""
KERAS = """epoch,accuracy,learning_rate,loss,val_accuracy,val_loss
0,0.31,0.001,2.1,0.29,2.0
1,0.62,0.001,1.2,0.55,1.3
2,0.81,0.001,0.6,0.58,1.5
"""
BARE = "step,loss\n1,2.3\n2,2.2\n3,2.1\n"
FORMS = ("tensorboard", "lightning", "keras", "bare")
EPOCHS = ("lightning", "keras")
"""Histories that count epochs."""


def write(folder: Path, form: str) -> Path:
    """Write a history as one of the four programs does."""
    if form == "tensorboard":
        names = {"Loss/train": 2.0, "Accuracy/train": 0.3, "Accuracy/val": 0.25, "lr": 0.1}
        events = [event(step, name, value / (1 + step)) for step in range(3) for name, value in names.items()]
        return write_events(folder / "events.out.tfevents.1.host", events)
    path = folder / f"{form}.csv"
    path.write_text({"lightning": LIGHTNING, "keras": KERAS, "bare": BARE}[form], encoding="utf-8")
    return path


@pytest.fixture(params=[(form, classes) for form in FORMS for classes in (None, 10)], ids=str)
def imported(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """The form of a history, and the number of its run; with and without its number of classes."""
    form, classes = request.param
    with tracking.connect() as database:
        return form, str(import_history(database, write(tmp_path, form), classes=classes).run_id)


def labels(app: Any) -> set[str]:
    return {button.label for button in app.button}


def axes(app: Any, key: str) -> list[str]:
    return [option for group in app.button_group if group.key == key for option in group.options]


def traces(app: Any, figure: str) -> set[str]:
    return {trace["name"] for trace in figures(app)[figure]["data"] if trace.get("name")}


def test_train_shows_its_curves_and_offers_nothing_that_cannot_be(imported: tuple[str, str]) -> None:
    form, number = imported
    app = open_page("train", run=number)
    about = html(app)
    assert "a history, imported from a file" in about
    assert "not known on not known" not in about
    assert "in training" not in about, "the time of the import is none of training"
    assert ", cpu" not in about
    assert not {"Pause", "Resume", "Stop", "Clone run"} & labels(app)
    assert not {"See its feature maps", "Clone run"} & set(links(app))
    assert axes(app, "train-x") == (["step", "epoch"] if form in EPOCHS else [])
    assert "train" in traces(app, "train-curves")
    assert ("epochs" in about) == (form in EPOCHS)
    assert ("validation accuracy" in about) == (form != "bare")
    assert "An imported history has curves alone" in said(app)
    assert "The first look at the layers" not in said(app)
    costs = figures(app).get("train-costs")
    assert (costs is None) == (form in ("lightning", "bare")), "no rate was recorded"
    assert costs is None or "images / s" not in str(costs["layout"])


def test_runs_says_what_is_known_and_invents_nothing(imported: tuple[str, str]) -> None:
    _, number = imported
    app = open_page("runs", run=number)
    text = html(app)
    assert "<b>—</b>" not in text, "what is not known is left out"
    assert "in training" not in text
    assert "images a second" not in text
    assert "<td>cpu" not in text
    assert "nothing is known of its settings" in said(app)
    assert not {"See its feature maps", "Clone run"} & set(links(app))
    assert traces(app, f"own-{number}") >= {"training"}
    assert not {label for label in labels(app) if "Weights" in label or "PyTorch" in label}
    listed = open_page("runs", runs=number)
    assert "same recipe, same data" not in said(listed)
    assert "Tick a second run" in said(listed), "of one run nothing differs, known or not"
    assert "Imported histories have no confusion matrix." in said(listed)


def test_diagnose_draws_its_curves_over_what_it_counts(imported: tuple[str, str]) -> None:
    form, number = imported
    app = open_page("diagnose", run=number)
    figure = figures(app)[f"diagnose-curves-{number}"]
    assert ("over epoch" in figure["alt"] or "epoch" in str(figure["layout"])) == (form in EPOCHS)
    assert figure["data"][0]["line"].get("dash") in (None, "solid"), "training is drawn"
    assert not {"Apply and run", "Probe"} & labels(app)


def test_pages_of_weights_say_that_it_has_none(imported: tuple[str, str]) -> None:
    _, number = imported
    for page in ("features", "predict"):
        app = open_page(page, run=number)
        assert f"Run {number} is an imported history: it has curves and no weights." in said(app), page


def test_no_run_begins_with_it(imported: tuple[str, str]) -> None:
    _, number = imported
    app = open_page("train", model="lenet5", **{"set.start_from": f"run:{number}"})
    assert f"Run {number} was not trained here: it has no weights to begin with." in said(app)
    with tracking.connect() as database, pytest.raises(ValueError, match="was not trained here"):
        enqueue(database, Recipe(start_from=f"run:{number}"))


def test_its_report_and_its_line_hold_no_time_of_training(imported: tuple[str, str]) -> None:
    from cnnviz.ui.pages.runs.page import to_csv

    form, _ = imported
    with tracking.connect() as database:
        (run,) = tracking.list_runs(database)
        document = html_report(database, run.id)
    assert "a history, imported from a file" in document
    assert [part for part in ("in training", ">cpu<", ">seed<") if part in document] == []
    assert ("epochs of" in document) == (form in EPOCHS)
    assert 'class="key train"' in document
    (line,) = csv.DictReader(io.StringIO(to_csv([run], "val/accuracy", {})))
    assert [value for name, value in line.items() if "second" in name and "image" not in name] == [""]
    assert line["name"] == run.name


def test_beside_a_run_of_ours_nothing_is_made_up(imported: tuple[str, str]) -> None:
    _, number = imported
    with tracking.connect() as database:
        ours = [enqueue(database, Recipe(dataset="digits", trunk_lr=rate)).id for rate in (1.0, 0.5)]
        runs = [tracking.get_run(database, one) for one in (int(number), *ours)]
    lines = {line.title: list(line.values) for line in difference_lines(runs)}
    assert lines == {"trunk lr": ["—", "1", "0.5"]}
    app = open_page("runs", runs=f"{number},{ours[0]}")
    assert f"Not known of imported histories (run {number})" in said(app)
    assert "same recipe" not in said(app)
