"""Train page: a live run, or the setup at the left with queue and last run at the right."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import streamlit as st

from cnnviz import access, datasets, models, tracking, training
from cnnviz.figures import numbers
from cnnviz.tracking import ACTIVE, Command, Database, Machine, NoSuchRunError, Run, RunSummary, Status
from cnnviz.training import Recipe
from cnnviz.training.queue import enqueue
from cnnviz.ui.pages.train import example
from cnnviz.ui.pages.train.charts import PublishedAccuracy, charts, published_accuracy
from cnnviz.ui.pages.train.jobs import rate_finder
from cnnviz.ui.pages.train.run_views import headline, history, sample_predictions
from cnnviz.ui.shared import layout, notice, url_state, visitors
from cnnviz.ui.shared.model_picker import CSS, model_picker, share_button
from cnnviz.ui.shared.runs import recipe_plan as plans
from cnnviz.ui.shared.runs import run_data
from cnnviz.ui.shared.runs.fine_tuning import fine_tuning
from cnnviz.ui.shared.runs.live_run import RunData, is_in_progress, live_run
from cnnviz.ui.shared.runs.recipe_fields import all_fields, common_fields, fault_text
from cnnviz.ui.shared.runs.recipe_plan import PLAIN, Plan, expected
from cnnviz.ui.shared.url_state import quoted

# The left column: model, data, recipe, Start, and all settings.

OWN_CSS = Path(__file__).with_name("train.css")
MODEL, DATA, RECIPE = "train-model", "train-data", "train-recipe"
REFUSED = "train-refused"
"""Why a run was not queued: said below the button, where who pressed it looks."""


def styles() -> None:
    """Add the page's CSS."""
    st.html(CSS)
    st.html(OWN_CSS)


def setup(plan: Plan, database: Database | None) -> None:
    """Draw the setup of a run: model, data, recipe, Start, and every setting."""
    shown = plan.shown
    notice.show([*plan.problems, *notice.pending_notices()])
    with st.container(key="train-setup", gap="small"):
        _model(shown.layers.name if shown.layers else shown.model)
        _data(shown.dataset, plan.parent)
        _recipe(plan)
        common_fields(plan)
        rate_finder(plan)
        estimate = st.container(key="train-expected", gap="small")
        st.button(
            "Start",
            icon=":material/play_arrow:",
            type="primary",
            key="train-start",
            disabled=plan.recipe is None,
            on_click=start,
            width="stretch",
            help="Into the queue: it begins as soon as its device is free, and goes on without this page.",
        )
        refused = st.session_state.pop(REFUSED, "")
        notice.show([refused] if refused else [])
        fine_tuning(plan, database)
        all_fields(plan)
        with st.container(horizontal=True, gap="small", vertical_alignment="center", key="train-more"):
            if shown.dataset in datasets.names():
                layout.link(
                    "data", "Look at the data", icon=":material/photo_library:",
                    dataset=shown.dataset, run=None,
                )  # fmt: skip
            _file(plan)
            share_button(recipe=None if plan.parent else plan.origin)
    if plan.fault:
        with estimate:  # beside the button that waits for it, and in a place that is kept: nothing moves
            notice.show([fault_text(plan)])
    elif database is not None:
        with estimate:  # last, since a network without precomputed facts has to wait for torch
            expected(plan, database)


def start() -> None:
    """Enqueue the plan and show its run; errors are reported."""
    plan = plans.read()
    if plan.recipe is None:
        return
    try:
        run = enqueue(run_data.database(), plan.recipe, plan.parent)
    except (ValueError, OSError) as error:
        st.session_state[REFUSED] = str(error)
        return
    plans.put(run=str(run.id))


def _model(name: str) -> None:
    if name in models.names():
        model_picker(
            "Model",
            name,
            key=MODEL,
            on_change=_on(MODEL, name, plans.choose_model),
            label_visibility="visible",
        )
    else:
        st.markdown(f"**{notice.escape(name)}**, a layer list", width="content")


def _data(name: str, parent: int | None) -> None:
    """Draw the list of data sets, with a path that run `parent` was given on the command line."""
    known = {spec.name: spec for spec in datasets.specs().values()}
    st.session_state[DATA] = name
    st.selectbox(
        "Data",
        list(known) if name in known else [name, *known],
        format_func=lambda name: _data_label(known.get(name), parent),
        key=DATA,
        on_change=_on(DATA, name, plans.choose_dataset),
    )


def _data_label(spec: datasets.DatasetSpec | None, parent: int | None) -> str:
    if spec is None:
        return f"the data of run {parent}"
    return f"{spec.title} · {numbers.short(spec.train)} images"


def _recipe(plan: Plan) -> None:
    origin = plan.origin
    known = training.all_recipes().values()
    names = [recipe.name for recipe in sorted(known, key=lambda recipe: recipe.model != plan.shown.model)]
    names.append(PLAIN)
    st.session_state[RECIPE] = origin
    st.selectbox(
        "Recipe",
        names if origin in names else [origin, *names],
        format_func=_recipe_label,
        key=RECIPE,
        on_change=_on(RECIPE, origin, plans.choose_recipe),
        required=True,
        help="A training configuration: all settings together. Those of this model come first.",
    )
    about = "" if plan.parent is None else f"Changes the recipe of run {plan.parent}, which stays as it is."
    st.caption(notice.escape(about or plan.base.description))
    changed = len(plan.changes)
    if changed:
        st.caption(f"{changed} change{'' if changed == 1 else 's'}", width="content")


def _recipe_label(name: str) -> str:
    """Format a recipe for the list.

    The label must not depend on the plan: a browser sends labels back, and would send an outdated one.
    """
    return "plain: every field's own default" if name == PLAIN else name


def _file(plan: Plan) -> None:
    with st.popover("Recipe file", icon=":material/description:", type="tertiary"):
        st.caption(
            "A recipe is a small JSON file: keep it, share it, run it with `python -m cnnviz train FILE`."
        )
        if plan.recipe is not None:
            stem = plan.recipe.name if plan.recipe.name != "untitled" else "recipe"
            st.download_button(
                "Download this recipe", plan.recipe.write(), f"{stem}.json", "application/json",
                icon=":material/download:", on_click="ignore", key="train-download",
            )  # fmt: skip
        turn = st.session_state.get("train-file-turn", 0)
        st.file_uploader(
            "Open a recipe", type="json", key=f"train-file-{turn}", on_change=_opened, args=(turn,),
            max_upload_size=1,
        )  # fmt: skip


def _opened(turn: int) -> None:
    """Load an uploaded recipe, or report what is wrong with it. The uploader is reset for the next file."""
    file = st.session_state.get(f"train-file-{turn}")
    if file is None:
        return
    st.session_state["train-file-turn"] = turn + 1
    try:
        plans.open_recipe(file.getvalue())
    except ValueError as error:
        notice.defer(str(error))


def _on(key: str, now: str, write: Callable[[str], None]) -> Callable[[], None]:
    """Return the callback of a list. Streamlit also calls it, with the old value, once the list is gone."""

    def changed() -> None:
        value = str(st.session_state.get(key) or "").strip()
        if value and value != now and "run" not in st.query_params:
            write(value)

    return changed


# A live run: a fragment that reruns periodically while the run is in progress.

TICK_SECONDS = 0.4
"""Rerun interval: a worker writes metrics every 0.15 s, so with drawing the delay stays below a second."""


def watch(run_id: int) -> None:
    """Draw the run, repeatedly while it is in progress.

    Raises:
        TrackingError: The run cannot be read.
    """
    run = tracking.get_run(run_data.database(), run_id)
    alive = is_in_progress(run)

    @st.fragment(run_every=TICK_SECONDS if alive else None)
    def live() -> None:
        url_state.restore()
        try:
            now, run_log = live_run(run_data.database(), run_id).refresh()
        except (ValueError, OSError) as error:
            st.error(
                f"The run cannot be read just now. {notice.escape(str(error))}",
                icon=":material/database_off:",
            )
            return
        if is_in_progress(now) != alive:
            st.rerun()  # the whole page, so that the ticking ends or begins
        draw(now, run_log)

    # Streamlit keeps the children of a block until its script has ended, also in another block that takes its
    # place: the figures beside the setup would be mounted and drawn once more, in here, before the run's own.
    st.empty()
    with st.container(key="train-live"):
        live()


def draw(run: Run, run_log: RunData) -> None:
    """Draw the run's headline, curves, predictions and event log."""
    recipe = Recipe.model_validate(run.recipe)
    headline(run, run_log, recipe)
    name = f"run-{run.id}"
    left, right = st.columns([0.64, 0.36], gap="large")
    with left:
        charts(run_log, _published(run), name, run_data.trained_layers(run).frozen, run)
    with right:
        sample_predictions(run_log, name)
    history(run, run_log)


def _published(run: Run) -> PublishedAccuracy | None:
    """Return the published accuracy of the recipe's model; None for a user's own training loop."""
    return published_accuracy(Recipe.model_validate(run.recipe)) if run.has_recipe else None


# The queue: running and waiting runs in order.

MAX_RUNS = 50


def queue(database: Database, runs: list[RunSummary]) -> None:
    """Draw the running and waiting runs, each with its actions."""
    waiting = [run for run in runs if run.status is Status.QUEUED]
    st.header("Queue", anchor=False)
    shared = " People take turns." if visitors.shared() else ""
    st.caption(f"Runs of one device train one after another.{shared} They go on without this page.")
    if tracking.queue_frozen(database):
        _frozen(database)
    machines = tracking.machines(database)
    _machines(machines, waiting)
    owner_of = visitors.owner_namer(database)
    for run in runs:
        first = not waiting or run.id == waiting[0].id
        with st.container(
            horizontal=True, vertical_alignment="center", gap="small", key=f"train-queued-{run.id}"
        ):
            st.button(
                f"{run.id} · {notice.escape(run.name)}", key=f"train-watch-{run.id}", type="tertiary",
                on_click=plans.put, kwargs={"run": str(run.id)}, help="Watch it",
            )  # fmt: skip
            owner = owner_of(run.owner_id)
            held = visitors.held_back(database, run) if run.status is Status.QUEUED else ""
            state = notice.escape(held or _state(run, machines))
            st.caption(" · ".join(filter(None, (owner, state))), width="stretch")
            if run.status is Status.QUEUED and visitors.may_change(database, run.owner_id):
                if not first:
                    _button("To the front", "vertical_align_top", "first", run.id, _to_front)
                _button("Remove", "close", "remove", run.id, _remove)


def _frozen(database: Database) -> None:
    """Draw that nothing begins; who manages, also alone after a class, can end that."""
    manages = access.principal().manages
    who = "The queue is frozen" if manages else "Your teacher has frozen the queue"
    st.info(f"{who}: what trains goes on, and nothing begins.", icon=":material/ac_unit:")
    if manages:
        st.button("Let the queue go on", icon=":material/play_arrow:", key="train-thaw", on_click=_thaw)


def _thaw() -> None:
    try:
        tracking.freeze_queue(run_data.database(), False)
    except (ValueError, OSError) as error:
        notice.defer(str(error))


def in_queue(database: tracking.Database) -> list[RunSummary]:
    """Return the running and waiting runs in queue order."""
    runs = tracking.list_runs(database, statuses=[*ACTIVE, Status.QUEUED], metrics=[], limit=MAX_RUNS)
    order = {number: position for position, number in enumerate(tracking.queue_order(database))}
    return sorted(runs, key=lambda run: (order.get(run.id, -1), run.queued, run.id))


def _button(label: str, icon: str, key: str, run: int, do: Callable[[int], None]) -> None:
    st.button(
        label, icon=f":material/{icon}:", key=f"train-{key}-{run}", type="tertiary", on_click=do, args=(run,)
    )


def _machines(machines: list[Machine], waiting: list[RunSummary]) -> None:
    """Name the active machines if there are several, or if none can take a waiting run."""
    unable = any(tracking.waiting_reason(machines, run.device_class) for run in waiting)
    if len(machines) > 1 or unable:
        st.caption(notice.escape("At work: " + "; ".join(machine.text for machine in machines) + "."))


def _state(run: RunSummary, machines: list[Machine]) -> str:
    if run.status is Status.QUEUED:
        return tracking.waiting_reason(machines, run.device_class) or f"waits for {run.device_text}"
    share = run.step / run.total_steps if run.total_steps else 0
    if not run.trained:
        return f"{run.status}, a loop of its own, step {run.step:,}"
    return f"{run.status} on {run.device}, {100 * share:.0f} %"


def _to_front(run: int) -> None:
    _ask(lambda database: tracking.move_to_front(database, run))


def _remove(run: int) -> None:
    _ask(lambda database: tracking.request(database, run, Command.STOP))


def _ask(do: Callable[[tracking.Database], object]) -> None:
    try:
        do(run_data.database())
    except (ValueError, OSError) as error:
        notice.defer(str(error))


QUEUE_SECONDS = 1.0


def train_page() -> None:
    """Draw the page; if the database cannot be used, an error and the setup."""
    styles()
    requested = st.query_params.get("run")
    try:
        database = run_data.database()
        if requested is not None and (run := _run(database, requested)) is not None:
            notice.show(notice.pending_notices())
            watch(run)
            return
    except (tracking.TrackingError, OSError) as error:
        st.error(f"Runs cannot be used now. {notice.escape(str(error))}", icon=":material/database_off:")
        _plan(None)
        return
    try:
        _plan(database)
    except (tracking.TrackingError, OSError) as error:
        st.error(f"Runs cannot be used now. {notice.escape(str(error))}", icon=":material/database_off:")


def _run(database: Database, requested: str) -> int | None:
    """Return the run that the URL names; None with a notice if it does not exist."""
    if re.fullmatch(r"[0-9]{1,9}", requested) is None:
        notice.defer(f"“run” is the number of a run, not {quoted(requested)}.")
        return None
    try:
        return tracking.get_run(database, int(requested)).id
    except NoSuchRunError:
        notice.defer(f"There is no run {quoted(requested)}.")
        return None


def _plan(database: Database | None) -> None:
    plan = plans.read()
    left, right = st.columns([0.32, 0.68], gap="large")
    with right:
        if database is None:
            example.draw()
        else:
            _queue(database)
            _last_run(database)
    with left:
        setup(plan, database)


def _queue(database: Database) -> None:
    known = [in_queue(database)]  # for the first look, which comes at once
    alive = bool(known[0])

    @st.fragment(run_every=QUEUE_SECONDS if alive else None)
    def live() -> None:
        url_state.restore()
        runs = known.pop() if known else in_queue(database)
        if bool(runs) != alive:
            st.rerun()
        if runs:
            queue(database, runs)

    live()


def _last_run(database: Database) -> None:
    """Draw the newest run that has curves, or the recorded example."""
    shown = (Status.FINISHED, Status.STOPPED, Status.PAUSED)
    finished = tracking.list_runs(database, statuses=shown, metrics=["train/loss"], limit=MAX_RUNS)
    newest = [run for run in finished if run.kind is not tracking.Kind.RECORDED]
    if not newest or not newest[0].metrics:
        example.draw()
        return
    run, run_log = live_run(database, newest[0].id).refresh()
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.header(f"Last run: {run.id} · {notice.escape(run.name)}", anchor=False, width="content")
        st.button(
            "Open it", key="train-last", on_click=plans.put, kwargs={"run": str(run.id)}, type="tertiary"
        )
    left, right = st.columns([0.7, 0.3], gap="medium")
    with left:
        charts(run_log, _published(run), f"run-{run.id}", run_data.trained_layers(run).frozen, run)
    with right:
        sample_predictions(run_log, f"run-{run.id}")
