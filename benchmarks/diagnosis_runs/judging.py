"""A part of the bench, trained, diagnosed and mended."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.diagnosis_runs.contradictions import contradictions
from benchmarks.diagnosis_runs.parts import Planned
from benchmarks.diagnosis_runs.scoring import LEARNT, Named, hurts, learnt
from benchmarks.diagnosis_runs.setups import Setup
from benchmarks.diagnosis_runs.training import Trained, Trainer, set_up
from cnnviz.diagnosis import Diagnosis, Evidence, diagnose

Say = Callable[[str], None]
Healthy = tuple[str, Setup, int]


@dataclass(frozen=True)
class Failing:
    """A spoiled run beside its healthy twin."""

    planned: Planned
    spoiled: Trained
    twin: Trained

    @property
    def fails(self) -> bool:
        """Whether what was planted really hurts.

        A figure that flatters is held against the twin's, which learned the same and has honest test images.
        """
        if self.planned.plant.flatters:
            return hurts(self.twin.accuracy, self.spoiled.accuracy)
        if self.planned.taught and self.twin.accuracy < LEARNT:
            return False
        return hurts(self.spoiled.accuracy, self.twin.accuracy)


def failing(trainer: Trainer, chosen: Iterable[Planned], data: Path | None, say: Say) -> Iterator[Failing]:
    """Train what is planted and the twins."""
    for planned in chosen:
        twin = set_up(trainer, planned.twin_name, planned.twin, planned.seed, data)
        run = Failing(planned, set_up(trainer, planned.name, planned.spoiled, planned.seed, data), twin)
        say(
            f"  {planned.name:58s} {run.spoiled.accuracy:6.1%} (validation {run.spoiled.honest:6.1%}, "
            f"training {run.spoiled.fitted:6.1%}), twin {twin.accuracy:6.1%}"
            f"{'' if run.fails else '  no plant: it does no harm, or its twin has not learned'}"
        )
        yield run


@dataclass(frozen=True)
class Kept:
    """A part that is trained."""

    trainer: Trainer
    runs: list[Failing]
    healthy: list[tuple[str, Trained]]
    fallen: list[tuple[str, Trained]]
    """What was meant to be healthy and is not: it must not be called so, and nothing else is asked of it."""

    def evidence(self, probed: bool) -> list[tuple[Failing, Evidence]]:
        """Of the runs that really fail."""
        return [
            (run, self.trainer.evidence(run.planned.name, run.spoiled.run, probed))
            for run in self.runs
            if run.fails
        ]


def healthy(
    trainer: Trainer, chosen: Iterable[Healthy], data: Path | None, say: Say
) -> tuple[list[tuple[str, Trained]], list[tuple[str, Trained]]]:
    """Train what has nothing wrong: those that have `learnt` beside the first on their data, and the others.

    What it is measured against is the first run on the same kind of images.
    """
    usual: dict[str, float] = {}
    well: list[tuple[str, Trained]] = []
    fallen: list[tuple[str, Trained]] = []
    for name, setup, seed in chosen:
        run = set_up(trainer, name, setup, seed, data)
        good = learnt(run.accuracy, usual.setdefault(setup.source, run.accuracy))
        told = f"  {name:58s} {run.accuracy:6.1%} (training {run.fitted:6.1%})"
        say(f"{told}{'' if good else '  not healthy'}")
        (well if good else fallen).append((name, run))
    return well, fallen


def named(run: Failing, evidence: Evidence) -> Named:
    """What the diagnosis of this evidence says of a failing run."""
    plant, found = run.planned.plant, diagnose(evidence)
    return Named(
        plant.causes,
        plant.also,
        tuple(finding.cause for finding in found.findings),
        plant.accepted,
        found.outcome,
        tuple(contradictions(found, evidence)),
    )


def of_healthy(evidence: Evidence) -> Named:
    """What the diagnosis of this evidence says of a run in which nothing is planted."""
    found = diagnose(evidence)
    causes = tuple(finding.cause for finding in found.findings)
    return Named((), (), causes, frozenset(), found.outcome, tuple(contradictions(found, evidence)))


def mend(trainer: Trainer, name: str, evidence: Evidence, found: Diagnosis) -> Trained | None:
    """Train again with the first change of the first finding; None where it has none."""
    if not found.findings or not found.findings[0].changes:
        return None
    recipe = found.findings[0].changes[0].recipe(evidence.recipe)
    return trainer.train(f"mended-{zlib.crc32(recipe.write().encode()):08x}-{name}", recipe)


def milliseconds(evidence: Evidence) -> float:
    """What one diagnosis takes."""
    start = time.perf_counter()
    diagnose(evidence)
    return 1000 * (time.perf_counter() - start)
