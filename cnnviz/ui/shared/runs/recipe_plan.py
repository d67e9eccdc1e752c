"""Recipe plan: the recipe about to be trained, read from the URL as a base recipe and changes to it.

`recipe` names the base recipe, `parent` a run whose recipe is the base; `model`, `dataset`, `option.*` and
`set.FIELD` are the changes. Values are kept as typed: an invalid one is reported and kept until it is fixed.

Without a name the base is the default of the model and data (`training.recipes`). Changes
(`set.FIELD`) are written together with the name of the recipe that they change, so that a link keeps its
meaning when defaults change; URLs with changes alone predate these defaults, and change the recipe that was
offered then.
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
from cnnviz.training.fine_tuning import check_start_weights
from cnnviz.training.queue import check_trainable, known_data
from cnnviz.training.recipe import RecipeError, require_registered, spec_for, unregistered_text
from cnnviz.training.recipes import default_recipe, is_default, is_on_disk
from cnnviz.ui.shared import notice, url_state
from cnnviz.ui.shared.model_data import problem_boxes
from cnnviz.ui.shared.runs import run_data
from cnnviz.ui.shared.url_state import OPTION, SET, Selection, quoted

PLAIN = "plain"
"""Name, in the URL and the list, of the recipe in which every field has its default."""
DEFAULT = "default"
"""Name of the default recipe of a model and data set without measured defaults."""
NOT_CHOSEN = frozenset(("format", "name", "description", "model", "layers", "dataset", "assumed", "code"))
"""Recipe fields that are not settings: they are elsewhere on the page or in the URL."""


@dataclass(frozen=True)
class Plan:
    """A base recipe, and the recipe that results from the changes."""

    base: Recipe
    origin: str
    """Name of the base: a recipe's name, `plain`, `run 7`."""
    parent: int | None
    typed: Mapping[str, str]
    """Changed fields as typed."""
    recipe: Recipe | None
    """None if the changes are invalid; `fault` then says why."""
    fault: str
    allowed: Mapping[str, str]
    """What each field with an invalid value accepts, by field."""
    problems: tuple[str, ...]

    @property
    def shown(self) -> Recipe:
        """The resulting recipe, or the base if the changes are invalid."""
        return self.recipe or self.base

    @property
    def changes(self) -> dict[str, tuple[Any, Any]]:
        """Fields that differ, as (value in the base, new value)."""
        return self.base.difference(self.recipe) if self.recipe else {}


def read() -> Plan:
    """Read the plan from the page's URL; invalid parameters become problems."""
    selection = url_state.current()
    problems = list(selection.problems)
    base, origin, parent = _base(selection, problems)
    typed = _typed(problems)
    allowed: Mapping[str, str] = {}
    try:
        recipe, fault = base.changed(_shared_changes(base, selection, problems) | typed), ""
        recipe = recipe.model_copy(update={"name": _name(base, recipe)})
    except ValueError as error:
        recipe, fault = None, str(error)
        allowed = error.allowed if isinstance(error, RecipeError) else {}
    return Plan(base, origin, parent, typed, recipe, fault, allowed, tuple(problems))


def plain(spec: models.ModelSpec | None = None) -> Recipe:
    """Return the recipe of field defaults for a model, on data that ship with cnnviz."""
    if spec is None or spec.name == Recipe().model:
        return Recipe()
    return Recipe(model=spec.name, dataset="digits" if spec.input_shape[0] == 1 else "shapes")


def _legacy_default(spec: models.ModelSpec) -> tuple[Recipe, str]:
    """Return the recipe, with its name, that URLs without a name meant before there were defaults."""
    known = [recipe for recipe in training.all_recipes().values() if recipe.model == spec.name]
    known = [recipe for recipe in known if not is_default(recipe.name)]
    known.sort(key=lambda recipe: not recipe.name.startswith("fast-"))
    return (known[0], known[0].name) if known else (plain(spec), PLAIN)


def choose_recipe(name: str) -> None:
    """Select another base recipe, for use in callbacks; changes are dropped."""
    recipe = plain() if name == PLAIN else training.get(name)
    put(
        **_nothing_changed(), model=recipe.model, recipe=name, dataset=None, size=None, parent=None, list=None
    )


def choose_model(name: str) -> None:
    """Select another model; a named recipe is kept, a default one becomes the new model's default."""
    put(model=name, size=None, list=None, **{f"{SET}options": None, f"{SET}size": None}, **_default_again())


def choose_dataset(name: str) -> None:
    """Select another data set; a named recipe is kept, a default one becomes the default for the new data."""
    put(dataset=name, **_default_again())


def _default_again() -> dict[str, str | None]:
    """Return the change of `recipe` where a default recipe gives way to that of the new selection."""
    if not is_default(st.query_params.get("recipe", DEFAULT)):
        return {}
    return {"recipe": DEFAULT if any(name.startswith(SET) for name in st.query_params) else None}


def fork(run: int) -> None:
    """Take a run's recipe as the base, without changes."""
    elsewhere = dict.fromkeys(("run", "model", "recipe", "dataset", "size", "list"))
    put(**_nothing_changed(), **elsewhere, parent=str(run))


def set_field(field: str, text: str) -> None:
    """Change one setting, for use in callbacks. A value equal to the base's is removed from the URL."""
    plan = read()
    base = plan.base
    try:
        same = getattr(base.changed({field: text}), field) == getattr(base, field)
    except ValueError:
        same = False
    if plan.parent is None and not same:
        put(recipe=plan.origin)
    # Options that another page wrote to the URL must not override those chosen here.
    dropped = {name: None for name in st.query_params if name.startswith(OPTION) and field == "options"}
    put(**dropped, **{f"{SET}{field}": None if same else text})


def reset() -> None:
    """Drop all changes."""
    base = read().base
    model = {} if base.layers or "model" not in st.query_params else {"model": base.model}
    put(**_nothing_changed(), **model, dataset=None, size=None, list=None)


def open_recipe(content: bytes) -> None:
    """Load a recipe file as changes of the plain recipe.

    Raises:
        ValueError: The file is not a valid recipe of registered names; the message is one sentence.
    """
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
    """Write to the URL, for use in callbacks. A model that is not in it is not added: it is the recipe's."""
    if "model" not in st.query_params:
        changes.setdefault("model", None)
    url_state.change(**changes)


def text_of(value: Any) -> str:
    """Format a setting as it is typed: `none` for None, numbers without superfluous digits."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return json.dumps(value) if isinstance(value, dict) else str(value)


def _base(selection: Selection, problems: list[str]) -> tuple[Recipe, str, int | None]:
    parent = st.query_params.get("parent")
    if parent is not None:
        try:
            run = tracking.get_run(run_data.database(), int(parent))
            if not run.has_recipe:
                raise ValueError("Only a run that was trained here has a whole recipe.")
            # A clone uses the current code of a user's network, not that of the run.
            return Recipe.model_validate({**run.recipe, "code": ""}), f"run {run.id}", run.id
        except (ValueError, OverflowError, OSError):
            problems.append(f"The recipe of run {quoted(parent)} cannot be had; here is another.")
    name = st.query_params.get("recipe")
    if name not in (None, PLAIN, DEFAULT):
        try:
            return training.get(name), name, None
        except ValueError as error:
            problems.append(str(error))
    spec = selection.spec if "model" in st.query_params else None
    if name is None and any(field.startswith(SET) for field in st.query_params):
        recipe, origin = (plain(), PLAIN) if spec is None else _legacy_default(spec)
        return recipe, origin, None
    if name == PLAIN:
        return plain(spec), PLAIN, None
    data = st.query_params.get("dataset")
    recipe = default_recipe(spec or models.get(Recipe().model), data if data in datasets.names() else None)
    return recipe, recipe.name, None


def _shared_changes(base: Recipe, selection: Selection, problems: list[str]) -> dict[str, Any]:
    """Return the changes by parameters that other pages share: model, options, size, data."""
    changed: dict[str, Any] = {}
    if (data := st.query_params.get("dataset")) and data != base.dataset:
        if data in datasets.names():
            changed["dataset"] = data
        else:
            problems.append(unregistered_text("The address", data))
    if selection.size and selection.size[0] == selection.size[1]:
        changed["size"] = selection.size[0]
    if (text := st.query_params.get("list")) is not None:
        try:
            return changed | {"layers": url_codec.decode(text), "options": {}}
        except ValueError as error:
            problems.append(str(error))
    if "model" not in st.query_params:
        return changed
    spec = selection.spec
    if spec.source == "yours" and spec.layers:  # as a layer list, so that the recipe runs on other machines
        return changed | {"layers": models.layer_list(spec), "options": {}}
    if base.layers or spec.name != base.model:
        return changed | {"model": spec.name, "layers": None, "options": dict(selection.options)}
    return changed | ({"options": {**base.options, **selection.options}} if selection.options else {})


def _typed(problems: list[str]) -> dict[str, str]:
    given = {k.removeprefix(SET): v for k, v in st.query_params.items() if k.startswith(SET)}
    for field in [field for field in given if field not in Recipe.model_fields or field in NOT_CHOSEN]:
        problems.append(f"A recipe has no setting {quoted(field)}; it is ignored.")
        del given[field]
    return given


def _name(base: Recipe, recipe: Recipe) -> str:
    """Return the recipe's name, which is the default one if anything was changed."""
    return recipe.name if not base.difference(recipe) else Recipe().name


def _nothing_changed() -> dict[str, str | None]:
    return {name: None for name in st.query_params if name.startswith((SET, OPTION))}


# Estimate of a run's cost, shown before it starts.


def expected(plan: Plan, database: Database) -> None:
    """Draw the estimated time, memory and disk with structural problems.

    Or why the network cannot be trained.
    """
    if plan.recipe is None:
        return
    try:
        result = estimate(database, plan.recipe)
        check_start_weights(plan.recipe, known_data(plan.recipe)[0], database)
        check_trainable(plan.recipe, *known_data(plan.recipe))
        problems = structural_problems(plan.recipe)
    except ValueError as error:
        st.warning(notice.escape(str(error)), icon=":material/info:")
        return
    shown = _text(result, stops_early=plan.recipe.early_stopping > 0)
    figures = "".join(
        f"<div><b>{escape(value)}</b> <span>{escape(label)}</span></div>" for value, label in shown
    )
    st.html(f'<div class="expected">{figures}</div>')
    st.caption(notice.escape(f"{result.basis} {download_note(plan.recipe)}"))
    if download_note(plan.recipe):
        here = "digits" if spec_for(plan.recipe).input_shape[0] == 1 else "shapes"
        st.button(
            f"Use {datasets.get(here).title} instead", icon=":material/swap_horiz:", key="train-offline-data",
            on_click=choose_dataset, args=(here,),
            help="They are on this machine: the run starts at once, without a network.",
        )  # fmt: skip
    problem_boxes(problems, notes=False)


def download_note(recipe: Recipe) -> str:
    """Describe what has to be downloaded before the first step; empty if nothing or unknown."""
    spec = datasets.specs().get(recipe.dataset)
    if spec is None or is_on_disk(spec.name):
        return ""
    size = numbers.size(spec.download_bytes)
    return f"{spec.title} is not on this machine: about {size} are downloaded first."


_MOMENT = 3.0
"""Seconds of an untimed estimate below which a run takes less than a minute, even on a slow machine."""


def _text(result: Estimate, *, stops_early: bool) -> list[tuple[str, str]]:
    if result.seconds is None:
        time = "?"
    elif not result.timed and result.seconds < _MOMENT:
        time = "under a minute"
    else:
        time = f"~ {numbers.duration(result.seconds)}"
    return [
        (time, "to train, at most" if stops_early else "to train"),
        (f"~ {numbers.size(result.memory_bytes)}", "of memory"),
        (f"~ {numbers.size(result.disk_bytes)}", "on disk"),
    ]


# Links to the Experiments page.


def test_parameters(experiment: Experiment, parent: int | None = None) -> dict[str, str]:  # noqa: PT028 it is no test
    """Return query parameters that open the Experiments page on a new experiment.

    Args:
        experiment: The experiment.
        parent: A run whose data the experiment uses, if they are not registered.

    Raises:
        ValueError: The experiment is too long for a link.
    """
    registered = experiment.base.dataset in datasets.names()
    return {"test": pack(experiment)} | ({} if registered or parent is None else {"parent": str(parent)})
