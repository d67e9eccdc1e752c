"""Fine-tuning of a recipe plan: weights to begin with, frozen layers, and the trunk's learning rate."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from cnnviz import datasets, models, tracking
from cnnviz.figures import numbers
from cnnviz.inference.weights.references import ACCURACY, LAST
from cnnviz.training import Recipe
from cnnviz.training.fine_tuning import (
    BLOCK,
    TORCHVISION,
    FreezePoint,
    freeze_points,
    offers_torchvision,
    start_run,
    start_title,
    torchvision_download,
)
from cnnviz.training.queue import has_default_name, known_data
from cnnviz.ui.shared import notice, url_state, visitors
from cnnviz.ui.shared.inspection import model_input
from cnnviz.ui.shared.runs import recipe_plan as plans
from cnnviz.ui.shared.runs.recipe_plan import Plan

if TYPE_CHECKING:
    from cnnviz.inference.weights.loaded_model import Loaded
    from cnnviz.tracking import Database, RunSummary

FIELDS = ("start_from", "freeze_until", "trunk_lr")
START, FREEZE, TRUNK = (f"train-set-{name}" for name in FIELDS)
OPENED = "train-fine-tuning-opened"
MAX_LISTED = 100
"""Runs in the list, newest first; older ones are chosen by number."""
FILES, UPLOAD_TURN = "train-start-files", "train-start-turn"
INIT = "init"
"""Option of models for random initialization, which weights to begin with replace."""
HANDED = "handed:"
"""Prefix of options that are uploaded networks of the inspection pages, not yet stored as initial weights."""


def fine_tuning(plan: Plan, database: Database | None) -> None:
    """Draw the fine-tuning settings in an expander, unfolded once one of them is set."""
    shown, typed = plan.shown, plan.typed
    tuned = bool(shown.start_from or shown.freeze_until or shown.trunk_lr != 1 or set(FIELDS) & set(typed))
    opened = st.session_state[OPENED] = tuned or st.session_state.get(OPENED, False)
    with st.expander(
        _summary(shown), icon=":material/layers:", key="train-fine-tuning", expanded=opened
    ):  # fmt: skip
        _start(plan, database)
        if tuned:
            _freeze(plan)
            _trunk(plan)


def _summary(recipe: Recipe) -> str:
    parts = [f"from {start_title(recipe.start_from)}"] if recipe.start_from else []
    parts += [f"frozen up to {recipe.freeze_until}"] if recipe.freeze_until else []
    return f"Fine-tuning: {notice.escape(', '.join(parts))}" if parts else "Fine-tuning"


# The weights to begin with.


@dataclass(frozen=True)
class StartOptions:
    """Labels of the weights to begin with, by value of `start_from`."""

    labels: Mapping[str, str]
    complete: bool
    """Whether all runs of the network are listed."""


def _start(plan: Plan, database: Database | None) -> None:
    shown = plan.typed.get("start_from", plan.shown.start_from)
    options = _start_options(plan.shown, shown, database)
    st.session_state[START] = shown
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom", key="train-start-line"):
        st.selectbox(
            "Start from", list(options.labels),
            format_func=lambda value: options.labels.get(value, value), key=START,
            on_change=partial(url_state.pick, START, options.labels, shown, _choose),
            required=True, width="stretch",
            help="The network's weights before the first step. What does not fit, the last layer for other "
            "classes, begins at random.",
        )  # fmt: skip
        _file(plan.shown)
    if not options.complete:
        _older_run(plan)
    _was(plan, "start_from", start_title)
    if shown == TORCHVISION and (size := _download(plan.shown)):
        st.caption(
            notice.escape(
                f"torchvision's weights are not on this machine: about {numbers.size(size)} are downloaded "
                "first."
            )
        )


def _start_options(recipe: Recipe, shown: str, database: Database | None) -> StartOptions:
    labels = {"": "Random initialization"}
    if offers_torchvision(recipe):
        labels[TORCHVISION] = "torchvision's weights (ImageNet)"
    files: dict[str, tuple[str, str]] = st.session_state.get(FILES, {})
    model = _model_name(recipe)
    labels |= {value: f"{title} · uploaded" for value, (title, of) in files.items() if of == model}
    labels |= {
        f"{HANDED}{reference}": f"{entry.name} · uploaded, of Look inside"
        for reference, entry in _handed(model).items()
    }
    complete = True
    if database is not None:
        state = (database.where, tracking.stamp(database), model)
        identity = recipe.model_dump_json(include={"model", "layers", "options"})
        runs, complete = _runs(database, state, identity)
        labels |= {f"run:{run.id}": _run_label(run, database) for run in runs}
    if shown not in labels:
        labels[shown] = _other_label(shown, model, database)
    return StartOptions(labels, complete)


def _other_label(start_from: str, model: str, database: Database | None) -> str:
    """Return the label of weights that are not listed: an older run's, another network's, or gone."""
    title, number = start_title(start_from), start_run(start_from)
    label = f"{title[:1].upper()}{title[1:]}"
    if number is None:
        return label
    known = [] if database is None else tracking.list_runs(database, ids=[number], metrics=[ACCURACY])
    for run in known:
        other = "" if run.model == model else f" · {models.title_of(run.model)}"
        label = f"{label}{other}{_run_label(run, database).removeprefix(f'Run {run.id}')}"
    return f"{label} · its weights when this was queued" if "@" in start_from else label


def _model_name(recipe: Recipe) -> str:
    return recipe.layers.name if recipe.layers else recipe.model


@st.cache_resource(max_entries=8, show_spinner=False)
def _runs(_database: Database, state: Any, identity: str) -> tuple[tuple[RunSummary, ...], bool]:
    """Return the newest runs of the same network with a checkpoint here, and whether these are all."""
    recipe = Recipe.model_validate_json(identity)
    newest = tracking.list_runs(
        _database, model=_model_name(recipe), metrics=[ACCURACY], limit=MAX_LISTED
    )  # fmt: skip
    stored = tracking.stored_runs(_database)
    recipes = tracking.recipes(_database, [run.id for run in newest])
    runs = [
        run
        for run in newest
        if run.has_recipe
        and (run.id in stored or (tracking.run_folder(run.id, run.key) / LAST).exists())
        and _same_network(recipe, recipes.get(run.id, {}))
    ]
    return tuple(runs), len(newest) < MAX_LISTED


def _same_network(recipe: Recipe, other: Mapping[str, Any]) -> bool:
    theirs = other.get("layers")
    if recipe.layers is not None or theirs is not None:
        ours = recipe.layers.model_dump(mode="json") if recipe.layers is not None else None
        return ours is not None and theirs is not None and ours["layers"] == theirs["layers"]
    try:
        options = models.get(recipe.model).options
        own, others = (
            options.parse(given).model_dump(exclude={INIT})
            for given in (recipe.options, other.get("options", {}))
        )
        return own == others
    except ValueError:
        return False


def _run_label(run: RunSummary, database: Database | None) -> str:
    data = datasets.title_of(run.data)
    parts = [f"Run {run.id}", data if has_default_name(run) else f"{run.name} · {data}"]
    accuracy = run.metrics.get(ACCURACY)
    if run.active:  # Its accuracy changes while the list is open.
        parts.append(run.status.value)
    elif accuracy is not None and accuracy.last is not None:
        parts.append(f"{100 * accuracy.last:.1f} %")
    owner = "" if database is None else visitors.owner_name(database, run.owner_id)
    return " · ".join([*parts, owner] if owner else parts)


def _handed(model: str) -> dict[str, Loaded]:
    """Return this visitor's uploads of the inspection pages with weights for the network."""
    from_files = {reference: model_input.loaded(reference) for reference in model_input.names()}
    return {
        reference: entry
        for reference, entry in from_files.items()
        if entry.spec.name == model and hasattr(entry.model, "state_dict")
    }


def _choose(value: str) -> None:
    """Write the chosen weights; an upload of another page is stored first."""
    if "run" in st.query_params:  # the field is gone: Streamlit calls once more, though nobody changed it
        return
    if value.startswith(HANDED):
        from cnnviz.inference.weights.weights_file import store_start_tensors

        entry = model_input.loaded(value.removeprefix(HANDED))
        stored = store_start_tensors(entry.model.state_dict(), entry.name)
        _remember(stored, entry.spec.name)
        value = stored
    plans.set_field("start_from", value)


def _remember(start_from: str, model: str) -> None:
    files = st.session_state.setdefault(FILES, {})
    files[start_from] = (start_title(start_from), model)


def _older_run(plan: Plan) -> None:
    key = "train-start-number"
    st.session_state[key] = ""
    st.text_input(
        "Or an older run", key=key, placeholder=f"its number; the list holds the newest {MAX_LISTED}",
        on_change=partial(_write_number, key), help="The number of a run of the same network.",
    )  # fmt: skip


def _write_number(key: str) -> None:
    text = str(st.session_state[key]).strip()
    if not text:
        return
    match = re.fullmatch(r"(?:run[ :]?)?([0-9]{1,18})", text, re.IGNORECASE)
    if match is None:
        notice.defer(f"A run has a number, not {url_state.quoted(text)}.")
        return
    plans.set_field("start_from", f"run:{int(match[1])}")


def _download(recipe: Recipe) -> int:
    try:
        return torchvision_download(recipe)
    except (ImportError, ValueError):
        return 0


# Upload of a weights file.


def _file(recipe: Recipe) -> None:
    with st.popover("File", icon=":material/upload:", help="Begin with weights of a file of yours"):
        turn = st.session_state.get(UPLOAD_TURN, 0)
        st.file_uploader(
            "A checkpoint of cnnviz, a safetensors file, or a PyTorch state dict",
            key=f"train-start-file-{turn}", on_change=_uploaded, args=(turn, recipe), max_upload_size=500,
        )  # fmt: skip
        st.caption(
            "Nothing in a file is executed: pickled objects are refused. A copy is kept with the runs that "
            "begin with it."
        )


def _uploaded(turn: int, recipe: Recipe) -> None:
    """Store an uploaded file and begin with it, or report what is wrong with it."""
    given = st.session_state.get(f"train-start-file-{turn}")
    if given is None:
        return
    st.session_state[UPLOAD_TURN] = turn + 1
    from cnnviz.inference.weights.weights_file import store_start_file

    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "weights"
            path.write_bytes(given.getvalue())
            stored, notes = store_start_file(path, given.name, recipe)
    except (ValueError, OSError) as error:
        notice.defer(str(error))
        return
    for note in notes:
        notice.defer(note)
    _remember(stored, _model_name(recipe))
    plans.set_field("start_from", stored)


# Frozen layers and the trunk's rate.


def _freeze(plan: Plan) -> None:
    recipe = plan.shown
    until = plan.typed.get("freeze_until", recipe.freeze_until)
    points = {point.name: point for point in _points(recipe)}
    labels = {"": "nothing: every layer is trained"} | {name: _point_label(p) for name, p in points.items()}
    labels.setdefault(until, until)
    st.session_state[FREEZE] = until
    st.selectbox(
        "Freeze up to", list(labels),
        format_func=lambda value: labels.get(value, value), key=FREEZE, required=True,
        on_change=partial(url_state.pick, FREEZE, labels, until, _choose_layer),
        placeholder="Type to find a layer",
        help="This layer and all before it, in the order of their definition, keep their first weights and "
        "running statistics.",
    )  # fmt: skip
    _was(plan, "freeze_until", lambda name: name or "nothing")
    if points and (not until or until in points):
        total = next(iter(points.values())).total
        frozen = points[until].frozen if until else 0
        st.caption(notice.escape(frozen_text(frozen, total, bool(recipe.start_from))), width="stretch")


def _point_label(point: FreezePoint) -> str:
    return f"{point.name} · {'the whole block' if point.type == BLOCK else point.type}"


def _points(recipe: Recipe) -> tuple[FreezePoint, ...]:
    try:
        return freeze_points(recipe, known_data(recipe)[0])
    except (ValueError, OSError):  # Shown by the estimate.
        return ()


def frozen_text(frozen: int, total: int, has_start: bool = True) -> str:
    """Return how many parameters stay frozen, as a sentence; whether at trained or at random weights."""
    if not frozen:
        return f"All {_amount(total)} parameters are trained."
    million = 1_000_000
    part = numbers.significant(frozen / million) if min(frozen, total) >= million else f"{frozen:,}"
    stay = "stay frozen" if has_start else "stay frozen, at random weights"
    return f"{part} of {_amount(total)} parameters {stay}."


def _amount(total: int) -> str:
    return f"{numbers.significant(total / 1e6)} million" if total >= 1_000_000 else f"{total:,}"


def _choose_layer(name: str) -> None:
    if "run" not in st.query_params:
        plans.set_field("freeze_until", name)


def _trunk(plan: Plan) -> None:
    recipe = plan.shown
    default = plans.text_of(Recipe().trunk_lr)
    text = plan.typed.get("trunk_lr", plans.text_of(recipe.trunk_lr))
    st.session_state[TRUNK] = "" if text == default else text
    st.text_input(
        "Learning rate of the trunk, as a part of the rate", key=TRUNK,
        placeholder="1; 0.1 is usual for trained weights", on_change=_write_trunk,
        help="What the learning rate is multiplied by for all but the last layer, which begins at random. "
        "1: all learn alike.",
    )  # fmt: skip
    _was(plan, "trunk_lr", plans.text_of)
    if recipe.trunk_lr != 1:
        rate = f"{recipe.trunk_lr * recipe.lr:.3g}"
        st.caption(notice.escape(f"{recipe.trunk_lr:g} × {recipe.lr:g} = {rate} for all but the last layer."))


def _write_trunk() -> None:
    if "run" in st.query_params:
        return
    text = str(st.session_state[TRUNK]).strip()
    plans.set_field("trunk_lr", text or plans.text_of(Recipe().trunk_lr))


def _changed(plan: Plan, field: str) -> bool:
    own = plans.text_of(getattr(plan.base, field))
    return plan.typed.get(field, plans.text_of(getattr(plan.shown, field))) != own


def _was(plan: Plan, field: str, words: Any) -> None:
    """Say what the base recipe has where that is not the field's default."""
    own = getattr(plan.base, field)
    if _changed(plan, field) and own != getattr(Recipe(), field):
        st.caption(f"recipe: {notice.escape(words(own))}")
