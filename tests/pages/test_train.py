"""The page Train, run without a browser: every state of a run, and a plan that loses nothing."""

import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from cnnviz import models, tracking
from cnnviz.models import layer_list_edit, url_codec
from cnnviz.tracking import Command, Database, MetricWriter, RunFacts, Status
from cnnviz.tracking.queue import Machine, register_machine
from cnnviz.tracking.records import SUBMITTED, ray_handle
from cnnviz.training import Recipe, all_recipes
from cnnviz.training.rate_finder import RateTest
from cnnviz.ui.pages.train.charts import published_accuracy
from cnnviz.ui.pages.train.jobs import KEY
from cnnviz.ui.pages.train.page import TICK_SECONDS
from cnnviz.ui.shared.runs.fine_tuning import FIELDS
from cnnviz.ui.shared.runs.recipe_fields import SETTINGS, groups
from tests.pages.runner import assert_sound, figures, links, open_page
from tests.tracking.making import HOST, bring_to, claim, create

FIXED = "article-lenet5-mnist"


@pytest.fixture
def runs() -> Iterator[Database]:
    """The run database that the page reads."""
    with tracking.connect() as database:
        yield database


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds after which a part of the page that was drawn is drawn again by itself."""
    result: list[float] = []
    real = st.fragment

    def noted(*args: Any, **settings: Any) -> Any:
        result.extend([settings["run_every"]] if settings.get("run_every") is not None else [])
        return real(*args, **settings)

    monkeypatch.setattr(st, "fragment", noted)
    return result


def html(app: AppTest) -> str:
    return " ".join(element.proto.body for element in app.get("html"))


def said(app: AppTest) -> str:
    elements = [*app.warning, *app.info, *app.caption, *app.error, *app.markdown, *app.header]
    return " ".join(element.value.replace("\\", "") for element in elements)


def open_settings(**query: str) -> AppTest:
    """The page with "All settings" opened."""
    app = open_page("train", **query)
    assert "train-set-batch_size" not in {one.key for one in app.text_input}, "closed at first"
    app.session_state[SETTINGS] = True
    assert_sound(app.run())
    return app


def trained(database: Database, status: Status = Status.RUNNING, error: str | None = None) -> int:
    """A run with everything that a worker tells, in one of the states behind the start."""
    create(database)
    lease = claim(database)
    tracking.begin(database, lease, facts=RunFacts(total_steps=100, total_epochs=2, hardware="a processor"))
    with MetricWriter(database, lease) as writer:
        for step in range(1, 51):
            values = {"train/loss": 2 / step, "train/accuracy": 1 - 1 / step, "images_per_second": 812.0}
            values["train/aux1_loss"] = 3 / step
            writer.log_all(values, step, step / 50)
        writer.log_all({"test/loss": 0.2, "test/accuracy": 0.875, "val/accuracy": 0.9}, 50, 1.0)
        writer.record("test/confusion", [[7, 1], [2, 6]], 50, 1.0)
        layers = [{"name": "conv1", "zeros": 0.5, "dead": None, "gradient": 0.1, "update": 1e-3, "spread": 1}]
        writer.record("layers", layers, 50, 1.0)
        facts = {
            "classes": ["cat", "dog"],
            "train": 9,
            "validation": 1,
            "test": 16,
            "notes": ["Cut by seed."],
        }
        writer.record("data", facts, 0, 0.0)
        writer.record("fixed_images", [{"index": 3, "label": 0, "png": "AAAA"}], 0, 0.0)
        writer.record("fixed_predictions", [{"index": 3, "top": [[1, 0.75], [0, 0.25]]}], 50, 1.0)
    if status is not Status.RUNNING:
        tracking.end(database, lease, status, error, "line one\nline two" if error else None)
    return lease.run_id


def test_before_anything_ran_a_recorded_run_is_shown_and_called_so(ticking: list[float]) -> None:
    app = open_page("train")
    assert "How it will look: a recorded run" in [one.value for one in app.header]
    assert "A finished run of LeNet-5 on Digits" in said(app)
    drawn = figures(app)
    assert {"train-curves", "train-confusion", "train-heat"} <= set(drawn)
    assert "accuracy: train" in drawn["train-curves"]["alt"]
    assert not ticking, "nothing runs, so nothing ticks"
    assert not app.warning


def test_a_torch_that_another_thread_still_imports_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    half = ModuleType("torch")
    half.__spec__ = SimpleNamespace(_initializing=True)  # type: ignore[assignment]
    monkeypatch.setitem(sys.modules, "torch", half)
    app = open_settings()
    assert app.selectbox(key="train-set-device").options == ["auto", "cpu", "gpu"]


def test_later_the_last_run_is_shown_instead(runs: Database, ticking: list[float]) -> None:
    run = trained(runs, Status.FINISHED)
    app = open_page("train")
    assert f"Last run: {run} · lenet5 on digits" in [one.value for one in app.header]
    assert not ticking
    app.button(key="train-last").click().run()
    assert app.query_params["run"] == str(run)


def test_a_run_that_goes_on_shows_everything_it_told(runs: Database, ticking: list[float]) -> None:
    run = trained(runs)
    app = open_page("train", run=str(run))
    assert set(ticking) == {TICK_SECONDS}
    assert ticking
    for part in (">running<", "50 of 100", "87.50 %", "812"):
        assert part in html(app)
    drawn = figures(app)
    curve = drawn["train-curves"]["data"][0]
    assert len(curve["x"]) == 50
    assert [trace["name"] for trace in drawn["train-curves"]["data"]][:3] == ["train", "validation", "test"]
    assert "auxiliary 1 0.06" in drawn["train-curves"]["alt"]
    assert drawn["train-confusion"]["data"][0]["customdata"] == [[7, 1], [2, 6]]
    assert drawn["train-heat"]["data"][0]["z"] == [[0.5]]
    assert "class='wrong' title=\"cat, predicted: dog 75 %, cat 25 %\"" in html(app)
    assert "published: 98.25 % on MNIST" in drawn["train-curves"]["layout"]["annotations"][0]["text"]
    assert "What differs: Digits instead of MNIST" in said(app)
    assert "Images: 9 for train, 1 for validation, 16 for test. Cut by seed." in said(app)


def test_what_differs_from_a_published_run_is_said_in_words() -> None:
    published = published_accuracy(all_recipes()["fast-small-alexnet-cifar10"])
    assert published is not None
    assert "options init he instead of default; epochs 14 instead of 50" in published.differs


@pytest.mark.parametrize("status", list(Status))
def test_every_state_has_its_buttons_and_only_what_can_change_ticks(
    runs: Database, ticking: list[float], status: Status
) -> None:
    run = bring_to(runs, status)
    app = open_page("train", run=str(run))
    assert f">{status}<" in html(app)
    keys = {button.key for button in app.button}
    assert ("run-pause" in keys) == (status in (Status.QUEUED, Status.STARTING, Status.RUNNING))
    assert ("run-resume" in keys) == (status in tracking.RESUMABLE)
    assert {"run-fork", "run-new"} <= keys
    inside = links(app).get("See its feature maps", {})
    assert inside.get("weights") == (f"run:{run}" if status is Status.FINISHED else None)
    assert bool(ticking) == (status in tracking.ACTIVE or status is Status.QUEUED)


def test_a_failed_run_says_why_and_shows_the_last_lines(runs: Database) -> None:
    run = trained(runs, Status.FAILED, "The loss was no longer a finite number at step 51.")
    app = open_page("train", run=str(run))
    assert [one.value.replace("\\", "") for one in app.error] == [
        "The loss was no longer a finite number at step 51."
    ]
    assert "line one\nline two" in [block.value for block in app.code]
    assert "was no longer a finite number" in html(app), "the history gives the reason too"
    assert "test accuracy" in html(app), "what it learned before is still there"
    assert "Find out why; then resume it, or" in said(app)
    assert app.button(key="run-resume").proto.type == "secondary", "what failed would fail again"


def test_a_model_whose_outputs_are_no_numbers_is_shown(runs: Database) -> None:
    run = trained(runs)
    lease = tracking.get_run(runs, run).lease
    with MetricWriter(runs, lease) as writer:
        writer.log("train/loss", float("nan"), 51, 1.1)
        writer.record("fixed_predictions", [{"index": 3, "top": [[0, None], [1, None]]}], 51, 1.1)
    app = open_page("train", run=str(run))
    assert "cat, predicted: cat NaN, dog NaN" in html(app)


def test_a_run_behind_others_says_behind_which(runs: Database) -> None:
    first, second = bring_to(runs, Status.RUNNING), create(runs).id
    assert f"behind run {first}" in html(open_page("train", run=str(second)))


def test_a_queue_that_a_class_has_left_frozen_is_said_and_let_go(runs: Database) -> None:
    """The teacher's own app has no page of the class, and its runs would wait for nothing that it shows."""
    run = create(runs).id
    assert not any(button.key == "train-thaw" for button in open_page("train").button)
    tracking.freeze_queue(runs, True)
    assert "the queue is frozen" in html(open_page("train", run=str(run)))
    app = open_page("train")
    assert "The queue is frozen" in said(app)
    app.button(key="train-thaw").click().run()
    assert_sound(app)
    assert not tracking.queue_frozen(runs)
    assert "The queue is frozen" not in said(app)


def test_pause_and_resume_go_through_the_database(runs: Database) -> None:
    run = trained(runs)
    app = open_page("train", run=str(run))
    app.button(key="run-pause").click().run()
    assert_sound(app)
    assert tracking.pending(runs, run) is Command.PAUSE
    assert "asked to pause" in said(app)
    tracking.end(runs, tracking.get_run(runs, run).lease, Status.PAUSED)
    app.run()
    app.button(key="run-resume").click().run()
    assert tracking.get_run(runs, run).status is Status.QUEUED
    app.button(key="run-stop").click().run()
    assert tracking.get_run(runs, run).status is Status.STOPPED


def test_start_puts_the_plan_into_the_queue_and_goes_to_its_run(runs: Database) -> None:
    app = open_page("train", **{"set.epochs": "3", "set.device": "cpu"})
    app.button(key="train-start").click().run()
    assert_sound(app)
    (run,) = tracking.list_runs(runs)
    assert app.query_params["run"] == str(run.id)
    assert tracking.get_run(runs, run.id).recipe["epochs"] == 3
    assert (run.status, run.model, run.dataset) == (Status.QUEUED, "lenet5", "digits")


def test_a_fork_opens_the_recipe_of_its_parent_and_records_it(runs: Database) -> None:
    parent = trained(runs, Status.FINISHED)
    app = open_page("train", run=str(parent), **{"set.epochs": "99", "option.activation": "tanh"})
    app.button(key="run-fork").click().run()
    assert_sound(app)
    assert app.query_params["parent"] == str(parent)
    assert app.text_input(key="train-set-epochs").value == "2"
    app.text_input(key="train-set-epochs").set_value("7").run()
    assert "1 change" in [one.value for one in app.caption]
    app.button(key="train-start").click().run()
    child = tracking.list_runs(runs)[0]
    assert (child.parent_id, tracking.get_run(runs, child.id).recipe["epochs"]) == (parent, 7)


def test_what_differs_from_the_recipe_is_marked_and_can_be_taken_back() -> None:
    app = open_settings(recipe=FIXED, model="lenet5")
    assert app.text_input(key="train-set-epochs").value == "20"
    assert "assumed" in [one.value for one in app.caption]
    app.text_input(key="train-set-epochs").set_value("5").run()
    assert app.query_params["set.epochs"] == "5"
    assert "recipe: 20" in [one.value for one in app.caption]
    app.text_input(key="train-set-epochs").set_value("20").run()
    assert "set.epochs" not in app.query_params
    app.text_input(key="train-set-lr").set_value("0.5").run()
    app.button(key="train-reset").click().run()
    assert_sound(app)
    assert "set.lr" not in app.query_params
    assert app.text_input(key="train-set-lr").value == "0.1"


@pytest.mark.parametrize(
    ("field", "typed", "sentence"),
    [
        ("epochs", "many", "Epochs cannot be 'many', only a whole number from 1 to 100,000."),
        ("lr", "-1", "Learning rate cannot be '-1', only a number above 0 and up to 1,000."),
        ("weight_decay", "0,5", "Weight decay cannot be '0,5', only a number from 0 to 10."),
        ("limit", "all", "Training images cannot be 'all', only a whole number from 1 on, or none."),
        ("seed", "1" * 25, "only a whole number from 0 to below 2^63."),
        ("warmup_epochs", "99", "Warm-up takes"),
    ],
)  # fmt: skip
def test_what_cannot_be_gets_a_sentence_and_loses_nothing(field: str, typed: str, sentence: str) -> None:
    app = open_settings(**{"set.batch_size": "64"})
    app.text_input(key=f"train-set-{field}").set_value(typed).run()
    assert_sound(app)
    assert sentence in said(app)
    assert app.text_input(key=f"train-set-{field}").value == typed
    assert app.text_input(key="train-set-batch_size").value == "64"
    assert app.button(key="train-start").disabled
    alone = "only" in sentence
    assert alone == any(one.value.startswith("only a") for one in app.caption), "said at the field too"


def test_a_changed_setting_keeps_its_name() -> None:
    """A screen reader reads the label as it is written; Markdown in it would be read out."""
    app = open_settings(**{"set.batch_size": "64", "set.optimiser": "adam", "set.trunk_lr": "0.5"})
    named = [one.label for one in [*app.text_input, *app.selectbox]]
    assert "Batch size" in named
    assert not [label for label in named if "*" in label or ":material" in label]


def test_a_combination_that_cannot_be_gets_a_sentence() -> None:
    app = open_settings(**{"set.schedule": "plateau", "set.validation": "0"})
    assert "A plateau is seen on validation images" in said(app)
    assert app.selectbox(key="train-set-schedule").value == "plateau"
    app = open_settings(**{"set.crop_from": "40", "set.pad_crop": "2"})
    assert "Crop from and Pad crop are two ways to crop: give one of them." in said(app)


def test_every_setting_is_there_and_explained() -> None:
    app = open_settings(**{"set.freeze_until": "conv1"})
    widgets = {one.key: one for one in [*app.text_input, *app.selectbox]}
    named = {name for names in groups().values() for name in names} | set(FIELDS)
    assert "More" not in groups(), "a new setting belongs into one of the groups"
    for name in named:
        assert widgets[f"train-set-{name}"].help.rstrip().endswith("."), name


@pytest.mark.parametrize("name", all_recipes())
def test_every_named_recipe_opens(name: str) -> None:
    recipe = all_recipes()[name]
    app = open_page("train", recipe=name, model=recipe.model)
    assert name in app.selectbox(key="train-recipe").options
    assert app.selectbox(key="train-data").value == recipe.dataset
    assert not app.button(key="train-start").disabled
    assert not app.warning


def test_start_offers_the_default_of_the_model_on_data_that_are_here() -> None:
    app = open_page("train", model="lenet5")
    assert app.selectbox(key="train-recipe").value == "default-lenet5-digits"
    assert app.selectbox(key="train-data").value == "digits"
    first = app.selectbox(key="train-recipe").options[0]
    assert all_recipes()[first].model == "lenet5", "this model's come first"
    assert open_page("train").selectbox(key="train-recipe").value == "default-lenet5-digits"
    generic = open_page("train", model="resnet18-32", dataset="shapes")
    assert generic.selectbox(key="train-recipe").value == "default"
    assert not generic.button(key="train-start").disabled
    assert not generic.warning


def test_a_change_is_written_with_the_recipe_that_it_changes() -> None:
    app = open_page("train", model="lenet5")
    app.text_input(key="train-set-epochs").set_value("7").run()
    assert_sound(app)
    assert app.query_params == {
        "model": "lenet5", "set.epochs": "7", "recipe": "default-lenet5-digits"
    }  # fmt: skip
    app.selectbox(key="train-data").set_value("shapes").run()
    assert_sound(app)
    assert app.query_params["recipe"] == "default", "other data have another default, and the change stays"
    assert app.text_input(key="train-set-epochs").value == "7"


def test_an_address_from_before_the_defaults_means_what_it_meant() -> None:
    """Then a model's recipe was a fast one, and without a model every field had its default."""
    app = open_page("train", model="lenet5", **{"set.epochs": "5"})
    assert app.selectbox(key="train-recipe").value == "fast-lenet5-mnist"
    assert app.text_input(key="train-set-lr").value == "0.08"
    app = open_page("train", **{"set.epochs": "5"})
    assert app.selectbox(key="train-recipe").value == "plain"
    assert app.text_input(key="train-set-lr").value == "0.05"


def test_data_that_are_not_here_can_be_exchanged_with_a_click() -> None:
    app = open_page("train", model="lenet5", dataset="mnist")
    assert app.selectbox(key="train-recipe").value == "fast-lenet5-mnist"
    app.button(key="train-offline-data").click().run()
    assert_sound(app)
    assert app.selectbox(key="train-data").value == "digits"
    assert app.selectbox(key="train-recipe").value == "default-lenet5-digits"


def test_choosing_another_recipe_takes_its_model_and_data_along() -> None:
    app = open_page("train", **{"set.epochs": "3"})
    app.selectbox(key="train-recipe").set_value(FIXED).run()
    assert_sound(app)
    assert app.query_params == {"recipe": FIXED, "model": "lenet5"}
    assert app.selectbox(key="train-data").value == "mnist"


def test_a_model_comes_with_its_own_recipe_and_its_options() -> None:
    app = open_settings(model="alexnet", **{"option.towers": "2"})
    assert app.selectbox(key="train-model").value == "alexnet"
    assert app.selectbox(key="train-option-towers").value == "2"
    app.selectbox(key="train-option-towers").set_value("1").run()
    assert_sound(app)
    assert not [name for name in app.query_params if "option" in name], "one tower is what the recipe has"


def test_the_queue_can_be_reordered_and_cleared(runs: Database) -> None:
    first, second, third = bring_to(runs, Status.RUNNING), create(runs).id, create(runs).id
    app = open_page("train")
    assert "Queue" in [one.value for one in app.header]
    app.button(key=f"train-first-{third}").click().run()
    app.button(key=f"train-remove-{second}").click().run()
    assert_sound(app)
    assert tracking.get_run(runs, second).status is Status.STOPPED
    tracking.end(runs, tracking.get_run(runs, first).lease, Status.STOPPED)
    lease = tracking.claim(runs, "cpu", HOST)
    assert lease is not None
    assert lease.run_id == third


def test_a_run_that_no_machine_can_take_waits_and_says_why(runs: Database) -> None:
    register_machine(runs, Machine("a" * 12, "web", "LocalLauncher", ("cpu",)))
    waits = create(runs, "gpu:4").id
    app = open_page("train")
    assert_sound(app)
    captions = " ".join(one.value for one in app.caption).replace("\\", "")
    assert "At work: web: CPU." in captions
    assert (
        "No machine that is there has what it asks for (gpu:4), so it waits. There are: web: CPU." in captions
    )
    app = open_page("train", run=str(waits))
    assert_sound(app)
    assert any("No machine that is there has what it asks for" in one.proto.body for one in app.get("html"))


def test_a_run_that_waits_for_room_on_several_nodes_says_for_how_many_processes(runs: Database) -> None:
    run = create(runs, "gpu:2")
    lease = tracking.claim(runs, "cuda:0,cuda:1", "ray 10.0.0.1:6379", classes=["gpu:2"])
    assert lease is not None
    tracking.attach(runs, lease, worker=ray_handle("an actor", SUBMITTED) | {"actors": 2})
    app = open_page("train", run=str(run.id))
    assert_sound(app)
    waits = "submitted to the cluster, waits for room for 2 processes on several nodes"
    assert any(waits in one.proto.body for one in app.get("html"))


@pytest.mark.parametrize(
    ("asked", "sentence"), [("99", "There is no run “99”"), ("x", "is the number of a run")]
)
def test_a_run_that_is_not_there_is_said(asked: str, sentence: str) -> None:
    app = open_page("train", run=asked)
    assert sentence in said(app)
    assert not app.button(key="train-start").disabled


def test_data_that_have_to_be_fetched_are_said_before_the_start() -> None:
    assert "MNIST is not on this machine" in said(open_page("train", recipe=FIXED))
    assert "not on this machine" not in said(open_page("train"))


def test_without_a_database_the_plan_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNVIZ_DATABASE_URL", "postgresql+psycopg://nobody@localhost:1/none")
    app = open_page("train", **{"set.epochs": "3"}, run="1")
    assert "Runs cannot be used now" in said(app)
    assert app.text_input(key="train-set-epochs").value == "3"
    app.button(key="train-start").click().run()
    assert_sound(app)
    assert app.query_params["set.epochs"] == "3"


def test_wrong_choices_in_the_url_are_said() -> None:
    app = open_page("train", recipe="artcle-lenet5-mnist", x="years", **{"set.colour": "blue"})
    assert "did you mean article-lenet5-mnist" in said(app)
    assert "A recipe has no setting “colour”" in said(app)
    assert "“x” cannot be “years”" in said(app)


def test_architecture_leads_here_with_its_model() -> None:
    app = open_page("architecture", model="small-alexnet", run="3", recipe=FIXED)
    (link,) = [one.proto for one in app.get("page_link") if one.proto.label == "Train it"]
    assert link.query_string == "model=small-alexnet"


def test_a_recipe_file_is_taken_up_as_changes() -> None:
    from cnnviz.ui.shared.runs import recipe_plan as plans

    wanted = Recipe(name="mine", dataset="shapes", model="lenet5", epochs=4, flip="random", limit=100)
    app = open_page("train")
    script = (
        "from cnnviz.ui.shared.runs import recipe_plan; import streamlit as st; "
        "recipe_plan.open_recipe(st.session_state.file)"
    )
    assert plans.text_of(None) == "none"
    opened = AppTest.from_string(script + "; st.text(recipe_plan.read().recipe.write())")
    opened.session_state["file"] = wanted.write().encode()
    opened.run()
    assert not opened.exception
    result = Recipe.read(opened.text[0].value)
    assert not result.difference(wanted)
    assert app.title


def test_a_structural_fault_is_said_before_the_start_and_does_not_prevent_it(runs: Database) -> None:
    sound = models.layer_list("lenet5")
    assert sound is not None
    squashed = layer_list_edit.add(sound, len(sound.layers), layer_list_edit.new_layer("softmax"))
    app = open_page("train", list=url_codec.encode(squashed))
    text = app.error[0].value.replace("\\", "")
    assert "Activation on the outputs" in text
    assert not app.button(key="train-start").disabled
    assert not open_page("train", model="lenet5").error


def test_images_too_small_for_training_are_said_before_the_start(runs: Database) -> None:
    app = open_page("train", model="torchvision/inception_v3", dataset="shapes", size="75")
    assert "299×299" in said(app)
    app.button(key="train-start").click().run()
    assert_sound(app)
    assert tracking.list_runs(runs) == []


def test_a_rate_is_found_shown_and_used(monkeypatch: pytest.MonkeyPatch) -> None:
    result = RateTest((1e-4, 1e-3, 1e-2, 0.1), (2.3, 2.0, 0.5, 4.0), (2.3, 2.1, 1.2, 1.5), 1e-3, 1.0)
    recipes: list[Recipe] = []

    def tried(recipe: Recipe, database: Any, report: Any) -> RateTest:
        recipes.append(recipe)
        return result

    monkeypatch.setattr("cnnviz.ui.pages.train.jobs._work", tried)
    app = open_page("train", dataset="digits")
    app.button(key="train-find-rate").click().run()
    app.session_state[KEY].wait(10)
    app.run()
    assert_sound(app)
    assert recipes[0].dataset == "digits"
    assert "suggested is 0.001" in figures(app)["train-rate-figure"]["alt"]
    assert "At a rate of 0.01 the smoothed loss had made 90 % of its fall" in said(app)
    app.button(key="train-rate-use").click().run()
    assert app.query_params["set.lr"] == "0.001"
    assert app.button(key="train-rate-use").disabled
    assert "train-rate-figure" in figures(app), "it is still this plan's: only its rate is another"
    app.button(key="train-rate-close").click().run()
    assert not app.button(key="train-find-rate").disabled


def test_a_rate_that_cannot_be_sought_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(recipe: Recipe, database: Any, report: Any) -> RateTest:
        raise ValueError("A step takes 9 s here.")

    monkeypatch.setattr("cnnviz.ui.pages.train.jobs._work", refused)
    app = open_page("train", dataset="digits")
    app.button(key="train-find-rate").click().run()
    app.session_state[KEY].wait(10)
    app.run()
    assert "A step takes 9 s here." in said(app)
    assert not app.exception


def test_why_a_run_ended_early_stands_at_its_line(runs: Database) -> None:
    run = trained(runs)
    note = "Early stopping ended the run after epoch 1: for 1 epoch the validation loss was not lower."
    tracking.end(runs, tracking.get_run(runs, run).lease, Status.FINISHED, note=note)
    assert note in said(open_page("train", run=str(run)))


def test_with_early_stopping_the_estimate_is_the_most_that_it_takes() -> None:
    assert "to train, at most" in html(open_page("train", **{"recipe": "plain", "set.early_stopping": "3"}))
