"""Recorded runs that ship as evidence, `NAME.json.gz`, without their networks; and their cards.

A run `TOPIC-failed` has its fixed counterpart in `TOPIC-fixed`. A card, `NAME.card.json`, states the
provenance; the results of the ablation are among them.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from statistics import fmean

from pydantic import BaseModel, ConfigDict

from cnnviz.diagnosis.evidence import Evidence
from cnnviz.experiments.verdict import Interval, paired

FOLDER = Path(__file__).parent
SUFFIX = ".json.gz"
FAILED, FIXED = "-failed", "-fixed"


ALIASES = {"article-d-failed": "alexnet-stl10-failed", "article-d-mended": "alexnet-stl10-fixed"}
"""Former names of recorded runs, which links and commands may still use."""


class UnknownRecordingError(ValueError):
    """No recorded run has that name."""


def names() -> tuple[str, ...]:
    """Return the names of the recorded runs, failed ones first."""
    result = sorted(path.name.removesuffix(SUFFIX) for path in FOLDER.glob(f"*{SUFFIX}"))
    return tuple(sorted(result, key=lambda name: not name.endswith(FAILED)))


def current_name(name: str) -> str:
    """Resolve a former name; any other is returned unchanged."""
    return ALIASES.get(name, name)


@cache
def recorded(name: str) -> Evidence:
    """Read a recorded run; raises `UnknownRecordingError` with one sentence."""
    name = current_name(name)
    if name not in names():
        available = ", ".join(names()) or "none"
        raise UnknownRecordingError(f"There is no recorded run '{name}'; there is: {available}.")
    return Evidence.read(FOLDER / f"{name}{SUFFIX}")


def fixed(name: str) -> str | None:
    """Return the counterpart of a failed run; None where there is none."""
    counterpart = f"{name.removesuffix(FAILED)}{FIXED}"
    return counterpart if name.endswith(FAILED) and counterpart in names() else None


CARD_SUFFIX = ".card.json"


class Card(BaseModel):
    """Provenance of a recorded run, as needed to reproduce it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str
    """Name of the actual training data."""
    command: str
    """Command that reproduces the run, for reading; `FOLDER` stands for the data."""
    steps: int
    epochs: float
    seconds: float
    hardware: str
    versions: dict[str, str]
    fingerprint: str
    """SHA-256 of the data's source bytes and labels."""


@cache
def card(name: str) -> Card:
    """Read the card of a recorded run; raises `UnknownRecordingError` where there is no run or no card."""
    path = FOLDER / f"{name}{CARD_SUFFIX}"
    if name not in names() or not path.is_file():
        raise UnknownRecordingError(f"The recorded run '{name}' has no card.")
    return Card.model_validate_json(path.read_bytes())


# Ablation of the AlexNet/STL-10 paper review's run: one change at a time.

FILE = FOLDER / "alexnet-stl10-conditions.json"


class _Plain(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Row(_Plain):
    """One run of the ablation."""

    arm: str
    seed: int
    steps: int
    loss: float
    """Training loss over the last epoch, in nats."""
    test_loss: float
    accuracy: float
    """Test accuracy after the last epoch, in [0, 1]."""
    largest_share: float
    """Fraction of the test images predicted as the most frequent class."""
    curve: tuple[tuple[int, float], ...]
    """Training loss by step."""
    first: tuple[tuple[str, float, float, float], ...]
    """Per layer with weights at step 1, with dropout: name, standard deviation, signal, gradient norm."""
    last: tuple[tuple[str, float, float, float], ...]
    """The same at the last step."""
    seconds: float


class Table(_Plain):
    """All runs of the ablation, and the hardware; the first condition is the failing recipe."""

    machine: str
    test_images: int
    rows: tuple[Row, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the conditions, in the order of the runs."""
        return tuple(dict.fromkeys(row.arm for row in self.rows))

    def of(self, condition: str) -> tuple[Row, ...]:
        """Return the runs of a condition by seed."""
        return tuple(sorted((row for row in self.rows if row.arm == condition), key=lambda row: row.seed))


class RecordedCondition(_Plain):
    """Results of the runs of one condition."""

    name: str
    n: int
    steps: int
    loss: float
    accuracy: float
    accuracies: tuple[float, ...]
    largest_share: float
    collapsed: int
    """Number of runs that predict one class for nearly every image."""
    gain: Interval | None
    """Accuracy gain over the failing recipe with the same seed; None for that recipe itself."""


COLLAPSED = 0.9
"""Fraction of equal predictions that counts as nearly all; see the rule `one-class`."""


@cache
def table() -> Table:
    """Read the ablation that ships."""
    return Table.model_validate_json(FILE.read_bytes())


def recorded_conditions(runs: Table) -> tuple[RecordedCondition, ...]:
    """Summarize all conditions, the failing recipe first, the others by descending accuracy.

    Confidence intervals hold simultaneously (Bonferroni).
    """
    base, *others = runs.names
    conditions = [_condition(runs, name, base, len(others)) for name in others]
    return (
        _condition(runs, base, base, len(others)),
        *sorted(conditions, key=lambda result: -result.accuracy),
    )


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
