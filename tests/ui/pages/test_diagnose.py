"""What the page Diagnose says of recipes and of runs beside one another."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cnnviz.diagnosis.fixes import add_batch_norm
from cnnviz.experiments.presets import thin_alexnet
from cnnviz.training import Recipe
from cnnviz.ui.pages.diagnose import comparison as page
from cnnviz.ui.pages.diagnose.comparison import Side, draw_comparison, improvement_text
from cnnviz.ui.pages.diagnose.state import PageState, in_rows, in_words, read


def side(name: str, accuracy: float | None, **recipe: float) -> Side:
    curve = np.array([] if accuracy is None else [0.1, accuracy], np.float64)
    return Side(name, "finished", {"test/accuracy": (np.arange(float(len(curve))), curve)}, Recipe(**recipe))


def test_settings_that_differ_are_told_with_both_values() -> None:
    old, new = Recipe(lr=0.5), Recipe(lr=0.05, scale="unit")
    assert in_words(old, new) == "learning rate 0.5 → 0.05, scale standardized → unit"
    assert in_rows(old, new).count("<tr>") == 2
    assert in_words(old, old) == ""


def test_of_options_only_those_that_differ_are_told() -> None:
    old = Recipe(options={"activation": "relu", "init": "article"})
    new = Recipe(options={"activation": "relu", "init": "he"})
    assert in_words(old, new) == "init article → he"
    assert in_rows(old, new).count("<td>article</td><td>→</td><td><b>he</b></td>") == 1


def test_of_a_layer_list_it_is_told_which_layers_change() -> None:
    old = Recipe(layers=thin_alexnet())
    change = add_batch_norm(old)
    assert change is not None
    words = in_words(old, change.recipe(old))
    assert words == "layers batch_norm1, batch_norm2, batch_norm3 and 4 more added"
    assert 'colspan="3">batch_norm' in in_rows(old, change.recipe(old))


def test_the_best_of_the_others_is_named_with_what_it_changed() -> None:
    mine = side("Run 1", 0.1, lr=0.5)
    others = [side("Run 2", 0.3, lr=0.2), side("Run 3", 0.9, lr=0.05), side("Run 4", None)]
    assert improvement_text(mine, others) == (
        "Run 3 reaches 90.00 %, Run 1 10.00 %. What differs: learning rate 0.5 → 0.05."
    )


def test_a_run_that_ships_is_named_in_quotes_since_its_name_has_commas() -> None:
    mine, other = (replace(side(f"X, {n}", n / 10), recorded=f"x{n}") for n in (1, 9))
    assert improvement_text(mine, [other]).startswith(
        "“X, 9” reaches 90.00 %, “X, 1” 10.00 %. What differs: "
    )


@pytest.mark.parametrize(
    ("losses", "kind"), [([2.3, 8e7, 2.4, 2.3], "log"), ([2.3, 7.0, 2.0, 0.3], None), ([np.nan], None)]
)
def test_a_spike_does_not_take_the_axis_for_itself(
    monkeypatch: pytest.MonkeyPatch, losses: list[float], kind: str | None
) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(page, "plot", lambda figure, **_: drawn.append(figure))
    x, y = np.arange(float(len(losses))), np.array(losses, np.float64)
    draw_comparison(Side("Run 1", "finished", {"train/loss": (x, y)}, Recipe(), recorded="x"), [])
    assert drawn[0]["layout"]["yaxis"]["type"] == kind


@pytest.mark.parametrize(("mine", "other"), [(0.9, 0.5), (0.5, 0.5), (0.5, None)])
def test_nothing_is_said_where_none_is_better(mine: float, other: float | None) -> None:
    assert improvement_text(side("Run 1", mine), [side("Run 2", other)]) == ""


def test_a_run_that_never_got_to_an_accuracy_has_none_beside_the_other() -> None:
    assert improvement_text(side("Run 1", None), [side("Run 2", 0.5)]).startswith("Run 2 reaches 50.00 %. ")


def test_a_run_of_the_database_is_asked_for_by_its_number() -> None:
    assert read({"run": "7"}, []) == PageState(run=7)
    assert read({}, []) == PageState()
    assert read({"run": "-1"}, []).problems == ("“run” is the number of a run, not “-1”.",)
