"""What stands beside a recorded run: how it was made, from what, on what. `NAME.card.json`."""

from __future__ import annotations

from functools import cache
from statistics import fmean

from pydantic import BaseModel, ConfigDict

from cnnviz.diagnosis.recorded import FOLDER, UnknownRecordingError, names
from cnnviz.experiments.verdict import Interval, paired

SUFFIX = ".card.json"


class Card(BaseModel):
    """All that someone needs who wants to make the run again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str
    """What was learned from, by its true name."""
    command: str
    """What makes the run, to be read; `FOLDER` stands for the data."""
    steps: int
    epochs: float
    seconds: float
    hardware: str
    versions: dict[str, str]
    fingerprint: str
    """Of the data's source bytes and labels, SHA-256."""


@cache
def card(name: str) -> Card:
    """The card of a recorded run; raises `UnknownRecordingError` where there is no such run, or no card."""
    path = FOLDER / f"{name}{SUFFIX}"
    if name not in names() or not path.is_file():
        raise UnknownRecordingError(f"The recorded run '{name}' has no card.")
    return Card.model_validate_json(path.read_bytes())


# What became of the AlexNet/STL-10 paper review's run with one thing changed at a time.

FILE = FOLDER / "alexnet-stl10-conditions.json"


class _Plain(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Row(_Plain):
    """One run."""

    arm: str
    seed: int
    steps: int
    loss: float
    """Of training, over the last epoch, in nats."""
    test_loss: float
    accuracy: float
    """On the test images after the last epoch, in [0, 1]."""
    largest_share: float
    """Part of the test images that the commonest answer gets."""
    curve: tuple[tuple[int, float], ...]
    """Training loss by step."""
    first: tuple[tuple[str, float, float, float], ...]
    """At step 1, of every layer with weights: name, spread, signal, gradient; dropout at work."""
    last: tuple[tuple[str, float, float, float], ...]
    """The same at the last step."""
    seconds: float


class Table(_Plain):
    """Every run, and what they were made on; the first arm is the failing recipe."""

    machine: str
    test_images: int
    rows: tuple[Row, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The arms, in the order in which they were run."""
        return tuple(dict.fromkeys(row.arm for row in self.rows))

    def of(self, condition: str) -> tuple[Row, ...]:
        """The runs of an arm by seed."""
        return tuple(sorted((row for row in self.rows if row.arm == condition), key=lambda row: row.seed))


class RecordedCondition(_Plain):
    """The runs of one arm together."""

    name: str
    n: int
    steps: int
    loss: float
    accuracy: float
    accuracies: tuple[float, ...]
    largest_share: float
    collapsed: int
    """How many of its runs give one answer to nearly every image."""
    gain: Interval | None
    """Of accuracy over the failing recipe with the same seed; None for that one itself."""


COLLAPSED = 0.9
"""The part of all answers from which on one answer counts as nearly all: the rule `one-class` says why."""


@cache
def table() -> Table:
    """What ships."""
    return Table.model_validate_json(FILE.read_bytes())


def arms(runs: Table) -> tuple[RecordedCondition, ...]:
    """Every arm, the failing recipe first, the others by what they reach; intervals hold all together."""
    base, *others = runs.names
    conditions = [_condition(runs, name, base, len(others)) for name in others]
    return (_condition(runs, base, base, len(others)), *sorted(conditions, key=lambda arm: -arm.accuracy))


def _condition(runs: Table, name: str, base: str, comparisons: int) -> RecordedCondition:
    rows, before = runs.of(name), {row.seed: row.accuracy for row in runs.of(base)}
    gains = [row.accuracy - before[row.seed] for row in rows if row.seed in before]
    return RecordedCondition(
        name=name,
        n=len(rows),
        steps=rows[0].steps,
        loss=fmean(row.loss for row in rows),
        accuracy=fmean(row.accuracy for row in rows),
        accuracies=tuple(row.accuracy for row in rows),
        largest_share=fmean(row.largest_share for row in rows),
        collapsed=sum(row.largest_share >= COLLAPSED for row in rows),
        gain=paired(gains, comparisons) if gains and name != base else None,
    )
