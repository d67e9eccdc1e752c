"""Views of an experiment: verdict, figure, table, demonstration, progress, and the plan before it starts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from html import escape
from typing import Literal

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cnnviz import experiments, tracking
from cnnviz.experiments import Experiment, Result, SavedExperiment, start
from cnnviz.experiments.demos import Demo, DemoResult, list_demos
from cnnviz.experiments.experiment import MAX_SEEDS, changes_text
from cnnviz.experiments.presets import Preset
from cnnviz.experiments.recordings import names, recording
from cnnviz.experiments.results import HEAD, cells, verdict_lines
from cnnviz.experiments.running import Progress, expected, needs_confirmation, progress
from cnnviz.figures import numbers
from cnnviz.figures.experiment import condition_color, experiment_alt, height
from cnnviz.figures.experiment import experiment as picture
from cnnviz.tracking import Database, Status
from cnnviz.training.estimate import device_name
from cnnviz.ui.components.plot import plot
from cnnviz.ui.pages.experiments.state import LoadedExperiment
from cnnviz.ui.shared import layout, notice, url_state, visitors
from cnnviz.ui.shared.layout import follow
from cnnviz.ui.shared.runs.recipe_plan import download_note
from cnnviz.ui.shared.runs.run_data import new_click

COMPARED = 4
"""Maximum number of runs that the Runs page overlays."""
HELP = dict(
    zip(
        HEAD,
        (
            "What was tried.",
            "Runs that finished.",
            "Mean over the seeds, after the last epoch, not the best one.",
            "Mean of the paired differences to the baseline, in percentage points, with its 95 % interval.",
            "Mean training accuracy over the last epoch, with dropout and augmentation at work.",
            "Values that training changes.",
            "Mean time in training.",
        ),
        strict=True,
    )
)


def verdict(result: Result) -> None:
    """Draw the question and the verdict."""
    lines = verdict_lines(result)
    paragraphs = "".join(f"<p>{escape(line)}</p>" for line in lines)
    question = f"{result.question} Against “{result.conditions[0].name}”:"
    st.html(f'<div class="experiment-verdict"><span>{escape(question)}</span>{paragraphs}</div>')


def evidence(chosen: LoadedExperiment, result: Result) -> None:
    """Draw figure, table and notes."""
    picked = plot(
        picture(result), key=f"experiment-{chosen.key}", height=height(result), alt=experiment_alt(result),
        name=f"experiment-{chosen.key}", picks=chosen.stored is not None,
    )  # fmt: skip
    point = new_click("experiment", picked)
    if point is not None and point["customdata"] and point["customdata"][0]:
        run = str(point["customdata"][0])
        follow("runs", f"See run {run}", run=run)
    table(result)
    for note in result.notes:
        st.caption(notice.escape(note))


def table(result: Result) -> None:
    """Draw a table of the conditions and their changes."""
    head, lines = cells(result)
    heads = "".join(f'<th scope="col" title="{escape(HELP[name])}">{escape(name)}</th>' for name in head)
    rows = "".join(
        f'<tr><th scope="row"><i style="background:{condition_color(index).css}"></i>{escape(line[0])}'
        f"<small>{escape(condition.changes or 'the baseline')}</small></th>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in line[1:])
        + "</tr>"
        for index, (condition, line) in enumerate(zip(result.conditions, lines, strict=True))
    )
    st.html(
        '<div class="experiment-table" tabindex="0" role="region" aria-label="Conditions in figures"><table>'
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def runs_link(result: Result) -> None:
    """Draw the link to the runs, with those of the first seed compared."""
    first = [
        condition.outcomes[0].run for condition in result.conditions if condition.outcomes[0].run is not None
    ]
    if first:
        layout.link(
            "runs",
            "Its runs side by side",
            icon=":material/table_rows:",
            tag=f"experiment {result.id}",
            runs=",".join(map(str, first[:COMPARED])),
        )


# A demonstration: code that is run live, its result, and an explanation.


def demonstration(demo: Demo) -> None:
    """Run a demonstration and draw its result."""
    shown = _run(demo.name)
    st.html(
        f'<div class="experiment-verdict"><span>{escape(demo.question)}</span>'
        f"<p>{escape(shown.conclusion)}</p></div>"
    )
    left, right = st.columns([0.52, 0.48], gap="large")
    with left:
        st.code(demo.code, language="python", wrap_lines=True)
        if shown.message:
            st.markdown("What torch says:")
            st.code(shown.message, language=None, wrap_lines=True)
        if demo.mended:
            st.markdown("Fixed:")
            st.code(demo.mended, language="python", wrap_lines=True)
        for paragraph in demo.explanation.split("\n\n"):
            st.markdown(paragraph)
    with right:
        _table(shown)
        st.caption("Run just now, by this app, with the torch that is installed here.")


@st.cache_data(max_entries=8, show_spinner="Running it …")
def _run(name: str) -> DemoResult:
    return list_demos()[name].run()


def _table(shown: DemoResult) -> None:
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in shown.head)
    rows = "".join(
        f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in line)}</tr>'
        for first, *line in shown.lines
    )  # fmt: skip
    st.html(
        '<div class="experiment-table" tabindex="0" role="region" aria-label="What was tried, what it did">'
        f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


# The recorded result of the small form, shown with the large form, which has none.


def small_form_result(preset: Preset) -> None:
    """Draw the small form's result, if one ships."""
    if preset.name not in names():
        return
    result = recording(preset.name).result
    st.header("Meanwhile, what the small form says", anchor=False)
    plot(
        picture(result), key=f"experiment-{preset.name}-small", height=height(result),
        alt=experiment_alt(result), name=f"experiment-{preset.name}", picks=False,
    )  # fmt: skip
    for line in verdict_lines(result):
        st.markdown(notice.escape(line))
    st.caption(f"What it cannot tell: {preset.limits}")


# A button that queues runs, with a confirmation for many or long ones.


def queue_button(
    label: str,
    *,
    key: str,
    icon: str,
    about: str,
    runs: int,
    seconds: float | None,
    below: DeltaGenerator,
    kind: Literal["primary", "secondary"] = "secondary",
) -> bool:
    """Draw the button; return whether it was pressed and, for many or long runs, confirmed.

    Args:
        label: The button's text.
        key: Key of the widget.
        icon: The button's icon.
        about: The button's help.
        runs: Number of runs that it queues.
        seconds: Their estimated duration; None if unknown.
        below: Container of the confirmation.
        kind: The button's type.
    """
    pressed = st.button(label, type=kind, icon=icon, key=key, help=about)
    if not needs_confirmation(runs, seconds):
        return pressed
    pressed_key = f"{key}-{runs}-asked"
    if pressed:
        st.session_state[pressed_key] = True
    if not st.session_state.get(pressed_key):
        return False
    with below.container(border=True, key=f"{key}-confirm"):
        st.warning(notice.escape(f"{queues_text(runs, seconds)} They train one after another."))
        yes = st.button(f"Queue all {runs:,} runs", key=f"{key}-yes", icon=":material/done_all:")
        no = st.button("Cancel", key=f"{key}-no", type="tertiary")
    if yes or no:
        del st.session_state[pressed_key]
    if no:
        st.rerun()
    return yes


def queues_text(runs: int, seconds: float | None) -> str:
    """Describe what a click queues, such as `This queues 600 runs, about 2 d 3 h on this machine.`."""
    long = "nobody knows how long" if seconds is None else f"about {numbers.duration(seconds)}"
    return f"This queues {runs:,} run{'' if runs == 1 else 's'}, {long} on this machine."


def check_room(database: Database, runs: int) -> bool:
    """Return whether so many more runs may wait; if not, draw a warning."""
    try:
        tracking.require_queue_capacity(database, runs)
    except tracking.TrackingError as error:
        st.warning(notice.escape(str(error)), icon=":material/info:")
        return False
    return True


# A started experiment: progress and actions.

MAX_GOING = 3
"""Maximum number of active runs that are named."""
MORE = 2
"""Number of seeds that the button adds."""


def progress_and_actions(stored: SavedExperiment, database: Database) -> None:
    """Draw the progress of a running experiment, and the buttons."""
    state = progress(database, stored)
    each = None if state.waiting else _seconds_of_a_run(stored)
    more = MORE * len(stored.experiment.names)
    broken = None if each is None else each * state.broken
    more_seconds = None if each is None else each * (state.broken + more)
    if state.waiting:
        st.progress(state.share, _describe(stored, state))
    if not visitors.may_change(database, stored.owner_id):
        instead = "look at it; the address under Share opens a copy of it."
        st.caption(notice.escape(visitors.whose(database, stored.owner_id, "This experiment", instead)))
        return
    row = st.container(horizontal=True, gap="small", vertical_alignment="center", key="experiments-acts")
    act = partial(_button, stored, st.container())
    with row:
        if state.waiting:
            act("Stop", ":material/stop:", lambda: experiments.stop(database, stored.id),
                "Its runs keep what they have learned, and can be gone on with.")  # fmt: skip
        elif state.broken:
            act("Go on", ":material/play_arrow:", lambda: experiments.queue(database, stored.id),
                "Queues what is missing and resumes what ended early.", state.broken, broken)  # fmt: skip
        if not state.waiting and len(stored.experiment.seeds) + MORE <= MAX_SEEDS:
            act(f"{MORE} more seeds", ":material/add:", lambda: experiments.extend(database, stored.id, MORE),
                "More pairs make the interval narrower.", state.broken + more, more_seconds)  # fmt: skip
        if state.going:
            run = stored.runs[state.going[0]]
            layout.link(
                "train", "Watch the run", icon=":material/monitoring:", run=str(run.id) if run else None
            )


def _describe(stored: SavedExperiment, state: Progress) -> str:
    left = "" if state.seconds_left is None else f", about {numbers.duration(state.seconds_left)} left"
    shown = [f"{cell.condition}, seed {cell.seed}" for cell in state.going[:MAX_GOING]]
    further = len(state.going) - len(shown)
    now = f" · now: {'; '.join(shown)}" if shown else ""
    now += f"; and {further} more" if further else ""
    return notice.escape(f"{state.done} of {state.total} runs{left}{now}")


def _seconds_of_a_run(stored: SavedExperiment) -> float | None:
    """Return the mean duration of the finished runs; None if there are none."""
    ended = [run.seconds for run in stored.runs.values() if run is not None and run.status is Status.FINISHED]
    return sum(ended) / len(ended) if ended else None


def _button(
    stored: SavedExperiment,
    below: DeltaGenerator,
    label: str,
    icon: str,
    act: Callable[[], object],
    about: str,
    runs: int = 0,
    seconds: float | None = None,
) -> None:
    key = f"experiments-{label}-{stored.id}"
    if not queue_button(label, icon=icon, key=key, about=about, runs=runs, seconds=seconds, below=below):
        return
    try:
        act()
    except (ValueError, OSError) as error:
        st.error(notice.escape(str(error)), icon=":material/error:")
        return
    st.rerun()


# Plan: conditions, seeds, duration, and the start button.

SEEDS = "experiments-seeds"
WANTING = (
    "This form is made for a GPU, and this machine has none. “Export” takes the experiment to one that has; "
    "the form for a laptop asks the same and takes minutes."
)


def plan(chosen: LoadedExperiment, database: Database) -> None:
    """Draw the plan."""
    experiment = chosen.experiment
    wanting = chosen.form == "large" and device_name(experiment.base) == "cpu"
    with st.container(border=True, key="experiments-plan"):
        st.markdown("**Run it here**")
        _conditions(experiment)
        runs, seconds = len(list(experiment.cells())), _expected(experiment, database)
        fits = check_room(database, runs)
        if wanting:
            st.warning(WANTING, icon=":material/info:")
        row = st.container(
            horizontal=True, gap="small", vertical_alignment="bottom", key="experiments-start-row"
        )
        below = st.container()
        with row:
            _seeds(len(experiment.seeds))
            kind: Literal["primary", "secondary"] = "secondary" if wanting else "primary"
            if fits and queue_button(
                "Start", kind=kind, icon=":material/play_arrow:", key="experiments-start", runs=runs,
                seconds=seconds, about="Queues the runs like any others; this page follows them.",
                below=below,
            ):  # fmt: skip
                _start(experiment, database)


def _conditions(experiment: Experiment) -> None:
    lines = [(experiment.base_name, "the baseline")]
    lines += [
        (condition.name, changes_text(experiment, condition.name)) for condition in experiment.conditions
    ]
    items = "".join(
        f'<li><i style="background:{condition_color(index).css}"></i>{escape(name)}'
        f"<small>{escape(change)}</small></li>"
        for index, (name, change) in enumerate(lines)
    )
    st.html(f'<ul class="experiment-conditions">{items}</ul>')


def _expected(experiment: Experiment, database: Database) -> float | None:
    """Draw the number of runs, and return their estimated duration in seconds; None if unknown."""
    conditions, seeds = len(experiment.names), len(experiment.seeds)
    text = (
        f"{conditions * seeds} runs: {conditions} conditions of {seeds} seed{'s' if seeds > 1 else ''} each"
    )
    try:
        seconds, basis = expected(database, experiment)
    except ValueError as error:
        st.warning(notice.escape(str(error)), icon=":material/info:")
        return None
    about = "" if seconds is None else f", about {numbers.duration(seconds)} on this machine"
    fetched = download_note(experiment.base)
    st.caption(notice.escape(f"{text}{about}. {basis} {fetched}"))
    if seeds == 1:
        st.caption("One seed gives no interval: chance cannot be told from effect.")
    return seconds


def _seeds(count: int) -> None:
    st.session_state[SEEDS] = count
    st.number_input(
        "Seeds", 1, MAX_SEEDS, key=SEEDS, width=120, on_change=_seeded,
        help="Runs of each condition. More of them make the interval narrower: four times as many halve it.",
    )  # fmt: skip


def _seeded() -> None:
    url_state.change(seeds=str(st.session_state[SEEDS]))


def _start(experiment: Experiment, database: Database) -> None:
    """Start the experiment and show it; errors are reported."""
    try:
        number = start(database, experiment)
    except (ValueError, OSError) as error:
        st.error(notice.escape(str(error)), icon=":material/error:")
        return
    url_state.change(experiment=str(number), test=None, parent=None, form=None, seeds=None)
    st.rerun()
