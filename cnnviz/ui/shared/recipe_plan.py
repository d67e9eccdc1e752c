"""What is about to be trained, as the URL has it: a recipe to start from and what was changed in it.

`recipe` names the recipe, `parent` a run whose recipe it is; `model`, `dataset`, `option.*` and `set.FIELD`
say what differs. Values stand there as they were typed: what cannot be is said and kept until it is fixed.

Where no recipe is named it is the default of the model and the data (`training.recipes.defaults`). What is
changed (`set.FIELD`) is written together with the recipe that it changes, so that a link goes on meaning what
it meant when another default is chosen; addresses with changes alone are from before there were such
defaults, and mean changes of the recipe that was offered then.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import streamlit as st

from cnnviz import datasets, models, tracking, training
from cnnviz.experiments import Experiment
from cnnviz.experiments.experiment import pack
from cnnviz.figures import numbers
from cnnviz.models import url_codec
from cnnviz.tracking import Database
from cnnviz.training import Recipe
from cnnviz.training.estimate import Estimate, estimate, structural_problems
from cnnviz.training.recipe import require_registered, spec_for, unregistered_text
from cnnviz.training.recipes.defaults import default_recipe, is_default, is_on_disk
from cnnviz.training.trainable import check_trainable, known_data
from cnnviz.ui.shared import notice, run_data, url_state
from cnnviz.ui.shared.model_data import problem_boxes
from cnnviz.ui.shared.url_state import OPTION, SET, Selection, quoted

PLAIN = "plain"
"""How the URL and the list call the recipe in which every field has its default."""
DEFAULT = "default"
"""How they call the default of a model and data for which none was measured."""
NOT_CHOSEN = frozenset(("format", "name", "description", "model", "layers", "dataset", "assumed", "code"))
"""Fields of a recipe that are no setting of their own: they have another place on the page, or in the URL."""


@dataclass(frozen=True)
class Plan:
    """A recipe to start from, and what was made of it."""

    base: Recipe
    origin: str
    """What the base is called: a recipe's name, `plain`, `run 7`."""
    parent: int | None
    typed: Mapping[str, str]
    """Fields that were changed, as text."""
    recipe: Recipe | None
    """None where the changes do not fit together; `fault` says why."""
    fault: str
    problems: tuple[str, ...]

    @property
    def shown(self) -> Recipe:
        """The recipe as far as it can be had."""
        return self.recipe or self.base

    @property
    def changes(self) -> dict[str, tuple[Any, Any]]:
        """Fields that differ, as (the base's, ours)."""
        return self.base.difference(self.recipe) if self.recipe else {}


def read() -> Plan:
    """The plan of the page's URL; what is wrong in it is said and replaced."""
    selection = url_state.current()
    said = list(selection.problems)
    base, origin, parent = _base(selection, said)
    typed = _typed(said)
    try:
        recipe, fault = base.changed(_elsewhere(base, selection, said) | typed), ""
        recipe = recipe.model_copy(update={"name": _name(base, recipe)})
    except ValueError as error:
        recipe, fault = None, str(error)
    return Plan(base, origin, parent, typed, recipe, fault, tuple(said))


def plain(spec: models.ModelSpec | None = None) -> Recipe:
    """The recipe of defaults for a model, on data that needs no network."""
    if spec is None or spec.name == Recipe().model:
        return Recipe()
    return Recipe(model=spec.name, dataset="digits" if spec.input_shape[0] == 1 else "shapes")


def _offered_before(spec: models.ModelSpec) -> tuple[Recipe, str]:
    """The recipe that addresses without one meant before there were defaults, and what it is called."""
    known = [recipe for recipe in training.all_recipes().values() if recipe.model == spec.name]
    known = [recipe for recipe in known if not is_default(recipe.name)]
    known.sort(key=lambda recipe: not recipe.name.startswith("fast-"))
    return (known[0], known[0].name) if known else (plain(spec), PLAIN)


def choose_recipe(name: str) -> None:
    """Begin from another recipe, for use in a callback; what was changed belongs to the one before."""
    recipe = plain() if name == PLAIN else training.get(name)
    put(
        **_nothing_changed(), model=recipe.model, recipe=name, dataset=None, size=None, parent=None, list=None
    )


def choose_model(name: str) -> None:
    """Train another model: by the same recipe where one was chosen, else by the model's default."""
    put(model=name, size=None, list=None, **{f"{SET}options": None, f"{SET}size": None}, **_default_again())


def choose_dataset(name: str) -> None:
    """Train on other data: by the same recipe where one was chosen, else by the default on these data."""
    put(dataset=name, **_default_again())


def _default_again() -> dict[str, str | None]:
    """The parameter that names the recipe, where a default gives way to the default of what is chosen."""
    if not is_default(st.query_params.get("recipe", DEFAULT)):
        return {}
    return {"recipe": DEFAULT if any(name.startswith(SET) for name in st.query_params) else None}


def fork(run: int) -> None:
    """Begin from a run's recipe, with nothing changed yet."""
    elsewhere = dict.fromkeys(("run", "model", "recipe", "dataset", "size", "list"))
    put(**_nothing_changed(), **elsewhere, parent=str(run))


def set_field(field: str, text: str) -> None:
    """Change one setting, for use in a callback. What is as in the base goes out of the URL."""
    plan = read()
    base = plan.base
    try:
        same = getattr(base.changed({field: text}), field) == getattr(base, field)
    except ValueError:
        same = False
    if plan.parent is None and not same:
        put(recipe=plan.origin)
    # What another page said of the options must not come back once they were chosen here.
    said = {name: None for name in st.query_params if name.startswith(OPTION) and field == "options"}
    put(**said, **{f"{SET}{field}": None if same else text})


def reset() -> None:
    """Go back to the recipe as it is."""
    base = read().base
    model = {} if base.layers or "model" not in st.query_params else {"model": base.model}
    put(**_nothing_changed(), **model, dataset=None, size=None, list=None)


def open_recipe(content: bytes) -> None:
    """Take up a recipe file, as changes of the plain recipe; raises `ValueError` with one sentence."""
    recipe = Recipe.read(content)
    require_registered(recipe, "The recipe file")
    url: dict[str, str | None] = _nothing_changed()
    url |= {"recipe": PLAIN, "dataset": recipe.dataset, "size": None, "parent": None}
    for field, (_, ours) in plain().difference(recipe).items():
        if field not in NOT_CHOSEN:
            url[f"{SET}{field}"] = text_of(ours)
    if recipe.layers:
        put(**url, list=url_codec.encode(recipe.layers))
    else:
        put(**url, model=recipe.model, list=None)


def put(**changes: str | None) -> None:
    """Write to the URL, for use in callbacks. A model that is not in it stays out: it is the recipe's."""
    if "model" not in st.query_params:
        changes.setdefault("model", None)
    url_state.change(**changes)


def text_of(value: Any) -> str:
    """A setting as it is typed: `none` for nothing, numbers without superfluous digits."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return json.dumps(value) if isinstance(value, dict) else str(value)


def _base(selection: Selection, said: list[str]) -> tuple[Recipe, str, int | None]:
    parent = st.query_params.get("parent")
    if parent is not None:
        try:
            run = tracking.get_run(run_data.database(), int(parent))
            if not run.has_recipe:
                raise ValueError("Only a run that was trained here has a whole recipe.")
            # A clone is made with a user's network as it is now.
            return Recipe.model_validate({**run.recipe, "code": ""}), f"run {run.id}", run.id
        except (ValueError, OverflowError, OSError):
            said.append(f"The recipe of run {quoted(parent)} cannot be had; here is another.")
    name = st.query_params.get("recipe")
    if name not in (None, PLAIN, DEFAULT):
        try:
            return training.get(name), name, None
        except ValueError as error:
            said.append(str(error))
    spec = selection.spec if "model" in st.query_params else None
    if name is None and any(field.startswith(SET) for field in st.query_params):
        recipe, origin = (plain(), PLAIN) if spec is None else _offered_before(spec)
        return recipe, origin, None
    if name == PLAIN:
        return plain(spec), PLAIN, None
    data = st.query_params.get("dataset")
    recipe = default_recipe(spec or models.get(Recipe().model), data if data in datasets.names() else None)
    return recipe, recipe.name, None


def _elsewhere(base: Recipe, selection: Selection, said: list[str]) -> dict[str, Any]:
    """What the URL changes by parameters that other pages share: model, options, size, data."""
    changed: dict[str, Any] = {}
    if (data := st.query_params.get("dataset")) and data != base.dataset:
        if data in datasets.names():
            changed["dataset"] = data
        else:
            said.append(unregistered_text("The address", data))
    if selection.size and selection.size[0] == selection.size[1]:
        changed["size"] = selection.size[0]
    if (text := st.query_params.get("list")) is not None:
        try:
            return changed | {"layers": url_codec.decode(text), "options": {}}
        except ValueError as error:
            said.append(str(error))
    if "model" not in st.query_params:
        return changed
    spec = selection.spec
    if spec.source == "yours" and spec.layers:  # by its layers, so that the recipe can be run elsewhere too
        return changed | {"layers": models.layer_list(spec), "options": {}}
    if base.layers or spec.name != base.model:
        return changed | {"model": spec.name, "layers": None, "options": dict(selection.options)}
    return changed | ({"options": {**base.options, **selection.options}} if selection.options else {})


def _typed(said: list[str]) -> dict[str, str]:
    given = {k.removeprefix(SET): v for k, v in st.query_params.items() if k.startswith(SET)}
    for field in [field for field in given if field not in Recipe.model_fields or field in NOT_CHOSEN]:
        said.append(f"A recipe has no setting {quoted(field)}; it is ignored.")
        del given[field]
    return given


def _name(base: Recipe, recipe: Recipe) -> str:
    """A changed recipe is another one: it does not carry the name of the one it was made from."""
    return recipe.name if not base.difference(recipe) else Recipe().name


def _nothing_changed() -> dict[str, str | None]:
    return {name: None for name in st.query_params if name.startswith((SET, OPTION))}


# What a run will take, in one line before it starts.


def expected(plan: Plan, database: Database) -> None:
    """Draw time, memory, disk and structural faults; where the network cannot be trained, why."""
    if plan.recipe is None:
        return
    try:
        found = estimate(database, plan.recipe)
        check_trainable(plan.recipe, *known_data(plan.recipe))
        problems = structural_problems(plan.recipe)
    except ValueError as error:
        st.warning(notice.plain(str(error)), icon=":material/info:")
        return
    shown = _text(found, stops_early=plan.recipe.early_stopping > 0)
    figures = "".join(
        f"<div><b>{escape(value)}</b> <span>{escape(label)}</span></div>" for value, label in shown
    )
    st.html(f'<div class="expected">{figures}</div>')
    st.caption(notice.plain(f"{found.basis} {fetched_first(plan.recipe)}"))
    if fetched_first(plan.recipe):
        here = "digits" if spec_for(plan.recipe).input_shape[0] == 1 else "shapes"
        st.button(
            f"Use {datasets.get(here).title} instead", icon=":material/swap_horiz:", key="train-offline-data",
            on_click=choose_dataset, args=(here,),
            help="They are on this machine: the run starts at once, without a network.",
        )  # fmt: skip
    problem_boxes(problems, notes=False)


def fetched_first(recipe: Recipe) -> str:
    """What has to come over the network before the first step, where that is known."""
    spec = datasets.specs().get(recipe.dataset)
    if spec is None or is_on_disk(spec.name):
        return ""
    size = numbers.size(spec.download_bytes)
    return f"{spec.title} is not on this machine: about {size} are downloaded first."


_MOMENT = 3.0
"""Seconds of a rough guess below which a run takes less than a minute, even on a slow machine."""


def _text(found: Estimate, *, stops_early: bool) -> list[tuple[str, str]]:
    if found.seconds is None:
        time = "?"
    elif not found.timed and found.seconds < _MOMENT:
        time = "under a minute"
    else:
        time = f"~ {numbers.duration(found.seconds)}"
    return [
        (time, "to train, at most" if stops_early else "to train"),
        (f"~ {numbers.size(found.memory_bytes)}", "of memory"),
        (f"~ {numbers.size(found.disk_bytes)}", "on disk"),
    ]


# How other pages link to the Experiments page.


def test_parameters(experiment: Experiment, parent: int | None = None) -> dict[str, str]:  # noqa: PT028 it is no test
    """Query parameters that open the page on an experiment which is yet to be started.

    A run's number as `parent` lets the experiment name that run's data, which may be no registered ones.
    Raises `ValueError` for one that is too long for a link.
    """
    registered = experiment.base.dataset in datasets.names()
    return {"test": pack(experiment)} | ({} if registered or parent is None else {"parent": str(parent)})
