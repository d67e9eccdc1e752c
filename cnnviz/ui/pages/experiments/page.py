"""Experiments page: one experiment with its result or plan, and the list of all others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

import streamlit as st

from cnnviz import datasets, experiments
from cnnviz.experiments import SavedExperiment
from cnnviz.experiments.demos import Demo, list_demos
from cnnviz.experiments.presets import FORMS, Preset, list_presets
from cnnviz.experiments.recordings import names, recording
from cnnviz.experiments.results import to_csv
from cnnviz.experiments.verdict import Interval, brief, decided, inconclusive_text
from cnnviz.tracking import Database, Status
from cnnviz.ui.pages.experiments import state, views
from cnnviz.ui.pages.experiments.state import LoadedExperiment, chosen, of_stored
from cnnviz.ui.pages.experiments.views import demonstration, plan, progress_and_actions, small_form_result
from cnnviz.ui.shared import layout, notice, url_state, visitors
from cnnviz.ui.shared.layout import following
from cnnviz.ui.shared.model_picker import share_button
from cnnviz.ui.shared.runs import run_data
from cnnviz.ui.shared.runs.recipe_plan import test_parameters as parameters
from cnnviz.ui.shared.url_state import show_value

# Export: runs as CSV, result as JSON, and the experiment itself, to be run elsewhere.


def exports(chosen: LoadedExperiment) -> None:
    """Draw the menu."""
    stem = f"experiment-{chosen.key}"
    with st.popover("Export", icon=":material/download:", key="experiments-export", type="tertiary"):
        if chosen.result is not None:
            _button("Runs (CSV)", "A line for each run: condition, seed, accuracies, seconds.",
                    to_csv(chosen.result), f"{stem}.csv", "text/csv")  # fmt: skip
            _button("Answer (JSON)", "As `cnnviz experiment show --json` writes it.",
                    chosen.result.write(), f"{stem}-answer.json", "application/json")  # fmt: skip
        _button("The experiment itself (JSON)", "`cnnviz experiment run FILE` runs it anywhere.",
                chosen.experiment.write(), f"{stem}.json", "application/json")  # fmt: skip


def _button(label: str, about: str, data: str, name: str, mime: str) -> None:
    st.download_button(
        label, data, name, mime, key=f"experiments-{label}", help=about, on_click="ignore", type="tertiary",
        icon=":material/download:",
    )  # fmt: skip


# The bar on top: experiment, form, export; share.

WHICH, FORM = "experiments-which", "experiments-form"
FORM_NAMES = {"small": "For a laptop", "large": "For a GPU"}


def bar(loaded: LoadedExperiment | Demo, own: Sequence[SavedExperiment]) -> None:
    """Draw the bar."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="experiments-bar"):
        _which(loaded, own)
        if isinstance(loaded, LoadedExperiment) and loaded.preset is not None:
            _form(loaded)
        with st.container(horizontal=True, gap="xsmall", width="content", key="experiments-actions"):
            if isinstance(loaded, LoadedExperiment):
                exports(loaded)
            which = loaded.key if isinstance(loaded, LoadedExperiment) else loaded.name
            share_button(_elsewhere(loaded), experiment=None if "test" in st.query_params else which)


def _elsewhere(loaded: LoadedExperiment | Demo) -> str | None:
    """Return a URL that contains a started experiment, for other apps.

    None if the experiment was not started here, is too long for a URL, or uses data that other apps lack.
    """
    if (
        not isinstance(loaded, LoadedExperiment)
        or loaded.stored is None
        or loaded.experiment.base.dataset not in datasets.names()
    ):
        return None
    try:
        return f"{st.context.url}?{urlencode(parameters(loaded.experiment))}"
    except ValueError:
        return None


def _which(loaded: LoadedExperiment | Demo, own: Sequence[SavedExperiment]) -> None:
    labels = {str(stored.id): f"{stored.id} · {stored.experiment.question}" for stored in own}
    labels |= {preset.name: preset.title for preset in list_presets().values()}
    labels |= {shown.name: shown.title for shown in list_demos().values()}
    key = loaded.key if isinstance(loaded, LoadedExperiment) else loaded.name
    labels.setdefault(key, loaded.title)
    show_value(WHICH, key)
    st.selectbox(
        "Experiment", list(labels), key=WHICH, format_func=lambda name: labels.get(name, name), width=400,
        label_visibility="collapsed", on_change=partial(url_state.pick, WHICH, labels, key, state.choose),
    )  # fmt: skip


def _form(loaded: LoadedExperiment) -> None:
    show_value(FORM, loaded.form)
    st.segmented_control(
        "Size", FORMS, key=FORM, format_func=lambda form: FORM_NAMES[form], required=True,
        label_visibility="collapsed", on_change=_formed,
        help="The small form takes minutes on two cores, offline; the large one has the articles' data.",
    )  # fmt: skip


def _formed() -> None:
    form = str(st.session_state[FORM])
    url_state.change(form=None if form == FORMS[0] else form)


# The list of experiments: started ones, presets, demonstrations.


def listing(stored: Sequence[SavedExperiment], database: Database | None) -> None:
    """Draw all experiments, a link and a line each: the visitor's own, others', and what ships."""
    owner_of = visitors.owner_namer(database) if database is not None else lambda _: ""
    owners = {s.id: owner_of(s.owner_id) for s in stored}
    for title, others in (("Your experiments", False), ("Experiments of others", True)):
        rows = [
            (
                str(s.id),
                f"{s.id} · {s.experiment.name}",
                " · ".join(filter(None, (owners.get(s.id), _state(s)))),
            )
            for s in stored
            if bool(owners.get(s.id)) is others
        ]
        if rows:
            _group(title, rows)
    _presets()
    _group(
        "No training needed", ((d.name, d.title, f"Asked by {d.asked_by}.") for d in list_demos().values())
    )


def _presets() -> None:
    """Draw the presets with a conclusive result first, each with its intervals on one scale.

    Then the others.
    """
    measured = {preset.name: _differences(preset) for preset in list_presets().values()}
    for title, conclusive in (("Presets", True), ("Presets without a clear answer yet", False)):
        shown = [preset for preset in list_presets().values() if decided(measured[preset.name]) is conclusive]
        if not shown:
            continue
        st.header(title, anchor=False)
        if conclusive:
            st.caption(
                "Each line is a difference to the baseline in accuracy, with its 95 % interval, from "
                f"−{100 * SPAN:.0f} to +{100 * SPAN:.0f} points; a full dot is decided."
            )
        with st.container(key=f"experiments-list-{'decided' if conclusive else 'open'}"):
            for preset in shown:
                with st.container(horizontal=True, gap="small"):
                    layout.link("experiments", preset.title, experiment=preset.name)
                    st.html(_intervals(measured[preset.name]), width=180)
                    st.caption(notice.escape(f"{_answer(preset)} {inconclusive_text(measured[preset.name])}"))


def _differences(preset: Preset) -> list[Interval]:
    """Return the recorded differences of a preset by condition; empty if none ship."""
    if preset.name not in names():
        return []
    conditions = recording(preset.name).result.conditions[1:]
    return [condition.difference for condition in conditions if condition.difference is not None]


SPAN = 0.3
"""Half range of the small interval plots, as accuracy; intervals beyond it are clipped."""


def _intervals(differences: Sequence[Interval]) -> str:
    """Return a small interval plot as HTML: one line per condition, 0 in the middle."""

    def at(value: float) -> float:
        return 50 * (1 + max(-1.0, min(1.0, value / SPAN)))

    rows = []
    for interval in differences:
        line = ""
        if interval.low is not None and interval.high is not None:
            low, high = at(interval.low), at(interval.high)
            line = f'<i style="left:{low:.1f}%;width:{high - low:.1f}%"></i>'
        dot = f'<b class="{"apart" if interval.apart else ""}" style="left:{at(interval.mean):.1f}%"></b>'
        rows.append(f"<div>{line}{dot}</div>")
    return f'<div class="experiment-intervals" aria-hidden="true">{"".join(rows)}</div>'


def _group(title: str, entries: Iterable[tuple[str, str, str]]) -> None:
    st.header(title, anchor=False)
    with st.container(key=f"experiments-list-{title.split()[0].lower()}"):
        for key, name, about in entries:
            with st.container(horizontal=True, gap="small"):
                layout.link("experiments", name, experiment=key)
                st.caption(notice.escape(about))


def _answer(preset: Preset) -> str:
    """Return the recorded result of a preset in words, or who asked the question."""
    if preset.name not in names():
        return f"Asked by {preset.asked_by}."
    result = recording(preset.name).result
    text = "; ".join(brief(condition.name, condition.difference) for condition in result.conditions[1:])
    pairs = [
        condition.difference.n for condition in result.conditions[1:] if condition.difference is not None
    ]
    return f"{text}. n = {' to '.join(map(str, dict.fromkeys((min(pairs), max(pairs)))))}."


def _state(stored: SavedExperiment) -> str:
    finished = sum(run is not None and run.status is Status.FINISHED for run in stored.runs.values())
    return f"{stored.experiment.question} {finished} of {len(stored.runs)} runs."


CSS = Path(__file__).with_name("experiments.css")
PAIRED = (
    "One run that went better is no proof: with another seed, that is with other first weights and another "
    "order of images, it might have gone worse.\n\nSo each condition is trained with the same seeds. Runs "
    "of one "
    "seed make a pair that differs in nothing but the change, and when all of them have ended this page "
    "says what the change does, with an interval, or that no difference can be seen."
)
TICK_SECONDS = 2.0
"""Rerun interval while an experiment is running."""


def experiments_page() -> None:
    """Draw the page; if the database cannot be used, an error and the shipped results."""
    if following():
        return
    st.html(CSS)
    page_state, problems = state.current(), []
    database: Database | None = None
    stored: Sequence[SavedExperiment] = ()
    try:
        database = run_data.database()
        stored = visitors.own_first(database, experiments.list_all(database))
    except (ValueError, OSError) as error:
        database = None
        problems.append(f"Experiments cannot be started now. {error}")
    shown = list_demos().get(page_state.name or "")
    loaded = shown or chosen(page_state, stored, database, problems)
    bar(loaded, stored)
    notice.show([*page_state.problems, *problems, *notice.pending_notices()])
    if not isinstance(loaded, LoadedExperiment):
        demonstration(loaded)
    elif loaded.stored is not None and database is not None:
        _follow(loaded.stored, database)
    else:
        _not_started(loaded, database)
    listing(stored, database)


def _follow(stored: SavedExperiment, database: Database) -> None:
    """Draw a started experiment, repeatedly while it is running."""
    alive = bool(stored.waiting())

    @st.fragment(run_every=TICK_SECONDS if alive else None)
    def live() -> None:
        url_state.restore()
        try:
            loaded = experiments.get(database, stored.id)
            if bool(loaded.waiting()) != alive:
                st.rerun()  # the whole page, so that the ticking ends or begins
            _draw(of_stored(database, loaded), database)
        except (ValueError, OSError) as error:
            st.error(f"The experiment cannot be read just now. {notice.escape(str(error))}")

    with st.container(key="experiments-live"):
        live()


def _draw(loaded: LoadedExperiment, database: Database) -> None:
    if loaded.result is None or loaded.stored is None:
        return
    views.verdict(loaded.result)
    progress_and_actions(loaded.stored, database)
    views.evidence(loaded, loaded.result)
    views.runs_link(loaded.result)


def _not_started(loaded: LoadedExperiment, database: Database | None) -> None:
    """Draw a preset with its recorded result, or an experiment from a link, and how to run it."""
    if loaded.result is not None:
        views.verdict(loaded.result)
        st.caption(
            f"A finished experiment, recorded on {notice.escape(loaded.result.hardware)} with torch "
            f"{loaded.torch}; below you can run it yourself."
        )
    else:
        st.header(loaded.experiment.question, anchor=False)
    if loaded.preset is None:
        _from_link(loaded, database)
        return
    left, right = st.columns([0.64, 0.36], gap="large")
    with left:
        if loaded.result is not None:
            views.evidence(loaded, loaded.result)
        else:
            _draw_about(loaded.preset)
            small_form_result(loaded.preset)
    with right:
        if loaded.result is not None:
            _draw_about(loaded.preset)
        if database is not None:
            plan(loaded, database)
        if loaded.form == "small":
            st.caption(f"What the small form cannot tell: {loaded.preset.limits}")


def _from_link(loaded: LoadedExperiment, database: Database | None) -> None:
    """Draw an experiment from a link: nothing of it has run, so its plan is shown."""
    left, right = st.columns([0.5, 0.5], gap="large")
    with left:
        st.markdown(PAIRED)
    with right:
        if database is not None:
            plan(loaded, database)


def _draw_about(preset: Preset) -> None:
    st.markdown(preset.about)
    st.caption(f"Asked by {preset.asked_by}.")
