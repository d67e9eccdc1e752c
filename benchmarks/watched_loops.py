"""Faulty and correct training loops under `cnnviz.watch`: detected, cause first, wrong statements.

    python -m benchmarks.watched_loops [--part PART] [--only TEXT] [--verbose]

Each loop trains a small network of the benchmark's own on data that it makes, on one thread. `seen` are the
loops that the rules were made with; those of `blind`, with other networks, data and ways to write a loop,
were written before any of them was run, and scored once before anything was changed for them. Those of
`independent` and `independent-2` to `independent-6` are by authors who had not read the rules (the last has
correct loops alone). `programs`, `second` and `third` are re-expressed programs from public questions.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
import warnings
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

import benchmarks.watched.blind
import benchmarks.watched.independent
import benchmarks.watched.independent2
import benchmarks.watched.independent3
import benchmarks.watched.independent4
import benchmarks.watched.independent5
import benchmarks.watched.independent6
import benchmarks.watched.seen  # noqa: F401 loops register themselves
from benchmarks.machine import describe
from benchmarks.watched import programs, second_programs, third_programs
from benchmarks.watched.tasks import CASES, Bench, Case
from cnnviz.tracking import connect
from cnnviz.watching import WatchedRun

PARTS = (
    "seen",
    "blind",
    "independent",
    "independent-2",
    "independent-3",
    "independent-4",
    "independent-5",
    "independent-6",
)
PROGRAMS = {"programs": programs, "second": second_programs, "third": third_programs}


def main() -> None:
    """Run them and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=(*PARTS, *PROGRAMS), help="only these loops")
    parser.add_argument("--only", default="", help="only loops whose name has this in it")
    parser.add_argument("--verbose", action="store_true", help="print every report")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.part in PROGRAMS:
        run_programs(PROGRAMS[asked.part], asked.only, asked.verbose)
        return
    chosen = [c for c in CASES if (not asked.part or c.part == asked.part) and asked.only in c.name]
    results = []
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for number, case in enumerate(chosen):
            result = run_case(case, f"{folder}/{number}.sqlite")
            results.append((case, result))
            print(_line(case, result), flush=True)
            if asked.verbose:
                print(result.text)
    print()
    for part in PARTS:
        of_part = [(case, result) for case, result in results if case.part == part]
        if of_part:
            print(table(part, of_part))
    print(f"{len(results)} loops in {time.perf_counter() - began:.0f} s\n{describe('torch')}")


@dataclass(frozen=True)
class Result:
    """What was said of a loop."""

    causes: tuple[str, ...]
    outcome: str
    accuracy: float | None
    text: str
    roots: tuple[str, ...] = ()
    """Of the causes, those that are not said to follow from another."""


def run_case(case: Case, database: str) -> Result:
    """Run a loop and ask for its diagnosis."""
    with connect(f"sqlite:///{database}") as opened, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bench = Bench(opened)
        run = None
        try:
            run = case.loop(bench)
        except Exception as error:
            if not bench.runs:
                raise
            run = bench.runs[-1]
            run.fail(error)
        report = run.diagnose()
        for each in bench.runs:
            with contextlib.suppress(Exception):
                each.finish()
        accuracies = [c.text for c in report.diagnosis.comparisons if c.name == "chance"]
        text = "\n".join([str(report), *accuracies])
        return Result(report.causes, report.outcome, None, text, report.root_causes)


CLOSE = 0.05
"""How far a mended program's accuracy may lie below its healthy twin's."""


def run_programs(programs: Any, only: str, verbose: bool) -> None:
    """Run a module's re-expressed programs: faulty and diagnosed, with the change, and healthy."""
    began, lines = time.perf_counter(), []
    for program in programs.PROGRAMS:
        if only not in program.name:
            continue
        with tempfile.TemporaryDirectory() as folder:
            found: dict[str, float] = {}

            def loop(bench: Bench, setup: Any, kind: str, found: dict[str, float]) -> WatchedRun:
                run: WatchedRun
                run, found[kind] = programs.run(bench, setup)
                return run

            setups = {"faulty": program.faulty(), "changed": program.changed(), "healthy": program.healthy()}
            results: dict[str, Result] = {}
            for kind, setup in setups.items():
                if kind == "healthy" and setup == setups["changed"]:
                    found[kind], results[kind] = found["changed"], results["changed"]
                    continue
                made = Case(
                    program.name, program.cause, partial(loop, setup=setup, kind=kind, found=found), ""
                )
                results[kind] = run_case(made, f"{folder}/{kind}.sqlite")
        first = results["faulty"].causes[:1] == (program.cause,)
        mends = found["changed"] >= found["healthy"] - CLOSE
        beside = [c for c in results["faulty"].causes if c != program.cause and c not in program.allowed]
        lines.append((program, results, first, mends, beside))
        scores = " ".join(f"{kind} {found.get(kind, 0):.2f}" for kind in setups)
        named = ", ".join(results["faulty"].causes) or results["faulty"].outcome
        said = ", ".join(results["healthy"].causes)
        mark = "ok" if first else "late" if program.cause in results["faulty"].causes else "MISSED"
        print(f"{mark:7} {program.name:32} {program.cause:24} {scores}  {named}", end="")
        print(f"  HEALTHY: {said}" if said else "", flush=True)
        if verbose:
            print(results["faulty"].text)
    total = len(lines)
    print(f"\n{total} programs of {len({case.cause for case, *_ in lines})} causes")
    print(f"something found {sum(bool(r['faulty'].causes) for _, r, *_ in lines)}")
    print(f"cause named {sum(case.cause in r['faulty'].causes for case, r, *_ in lines)}")
    print(f"cause first {sum(first for _, _, first, *_ in lines)}")
    print(f"fixed by the proposed change {sum(first and mends for _, _, first, mends, _ in lines)}")
    print(f"change mends, whatever was named {sum(mends for _, _, _, mends, _ in lines)}")
    print(f"wrong statements beside the cause {sum(len(beside) for *_, beside in lines)}")
    print(f"healthy twins with a statement {sum(bool(r['healthy'].causes) for _, r, *_ in lines)}")
    print(f"{time.perf_counter() - began:.0f} s\n{describe('torch')}")


def wrong(case: Case, result: Result) -> list[str]:
    """The causes that were named and are none of this loop's."""
    return [cause for cause in result.causes if cause != case.cause and cause not in case.allowed]


def wrong_roots(case: Case, result: Result) -> list[str]:
    """Those of them that are named as causes of their own, and not as what follows from another."""
    return [cause for cause in wrong(case, result) if cause in result.roots]


def _line(case: Case, result: Result) -> str:
    named = ", ".join(result.causes) or result.outcome
    if case.cause is None:
        mark = "ok" if not result.causes else "WRONG"
    else:
        mark = (
            "ok"
            if result.causes[:1] == (case.cause,)
            else "late"
            if case.cause in result.causes
            else "MISSED"
        )
        mark += " +wrong" if wrong(case, result) else ""
    return f"{mark:12} {case.part:13} {case.name:40} {case.cause or 'correct':28} {named}"


def table(part: str, results: list[tuple[Case, Result]]) -> str:
    """The part's figures, as Markdown."""
    faulty = [(case, result) for case, result in results if case.cause]
    correct = [(case, result) for case, result in results if not case.cause]
    kinds = Counter(case.cause for case, _ in faulty)
    detected = sum(bool(result.causes) for _, result in faulty)
    named = sum(case.cause in result.causes for case, result in faulty)
    first = sum(result.causes[:1] == (case.cause,) for case, result in faulty)
    beside = sum(len(wrong(case, result)) for case, result in faulty)
    roots = sum(len(wrong_roots(case, result)) for case, result in faulty)
    false = sum(bool(result.causes) for _, result in correct)
    lines = [
        f"| {part} | figure |",
        "| --- | --- |",
        f"| faulty loops, kinds | {len(faulty)}, {len(kinds)} |",
        f"| something found | {detected} |",
        f"| cause named | {named} |",
        f"| cause first | {first} |",
        f"| wrong statements beside it | {beside} |",
        f"| of these said to follow from nothing else | {roots} |",
        f"| correct loops | {len(correct)} |",
        f"| of these with a wrong statement | {false} |",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
