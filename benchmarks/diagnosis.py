"""Does a diagnosis name what is wrong, and does its first change mend it?

Small runs are trained in which one known cause is planted, or two, each beside a healthy twin that lacks
only that; a plant that does no harm (the run reaches 90 % of its twin) does not count. Then healthy runs.
All are diagnosed from what they recorded, and again with probes of their checkpoints. Rules were tuned on the
parts `tune` and `test`, and on `blind` to `blind-9` once each had been scored; `blind-10` was defined before
rules were tuned on `blind-9`. Parts share neither networks of their own nor data
nor the strengths of what is planted, and runs of the blind ones were trained, with `--train-only`, before any
was diagnosed. Into `every` nothing is planted: healthy runs of every small registered model on every data
set, for false alarms. `--trained-only` judges what is trained of a part, and trains nothing.

    python -m benchmarks.diagnosis [--data FOLDER] [--part NAME] [--keep FOLDER] [--only TEXT] [--quick]
                                   [--no-probes] [--no-mending | --mend N] [--repeat N]
                                   [--trained-only] [--train-only | --timing-only | --hints-only]
    python -m benchmarks.diagnosis --cases FOLDER [--keep FOLDER] [--only TEXT]

FOLDER holds `mnist`, `cifar10-jpeg` (or `cifar10`) and `fashion` (Fashion-MNIST as four IDX files, as in
Debian's package dataset-fashion-mnist); runs are left out where theirs is missing. What is kept is not
trained again. The second form trains the recipes of a FOLDER that holds `causes.json` beside them, and prints
for each its outcome, the first cause, and whether both are right.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.diagnosis_runs import cases, hinting, judging, parts, reporting, sources
from benchmarks.diagnosis_runs.accepted import UNEXPLAINED
from benchmarks.diagnosis_runs.judging import Kept
from benchmarks.diagnosis_runs.setups import Setup
from benchmarks.diagnosis_runs.training import Trainer
from benchmarks.machine import describe
from cnnviz import tracking
from cnnviz.tracking import Database


def trained(asked: argparse.Namespace, trainer: Trainer) -> Kept:
    """Train all of a part."""

    def say(line: str) -> None:
        print(line, flush=True)

    def wanted(setup: Setup, *names: str) -> bool:
        known = not asked.trained_only or all(trainer.has(name) for name in names)
        return asked.only in names[0] and known and sources.there(setup.source, asked.data)

    chosen = [one for one in parts.failing(asked.part) if wanted(one.spoiled, one.name, one.twin_name)]
    if asked.quick:
        first = parts.PARTS[asked.part].seed
        chosen = [one for one in chosen if one.seed == first]
    print(f"\nAccuracy on the test images, part '{asked.part}':")
    runs = list(judging.failing(trainer, chosen, asked.data, say))
    planned = [one for one in parts.healthy(asked.part) if wanted(one[1], one[0])]
    healthy, fallen = judging.healthy(trainer, planned, asked.data, say)
    return Kept(trainer, runs, healthy, fallen)


def counted(kept: Kept) -> None:
    """How many runs there are to diagnose."""
    fails = [run for run in kept.runs if run.fails]
    causes = {cause for run in fails for cause in run.planned.plant.causes}
    unknown = sum(UNEXPLAINED in run.planned.plant.causes for run in fails)
    print(f"\n{len(fails)} of {len(kept.runs)} planted runs fail, of {len(causes)} causes; ", end="")
    print(f"{unknown} of them of no known cause; ", end="")
    print(f"{len(kept.healthy)} healthy runs, {len(kept.fallen)} more that did not end well")


def timing(kept: Kept) -> None:
    """What a diagnosis takes."""
    taken = [judging.milliseconds(evidence) for _, evidence in kept.evidence(False)]
    print(f"\nA diagnosis takes {statistics.median(taken):.1f} ms by the wall clock", end=" ")
    print(f"(most {max(taken):.1f}, n = {len(taken)} runs)")


def hints(database: Database, repeat: int) -> None:
    """What hints take from a run."""
    alone, beside = hinting.speeds(database, repeat)
    lost = hinting.lost(alone, beside)
    interval = "no interval" if lost.half is None else f"± {lost.half:.1%}, 95 %"
    print(f"\nA hint every {hinting.SECONDS:.0f} s takes {lost.mean:.1%} of the steps a second ", end="")
    print(f"({interval}, n = {lost.n} pairs)")
    for title, found in (("none", alone), ("hints", beside)):
        span = f"({min(found):.0f}–{max(found):.0f})"
        print(f"  {title:6s} median {statistics.median(found):.0f} {span}")


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder with mnist, cifar10-jpeg and fashion")
    parser.add_argument("--part", choices=tuple(parts.PARTS), default="blind-7")
    parser.add_argument("--cases", type=Path, help="a folder with recipes and causes.json, instead of a part")
    parser.add_argument("--keep", type=Path, help="where runs and evidence are kept; nowhere without it")
    parser.add_argument("--only", default="", help="only runs whose names have this text")
    parser.add_argument("--quick", action="store_true", help="each plant in one network only")
    parser.add_argument("--repeat", type=int, default=5, help="pairs of runs with and without hints; 0: none")
    parser.add_argument("--no-probes", action="store_true")
    parser.add_argument("--no-mending", action="store_true")
    parser.add_argument("--mend", type=int, help="mend only so many runs, evenly chosen")
    parser.add_argument("--trained-only", action="store_true", help="only runs that are trained already")
    alone = parser.add_mutually_exclusive_group()
    alone.add_argument("--train-only", action="store_true", help="train and diagnose nothing")
    alone.add_argument("--timing-only", action="store_true", help="only how long a diagnosis takes")
    alone.add_argument("--hints-only", action="store_true", help="only what hints take from a run")
    asked = parser.parse_args(arguments)
    if asked.repeat == 1 or asked.repeat < 0 or (asked.hints_only and not asked.repeat):
        parser.error("--repeat is at least 2: an interval needs two pairs.")
    return asked


def main(arguments: Sequence[str] | None = None) -> None:
    asked = parsed(arguments)
    torch.set_num_threads(1)
    print(describe("torch", "numpy"))
    with tempfile.TemporaryDirectory() as folder:
        keep = (asked.keep or Path(folder)).resolve()
        os.environ["CNNVIZ_HOME"] = str(keep / "home")
        with tracking.connect() as database:
            if asked.cases:
                cases.report(database, keep / "cases", asked.cases, asked.only)
                return
            if not asked.hints_only:
                judge(asked, trained(asked, Trainer(database, keep / asked.part)))
            if asked.repeat and not (asked.train_only or asked.timing_only):
                hints(database, asked.repeat)


def judge(asked: argparse.Namespace, kept: Kept) -> None:
    """All that is asked of a trained part."""
    counted(kept)
    if asked.train_only:
        return
    fails = any(run.fails for run in kept.runs)
    if not fails and not kept.healthy:
        raise SystemExit("None of these runs fails or is healthy: there is nothing to score.")
    if not asked.timing_only:
        for probed in (False,) if asked.no_probes else (False, True):
            (reporting.names if fails else reporting.alarms)(kept, probed)
    if not fails:
        return
    if not (asked.timing_only or asked.no_mending):
        reporting.fixed(kept, asked.mend)
    timing(kept)


if __name__ == "__main__":
    main()
