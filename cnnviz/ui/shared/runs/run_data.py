"""Cached reads of the run database: connection, list of runs, curves and records of single runs."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import streamlit as st

from cnnviz.figures.report.run import class_names
from cnnviz.ui.components.plot import Pick
from cnnviz.ui.shared import visitors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cnnviz.tracking import Curve, Database, RunSummary

KEPT = 6
LOOK_SECONDS = 2.0
"""Seconds between two checks, without a supervisor, whether the processes of runs still live."""
SPEED, ACCURACY = "images_per_second", "test/accuracy"
"""Metrics that are always read, besides the selected one."""


LISTED = 10_000
"""Maximum number of runs in a list: the newest."""


@dataclass(frozen=True)
class Listing:
    """The newest runs that are not deleted, or that are, newest first. Shared by all visitors."""

    runs: tuple[RunSummary, ...]
    disk: dict[int, int]
    """Bytes of the checkpoints by run."""
    metrics: tuple[str, ...]
    """Names of all metrics that any run has logged."""


def database() -> Database:
    """Return the run database; without a supervisor, runs whose process is gone are marked now and then.

    Raises:
        TrackingError: The database cannot be used.
        OSError: The database cannot be opened or read.
    """
    from cnnviz.tracking.database import address

    result = _opened(address().render_as_string(hide_password=False))
    now, looks = time.monotonic(), _last_checks()
    if now - looks.get(result.where, -LOOK_SECONDS) >= LOOK_SECONDS:
        looks[result.where] = now
        _reconcile(result)
    result.verify()
    return result


def _reconcile(database: Database) -> None:
    from cnnviz.training.workers import is_supervised, reconcile

    with suppress(ValueError, OSError):  # reported by the page that needs the database
        if not is_supervised(database):
            reconcile(database, wait=False)


def listing(metric: str, deleted: bool = False) -> Listing:
    """Return the runs with the values of `metric`.

    Raises:
        TrackingError: The database cannot be read.
    """
    from cnnviz import tracking

    opened = database()
    state = tracking.stamp(opened), _edits().get(opened.where, 0)
    result = _listing(opened, opened.where, metric, deleted, state)
    if not visitors.owners(opened):
        return result
    return replace(result, runs=visitors.with_owners(opened, visitors.own_first(opened, result.runs)))


def runs_beyond(ids: Sequence[int], metric: str, deleted: bool = False) -> tuple[RunSummary, ...]:
    """Return those of these runs that exist, though they are older than the runs of `listing`."""
    from cnnviz import tracking

    opened, names = database(), (metric, SPEED, ACCURACY)
    return visitors.with_owners(opened, tracking.list_runs(opened, ids=ids, deleted=deleted, metrics=names))


def invalidate() -> None:
    """Invalidate cached lists after names, notes, tags or checkpoints changed, which no stamp reflects."""
    where = database().where
    _edits()[where] = _edits().get(where, 0) + 1


@st.cache_resource(max_entries=KEPT, show_spinner=False)
def _opened(url: str) -> Database:
    from cnnviz import tracking

    return tracking.connect(url)


@st.cache_resource(max_entries=KEPT, show_spinner=False)
def _listing(_opened: Database, where: str, metric: str, deleted: bool, state: Any) -> Listing:
    from cnnviz import tracking

    return Listing(
        tuple(tracking.list_runs(_opened, deleted=deleted, metrics=(metric, SPEED, ACCURACY), limit=LISTED)),
        tracking.checkpoint_bytes(_opened),
        tuple(tracking.metric_names(_opened)),
    )


@st.cache_resource(show_spinner=False)
def _last_checks() -> dict[str, float]:
    return {}


@st.cache_resource(show_spinner=False)
def _edits() -> dict[str, int]:
    return {}


# Data of single runs, cached until the run progresses.

CACHED_RUNS = 200
POINTS = 1_000
"""Maximum points per curve; a figure is about as many pixels wide."""


@dataclass(frozen=True)
class Matrix:
    """Confusion matrix `counts[true, predicted]`, int64 `(K, K)`, at a step and epoch."""

    counts: NDArray[np.int64]
    classes: tuple[str, ...]
    step: int
    epoch: float


@dataclass(frozen=True)
class TimedCurve:
    """Curve of a metric, with the training time in seconds at each of its points."""

    curve: Curve
    seconds: NDArray[np.float64]


def curve(run: RunSummary, metric: str) -> TimedCurve:
    """Return the curve of a metric of a run."""
    opened = database()
    return _curve(opened, opened.where, run.id, metric, _state(run))


def matrix(run: RunSummary, kind: str = "test/confusion") -> Matrix | None:
    """Return the newest confusion matrix of a run; None if it has none or an invalid one."""
    opened = database()
    return _matrix(opened, opened.where, run.id, kind, run.dataset, _state(run))


def recorded_name(run: RunSummary, metric: str) -> str:
    """Return the metric, or its epoch means where a history has no values of steps: `train/epoch_loss`."""
    part, _, measure = metric.partition("/")
    mean = f"{part}/epoch_{measure}"
    return mean if metric not in run.metrics and mean in run.metrics else metric


def recipe(run_id: int) -> dict[str, Any]:
    """Return the recipe of a run, which never changes."""
    opened = database()
    return _recipe(opened, opened.where, run_id)


def _state(run: RunSummary) -> tuple[Any, ...]:
    """Return values that change whenever a run writes something, for the cache key."""
    return run.key, run.attempt, run.step, run.heartbeat, run.status.value


@st.cache_resource(max_entries=CACHED_RUNS, show_spinner=False)
def _curve(_opened: Database, where: str, run_id: int, metric: str, state: Any) -> TimedCurve:
    from cnnviz import tracking

    sampled = tracking.sample_metric(_opened, run_id, metric, POINTS)
    return TimedCurve(sampled, tracking.elapsed(tracking.history(_opened, run_id), sampled.times))


@st.cache_resource(max_entries=CACHED_RUNS, show_spinner=False)
def _matrix(_opened: Database, where: str, run_id: int, kind: str, dataset: str, state: Any) -> Matrix | None:
    from cnnviz import tracking

    record = tracking.latest_record(_opened, run_id, kind)
    if record is None:
        return None
    counts = np.asarray(record.body, np.int64)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        return None
    about = tracking.latest_record(_opened, run_id, "data")
    classes = about.body.get("classes") if about is not None else None
    return Matrix(counts, class_names(classes, dataset, len(counts)), record.step, record.epoch)


@st.cache_resource(max_entries=CACHED_RUNS, show_spinner=False)
def _recipe(_opened: Database, where: str, run_id: int) -> dict[str, Any]:
    from cnnviz import tracking

    return tracking.recipes(_opened, [run_id]).get(run_id, {})


class OwnLayer(NamedTuple):
    """A layer of a run's network, formatted for a table."""

    name: str
    type: str
    output: str
    params: str
    trainable: str = ""
    rate: str = ""
    """Multiplier of the learning rate; empty if all layers have the same."""


class TrainedLayers(NamedTuple):
    """Trainable parameters and learning-rate multipliers by layer, for runs in which layers differ."""

    by_name: dict[str, dict[str, Any]]

    @property
    def frozen(self) -> frozenset[str]:
        """Layers without trainable parameters."""
        return frozenset(name for name, layer in self.by_name.items() if not layer["trainable"])

    @property
    def rates(self) -> dict[str, str]:
        """Learning-rate multiplier of each layer that trains; empty if all are the same."""
        parts = {name: layer["rate"] for name, layer in self.by_name.items() if layer["rate"] is not None}
        return {name: f"× {part:.3g}" for name, part in parts.items()} if len(set(parts.values())) > 1 else {}

    def sentence(self) -> str:
        """Describe which layers are frozen, and which have a lower rate."""
        weighted = len(self.by_name)
        held = sum(layer["params"] - layer["trainable"] for layer in self.by_name.values())
        whole = sum(layer["params"] for layer in self.by_name.values())
        sentences = []
        if held:
            sentences.append(
                f"{len(self.frozen)} of {weighted} layers with weights are frozen: {held:,} of {whole:,} "
                "parameters keep their first values."
            )
        if rates := self.rates:
            sentences.append(f"Parts of the learning rate: {', '.join(dict.fromkeys(rates.values()))}.")
        return " ".join(sentences)


def trained_layers(run: RunSummary) -> TrainedLayers:
    """Return which layers train; empty if all train alike, and for runs before this was recorded."""
    opened = database()
    return _trained_layers(opened, opened.where, run.id, run.attempt, run.step > 0)


@st.cache_resource(max_entries=CACHED_RUNS, show_spinner=False)
def _trained_layers(_opened: Database, where: str, run_id: int, attempt: int, begun: bool) -> TrainedLayers:
    from cnnviz import tracking

    record = tracking.latest_record(_opened, run_id, "trained_layers")
    return TrainedLayers({layer["name"]: layer for layer in record.body} if record is not None else {})


def own_layers(run: RunSummary) -> tuple[OwnLayer, ...]:
    """Return the layers of a network without a recipe, or of which not all layers train alike."""
    learning = trained_layers(run)
    opened = database()
    rows = () if run.has_recipe else _own_layers(opened, opened.where, run.id, run.step > 0)
    if not learning.by_name:
        return rows
    plain = [
        OwnLayer(layer["name"], layer["type"], "", f"{layer['params']:,}")
        for layer in learning.by_name.values()
    ]
    return tuple(_with_learning(row, learning) for row in rows or plain)


def _with_learning(row: OwnLayer, learning: TrainedLayers) -> OwnLayer:
    known = learning.by_name.get(row.name)
    if known is None:
        return row
    trainable = f"{known['trainable']:,}" if known["trainable"] else "frozen"
    return row._replace(trainable=trainable, rate=learning.rates.get(row.name, ""))


@st.cache_resource(max_entries=CACHED_RUNS, show_spinner=False)
def _own_layers(_opened: Database, where: str, run_id: int, begun: bool) -> tuple[OwnLayer, ...]:
    from cnnviz import tracking
    from cnnviz.analysis.precomputed import decode

    record = tracking.latest_record(_opened, run_id, "network")
    if record is None:
        return ()
    try:
        rows = decode(record.body["analysis"]).rows if record.body["analysis"] else ()
    except (ValueError, KeyError, TypeError):
        return ()
    if rows:
        shapes = ("×".join(map(str, row.output_shape)) for row in rows)
        return tuple(
            OwnLayer(row.name, row.type, shape, f"{row.params:,}")
            for row, shape in zip(rows, shapes, strict=True)
        )
    plain = record.body.get("layers", ())
    return tuple(OwnLayer(layer["name"], layer["type"], "", f"{layer['params']:,}") for layer in plain)


COLUMNS = ("layer", "type", "output", "parameters", "trainable", "rate")


def own_layers_table(run: RunSummary) -> str:
    """Return the layers as an HTML table, without empty columns; empty if there are none."""
    layers = own_layers(run)
    if not layers:
        return ""
    shown = [index for index in range(len(COLUMNS)) if index < 2 or any(row[index] for row in layers)]
    head = "".join(f"<th{_of_numbers(index)}>{COLUMNS[index]}</th>" for index in shown)
    lines = "".join(
        "<tr>"
        + f'<th scope="row">{escape(row.name)}</th>'
        + "".join(f"<td{_of_numbers(index)}>{escape(row[index])}</td>" for index in shown[1:])
        + "</tr>"
        for row in layers
    )
    sentence = escape(trained_layers(run).sentence())
    return (
        f'<div class="own-layers"><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>'
        f"{f'<p>{sentence}</p>' if sentence else ''}</div>"
    )


def _of_numbers(index: int) -> str:
    return ' class="number"' if index > 2 else ""


# Clicks on figures: a component returns the last click on every rerun until the next one.

SEEN = "runs-picks"


def new_click(key: str, pick: Pick | None) -> Pick | None:
    """Return a click on the figure with that key the first time it is seen, else None."""
    seen = st.session_state.setdefault(SEEN, {})
    if pick is None:
        seen.pop(key, None)
        return None
    known, seen[key] = seen.get(key), dict(pick)
    return None if known == dict(pick) else pick
