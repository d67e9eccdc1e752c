"""A result as a table, for terminals, pages and files."""

from __future__ import annotations

from cnnviz.experiments.answer import ArmResult, Result
from cnnviz.experiments.verdict import decimals, points
from cnnviz.formats.csv_text import csv_text

PARAMETERS = "parameters"
HEAD = ("arm", "n", "test accuracy", "difference", "in training", PARAMETERS, "seconds a run")
RUN_COLUMNS = ("arm", "seed", "run", "status", "test_accuracy", "training_accuracy", "seconds")
MISSING = "—"


def cells(result: Result) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The head and a line for each arm, as text; what is known of no arm has no column.

    Nor have parameters, where all arms have as many: it tells nothing and costs a narrow window a column.
    `in training` is the training accuracy over the last epoch.
    """
    lines = [_line(arm) for arm in result.arms]
    known = [
        place
        for place, name in enumerate(HEAD)
        if (values := {line[place] for line in lines} - {MISSING})
        and not (name == PARAMETERS and len(values) == 1)
    ]
    return tuple(HEAD[place] for place in known), [tuple(line[place] for place in known) for line in lines]


def difference_text(arm: ArmResult) -> str:
    """The paired difference to the base in percentage points: `+11.0 ± 2.5`, `+3.1, no interval`."""
    found = arm.difference
    if found is None:
        return MISSING
    if found.half is None:
        return f"{points(found.mean)}, no interval"
    digits = decimals(found.half)
    return f"{points(found.mean, digits)} ± {100 * found.half:.{digits}f}"


def verdict_lines(result: Result) -> list[str]:
    """The verdict, an arm a line, after how much of the experiment it rests on."""
    sentences = [arm.sentence for arm in result.arms[1:]]
    so_far = result.verdict.removesuffix(" ".join(sentences)).strip()
    if so_far == result.verdict:  # nothing can be compared yet, which need not be said of every arm
        return [so_far]
    return [*([so_far] if so_far else []), *sentences]


def to_csv(result: Result) -> str:
    """A line for each run: arm, seed, run, status, accuracies in [0, 1], seconds."""
    rows = (
        (arm.name, o.seed, o.run, o.status, o.accuracy, o.training, o.seconds)
        for arm in result.arms
        for o in arm.outcomes
    )
    return csv_text(RUN_COLUMNS, rows)


def _line(arm: ArmResult) -> tuple[str, ...]:
    return (
        arm.name,
        f"{arm.n} of {len(arm.outcomes)}" if arm.n < len(arm.outcomes) else str(arm.n),
        _percent(arm.mean),
        difference_text(arm),
        _percent(arm.training),
        MISSING if arm.params is None else f"{arm.params:,}",
        MISSING if arm.seconds is None else f"{arm.seconds:.1f}",
    )


def _percent(fraction: float | None) -> str:
    return MISSING if fraction is None else f"{100 * fraction:.2f} %"
