"""Recipes that lie in a folder with what is wrong with each in words: trained, diagnosed, compared."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.diagnosis_runs.training import Trained, Trainer
from cnnviz.diagnosis import Diagnosis, diagnose
from cnnviz.tracking import Database
from cnnviz.training import Recipe

CAUSES: dict[str, tuple[str, ...]] = {
    "healthy": (),
    "norm-momentum-0.1": (),
    "relu-outputs": ("output-activation",),
    "sigmoid-outputs": ("output-activation",),
    "black": ("constant-input",),
    "nearly-black": ("constant-input",),
    "few": ("over-fitting-data",),
    "uneven": ("classes-unbalanced",),
    "jpeg-leak": ("leakage",),
    "blanked": ("constant-input",),
    "cropped-away": ("augmentation-too-strong",),
    "norm-momentum-0.005": ("batch-norm-unsettled",),
    "noisy-and-decayed": ("labels-noisy", "weight-decay"),
}
"""What `causes.json` says in words, by the recipe's name, as identifiers."""


@dataclass(frozen=True)
class Case:
    """One recipe, and what is wrong with it."""

    name: str
    recipe: Recipe
    causes: tuple[str, ...]

    def right(self, found: Diagnosis) -> bool:
        """Whether the outcome is right, the first cause is one of them, and with two both are named."""
        named = [finding.cause for finding in found.findings]
        if not self.causes:
            return found.outcome == "healthy" and not named
        return found.outcome == "cause-found" and named[0] in self.causes and {*self.causes} <= {*named}


def read(folder: Path, only: str = "") -> list[Case]:
    """The recipes that the folder's `causes.json` names.

    Raises `ValueError` where that file is missing, or a cause in it has no identifier here.
    """
    listed = folder / "causes.json"
    if not listed.is_file():
        raise ValueError(f"'{folder}' has no causes.json; `make.py` of the cases writes one.")
    named: dict[str, str] = json.loads(listed.read_text())
    unknown = sorted({*named} - {*CAUSES})
    if unknown:
        raise ValueError(f"'{unknown[0]}' in causes.json has no identifier in {Path(__file__).name}.")
    return [
        Case(name, Recipe.read((folder / f"{name}.json").read_text()), CAUSES[name])
        for name in named
        if only in name
    ]


def diagnose_cases(
    database: Database, keep: Path, cases: list[Case]
) -> Iterator[tuple[Case, Trained, Diagnosis]]:
    """Train each and diagnose it, without probes."""
    trainer = Trainer(database, keep)
    for case in cases:
        run = trainer.train(case.name, case.recipe)
        yield case, run, diagnose(trainer.evidence(case.name, run.run))


def report(database: Database, keep: Path, folder: Path, only: str = "") -> None:
    """Print outcome, first cause, accuracy, and whether they are right, a line each."""
    cases, right = read(folder, only), 0
    print(f"\n{'recipe':22s} {'outcome':12s} {'first cause':26s} {'test':>6s}  all named")
    for case, run, found in diagnose_cases(database, keep, cases):
        named = [finding.cause for finding in found.findings]
        good = case.right(found)
        right += good
        wrong = "" if good else f"   WRONG: {' and '.join(case.causes) or 'healthy'}"
        first = named[0] if named else "-"
        print(f"{case.name:22s} {found.outcome:12s} {first:26s} {run.accuracy:6.1%}  ", end="")
        print(f"{', '.join(named) or '-'}{wrong}", flush=True)
    print(f"{right} of {len(cases)} are right")
