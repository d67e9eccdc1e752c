"""Results of an experiment: accuracies, differences to the baseline, and the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from cnnviz import tracking
from cnnviz.experiments import running, verdict
from cnnviz.experiments.experiment import METRIC, Cell, Experiment, changes_text
from cnnviz.experiments.running import SavedExperiment
from cnnviz.experiments.verdict import Interval, Outcome, decimals, paired, points
from cnnviz.formats import csv_text
from cnnviz.tracking import Database, RunSummary, Status

TRAINING = "train/epoch_accuracy"
"""Training accuracy over the last epoch, with dropout and augmentation."""


class ConditionResult(BaseModel):
    """Result of one condition; the first one is the baseline, whose `difference` is None."""

    model_config = ConfigDict(frozen=True)

    name: str
    changes: str
    """Its changes of the base recipe, as text."""
    params: int | None
    outcomes: tuple[Outcome, ...]
    """One per seed, in the experiment's order."""
    difference: Interval | None
    """Paired difference to the baseline of accuracies in [0, 1], over seeds that finished in

    both, if any.
    """
    sentence: str

    @property
    def values(self) -> list[float]:
        """Accuracies of the finished runs."""
        return [outcome.accuracy for outcome in self.outcomes if outcome.accuracy is not None]

    @property
    def n(self) -> int:
        """Number of runs that finished with an accuracy."""
        return len(self.values)

    @property
    def mean(self) -> float | None:
        """Mean accuracy, in [0, 1]."""
        return _mean(self.values)

    @property
    def training(self) -> float | None:
        """Mean training accuracy over the last epoch, in [0, 1]."""
        return _mean([o.training for o in self.outcomes if o.accuracy is not None and o.training is not None])

    @property
    def seconds(self) -> float | None:
        """Mean training time in seconds."""
        return _mean([o.seconds for o in self.outcomes if o.accuracy is not None and o.seconds is not None])


class Result(BaseModel):
    """Results so far, as plain values; `write` serializes them as JSON."""

    model_config = ConfigDict(frozen=True, validate_by_name=True, serialize_by_alias=True)

    format: Literal["cnnviz-experiment-result/1"] = "cnnviz-experiment-result/1"
    id: int | None
    name: str
    question: str
    metric: str = METRIC
    epochs: str
    """Such as `at 5 epochs`."""
    test_images: int | None
    hardware: str
    conditions: tuple[ConditionResult, ...] = Field(alias="arms")
    verdict: str
    notes: tuple[str, ...]
    """Failed or missing runs, the method of the intervals, and what they do not cover."""

    @property
    def complete(self) -> bool:
        """Return whether every run finished with an accuracy."""
        return all(
            outcome.accuracy is not None for condition in self.conditions for outcome in condition.outcomes
        )

    def write(self) -> str:
        """Serialize the result as indented JSON."""
        return self.model_dump_json(indent=1)


def result(database: Database, experiment_id: int) -> Result:
    """Compute the results of an experiment so far; raise `NoSuchExperimentError`."""
    return result_of(database, running.get(database, experiment_id))


def result_of(database: Database, stored: SavedExperiment) -> Result:
    """Compute the results of an experiment that is already loaded; see `result`."""
    experiment = stored.experiment
    outcomes = {
        name: tuple(outcome(stored.runs[Cell(name, seed)], seed) for seed in experiment.seeds)
        for name in experiment.names
    }
    runs = [run for run in stored.runs.values() if run is not None and run.status is Status.FINISHED]
    full = [tracking.get_run(database, run.id) for run in runs]
    epochs = verdict.epochs_text([experiment.recipe(name).epochs for name in experiment.names])
    params = {name: _params(stored, name) for name in experiment.names}
    conditions = condition_results(experiment, outcomes, params, epochs)
    images = _test_images(database, runs)
    return Result(
        id=stored.id,
        name=experiment.name,
        question=experiment.question,
        epochs=epochs,
        test_images=images,
        hardware=", ".join(dict.fromkeys(run.hardware for run in full if run.hardware)),
        conditions=conditions,
        verdict=verdict.verdict([condition.sentence for condition in conditions[1:]], outcomes),
        notes=verdict.notes(
            outcomes, [condition.difference for condition in conditions[1:]], conditions[0].mean, images
        )
        + _other_data(stored, {run.id: run.fingerprint for run in full}),
    )


def condition_results(
    experiment: Experiment,
    outcomes: dict[str, tuple[Outcome, ...]],
    params: dict[str, int | None],
    epochs: str,
) -> tuple[ConditionResult, ...]:
    """Compute the results of all conditions, the baseline first."""
    results = []
    for name in experiment.names:
        is_base = name == experiment.base_name
        paired_difference = (
            None
            if is_base
            else difference(outcomes[experiment.base_name], outcomes[name], len(experiment.conditions))
        )
        results.append(
            ConditionResult(
                name=name,
                changes="" if is_base else changes_text(experiment, name),
                params=params[name],
                outcomes=outcomes[name],
                difference=paired_difference,
                sentence="" if is_base else verdict.describe_condition(name, paired_difference, epochs),
            )
        )
    return tuple(results)


def difference(base: Sequence[Outcome], condition: Sequence[Outcome], comparisons: int) -> Interval | None:
    """Compute the paired difference over seeds that finished in both; None without any."""
    differences = [
        b.accuracy - a.accuracy
        for a, b in zip(base, condition, strict=True)
        if a.accuracy is not None and b.accuracy is not None
    ]
    return paired(differences, comparisons) if differences else None


def outcome(run: RunSummary | None, seed: int) -> Outcome:
    """Return the outcome of a run; only a finished run has an accuracy."""
    if run is None:
        return Outcome(seed=seed, run=None, status="missing", accuracy=None)
    last = (
        {name: metric.last for name, metric in run.metrics.items()} if run.status is Status.FINISHED else {}
    )
    return Outcome(
        seed=seed,
        run=run.id,
        status=run.status.value,
        accuracy=last.get(METRIC),
        training=last.get(TRAINING),
        seconds=run.seconds,
        why=run.error or "",
    )


def _params(stored: SavedExperiment, name: str) -> int | None:
    runs = (stored.runs[Cell(name, seed)] for seed in stored.experiment.seeds)
    return next((run.params for run in runs if run is not None and run.params is not None), None)


def _test_images(database: Database, runs: Sequence[RunSummary]) -> int | None:
    """Return the number of test images, or None if it differs between runs or is unknown."""
    counts = {
        record.body["test"] for run in runs if (record := tracking.latest_record(database, run.id, "data"))
    }
    return counts.pop() if len(counts) == 1 else None


def _other_data(stored: SavedExperiment, prints: dict[int, str | None]) -> tuple[str, ...]:
    """Return warnings on conditions with different data, and on runs of a condition whose data changed."""
    sentences = []
    if len({stored.experiment.recipe(name).dataset for name in stored.experiment.names}) > 1:
        sentences.append(
            "Conditions are evaluated on different test images: the difference is one of the data too."
        )
    for name in stored.experiment.names:
        runs = (stored.runs[Cell(name, seed)] for seed in stored.experiment.seeds)
        if len({prints[run.id] for run in runs if run is not None and run.id in prints} - {None}) > 1:
            sentences.append(f"Not all runs of “{name}” read the same images: the data changed in between.")
    return tuple(sentences)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


# Results as tables.

PARAMETERS = "parameters"
HEAD = ("condition", "n", "test accuracy", "difference", "in training", PARAMETERS, "seconds a run")
RUN_COLUMNS = ("arm", "seed", "run", "status", "test_accuracy", "training_accuracy", "seconds")
MISSING = "—"


def cells(result: Result) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Format the result as a table: heading, and one row per condition, as text.

    Columns without any value are left out, as is the number of parameters if it is the same for all
    conditions. `in training` is the training accuracy over the last epoch.
    """
    lines = [_line(condition) for condition in result.conditions]
    columns = [
        column
        for column, name in enumerate(HEAD)
        if (values := {line[column] for line in lines} - {MISSING})
        and not (name == PARAMETERS and len(values) == 1)
    ]
    return tuple(HEAD[column] for column in columns), [
        tuple(line[column] for column in columns) for line in lines
    ]


def difference_text(condition: ConditionResult) -> str:
    """Format the paired difference in percentage points: `+11.0 ± 2.5`, `+3.1, no interval`."""
    difference = condition.difference
    if difference is None:
        return MISSING
    if difference.half is None:
        return f"{points(difference.mean)}, no interval"
    digits = decimals(difference.half)
    return f"{points(difference.mean, digits)} ± {100 * difference.half:.{digits}f}"


def verdict_lines(result: Result) -> list[str]:
    """Split the verdict into lines: how complete the experiment is, then one line per condition."""
    sentences = [condition.sentence for condition in result.conditions[1:]]
    so_far = result.verdict.removesuffix(" ".join(sentences)).strip()
    if so_far == result.verdict:  # Nothing can be compared yet: one line for all conditions.
        return [so_far]
    return [*([so_far] if so_far else []), *sentences]


def to_csv(result: Result) -> str:
    """Format all runs as CSV: condition, seed, run, status, accuracies in [0, 1], seconds."""
    rows = (
        (condition.name, o.seed, o.run, o.status, o.accuracy, o.training, o.seconds)
        for condition in result.conditions
        for o in condition.outcomes
    )
    return csv_text(RUN_COLUMNS, rows)


def _line(condition: ConditionResult) -> tuple[str, ...]:
    return (
        condition.name,
        f"{condition.n} of {len(condition.outcomes)}"
        if condition.n < len(condition.outcomes)
        else str(condition.n),
        _percent(condition.mean),
        difference_text(condition),
        _percent(condition.training),
        MISSING if condition.params is None else f"{condition.params:,}",
        MISSING if condition.seconds is None else f"{condition.seconds:.1f}",
    )


def _percent(fraction: float | None) -> str:
    return MISSING if fraction is None else f"{100 * fraction:.2f} %"
