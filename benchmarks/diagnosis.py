"""Does a diagnosis name what is wrong, and does its first change mend it?

Small runs are trained in which one known cause is planted, or two, each beside a healthy twin that lacks
only that; a plant that does no harm (the run reaches 90 % of its twin) does not count. Then healthy runs.
All are diagnosed from what they recorded, and again with probes of their checkpoints. Rules may be tuned on
the half called `tune`; the figures are of `test`, which shares neither networks nor data nor the strengths of
what is planted.

    python -m benchmarks.diagnosis [--data FOLDER] [--half test|tune] [--keep FOLDER] [--only TEXT]
                                   [--no-probes] [--no-mending] [--quick] [--repeat N]

FOLDER holds `mnist` and `cifar10-jpeg` (or `cifar10`); without it their runs are left out. What is kept
is not trained again.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.diagnosis_runs import data, halves, hinting, judging, scoring
from benchmarks.diagnosis_runs.judging import Failing
from benchmarks.diagnosis_runs.scoring import Named, share
from benchmarks.diagnosis_runs.setups import Setup
from benchmarks.diagnosis_runs.training import Trained, Trainer
from benchmarks.machine import describe
from cnnviz import tracking
from cnnviz.diagnosis import Evidence, diagnose


@dataclass(frozen=True)
class Half:
    """A half that is trained."""

    trainer: Trainer
    runs: list[Failing]
    healthy: list[tuple[str, Trained]]

    def evidence(self, probed: bool) -> list[tuple[Failing, Evidence]]:
        """Of the runs that really fail."""
        return [
            (run, self.trainer.evidence(run.planned.name, run.spoiled.run, probed))
            for run in self.runs
            if run.fails
        ]


def trained(asked: argparse.Namespace, trainer: Trainer) -> Half:
    """Train all of a half."""

    def say(line: str) -> None:
        print(line, flush=True)

    def wanted(name: str, setup: Setup) -> bool:
        return asked.only in name and (asked.data is not None or data.offline(setup.source))

    chosen = [one for one in halves.failing(asked.half) if wanted(one.name, one.spoiled)]
    if asked.quick:
        chosen = [one for one in chosen if one.seed == 0]
    print(f"\nAccuracy on the test images, half '{asked.half}':")
    runs = list(judging.failing(trainer, chosen, asked.data, say))
    healthy = [one for one in halves.healthy(asked.half) if wanted(one[0], one[1])]
    return Half(trainer, runs, list(judging.healthy(trainer, healthy, asked.data, say)))


def names(half: Half, probed: bool) -> None:
    """What is named, cause by cause."""
    judged = [(run, judging.named(run, evidence)) for run, evidence in half.evidence(probed)]
    every = [one for _, one in judged]
    print(f"\nNamed {'with' if probed else 'without'} probes, n = {len(every)} failing runs")
    print(f"  {'cause':28s} {'runs':>4s} {'first':>6s} {'at all':>7s} {'first, but not planted':>23s}")
    for score in scoring.by_cause(every):
        print(
            f"  {score.cause:28s} {score.planted:4d} {score.first:6d} {score.at_all:7d} "
            f"{score.falsely:11d} of {score.others}"
        )
    print(f"  named first: {share(one.first for one in every)}")
    for run, one in judged:
        if not one.first:
            print(f"    missed: {run.planned.name}: {', '.join(one.named) or 'nothing'}")
    alarms(half, probed)


def alarms(half: Half, probed: bool) -> None:
    """What is said of healthy runs."""
    said: list[tuple[str, Named]] = []
    for name, run in half.healthy:
        found = diagnose(half.trainer.evidence(name, run.run, probed)).findings
        said.append((name, Named((), (), tuple(finding.cause for finding in found))))
    if said:
        print(f"  false alarms on healthy runs: {share(bool(one.named) for _, one in said)}")
    for name, one in said:
        if one.named:
            print(f"    {name}: {', '.join(one.named)}")


def mending(half: Half) -> None:
    """How often the first change of the first finding is enough."""
    curable = [pair for pair in half.evidence(False) if pair[0].planned.plant.mendable]
    reached = []
    print("\nMended by the first change of the first finding")
    for run, evidence in curable:
        after = judging.mend(half.trainer, run.planned.name, evidence, diagnose(evidence))
        reached.append(after is not None and scoring.mended(after.accuracy, run.twin.accuracy))
        if not reached[-1]:
            what = "no change is proposed" if after is None else f"{after.accuracy:.1%}"
            print(f"    not: {run.planned.name}: {what} (twin {run.twin.accuracy:.1%})", flush=True)
    rest = sum(run.fails for run in half.runs) - len(curable)
    print(f"  {share(reached)}; {rest} more are wrong data or code, which no recipe mends, and do not count")


def speed(half: Half, repeat: int) -> None:
    """What a diagnosis takes, and what hints take from a run."""
    taken = [judging.milliseconds(evidence) for _, evidence in half.evidence(False)]
    print(f"\nA diagnosis takes {statistics.median(taken):.1f} ms (most {max(taken):.1f}, n = {len(taken)})")
    alone, beside = hinting.speeds(half.trainer.database, repeat)
    ratio = statistics.median(beside) / statistics.median(alone)
    print(f"Steps a second with a hint every {hinting.SECONDS:.0f} s, against none: ratio {ratio:.3f}")
    for title, found in (("none", alone), ("hints", beside)):
        span = f"({min(found):.0f}–{max(found):.0f})"
        print(f"  {title:6s} median {statistics.median(found):.0f} {span}, n = {repeat}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder with mnist and cifar10-jpeg")
    parser.add_argument("--half", choices=tuple(halves.HALVES), default="test")
    parser.add_argument("--keep", type=Path, help="where runs and evidence are kept; nowhere without it")
    parser.add_argument("--only", default="", help="only runs whose names have this text")
    parser.add_argument("--quick", action="store_true", help="each plant in one network only")
    parser.add_argument("--repeat", type=int, default=3, help="pairs of runs with and without hints")
    parser.add_argument("--no-probes", action="store_true")
    parser.add_argument("--no-mending", action="store_true")
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)
    print(describe("torch", "numpy"))
    with tempfile.TemporaryDirectory() as folder:
        keep = (asked.keep or Path(folder)).resolve()
        os.environ["CNNVIZ_HOME"] = str(keep / "home")
        with tracking.connect() as database:
            half = trained(asked, Trainer(database, keep / asked.half))
            if not half.evidence(False):
                parser.exit(1, "None of these runs fails: there is nothing to score.\n")
            for probed in (False,) if asked.no_probes else (False, True):
                names(half, probed)
            if not asked.no_mending:
                mending(half)
            speed(half, asked.repeat)


if __name__ == "__main__":
    main()
