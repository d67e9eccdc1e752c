"""Faulty and correct training loops under `cnnviz.watch`: detected, cause first, wrong statements.

    python -m benchmarks.watched_loops [--part seen|blind] [--only TEXT] [--verbose]

Each loop trains a small network of the benchmark's own on data that it makes, on one thread. `seen` are the
loops that the rules were made with; those of `blind`, with other networks, data and ways to write a loop,
were written before any of them was run, and scored once before anything was changed for them.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
import warnings
from collections import Counter
from dataclasses import dataclass

import torch

import benchmarks.watched.blind
import benchmarks.watched.seen  # noqa: F401 loops register themselves
from benchmarks.machine import describe
from benchmarks.watched.tasks import CASES, Bench, Case
from cnnviz.tracking import connect


def main() -> None:
    """Run them and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=("seen", "blind"), help="only these loops")
    parser.add_argument("--only", default="", help="only loops whose name has this in it")
    parser.add_argument("--verbose", action="store_true", help="print every report")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    chosen = [c for c in CASES if (not asked.part or c.part == asked.part) and asked.only in c.name]
    results = []
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for number, one in enumerate(chosen):
            result = run_case(one, f"{folder}/{number}.sqlite")
            results.append((one, result))
            print(_line(one, result), flush=True)
            if asked.verbose:
                print(result.text)
    print()
    for part in ("seen", "blind"):
        of_part = [(one, result) for one, result in results if one.part == part]
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


def run_case(one: Case, database: str) -> Result:
    """Run a loop and ask for its diagnosis."""
    with connect(f"sqlite:///{database}") as opened, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bench = Bench(opened)
        run = None
        try:
            run = one.loop(bench)
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
        return Result(report.causes, report.outcome, None, "\n".join([str(report), *accuracies]))


def wrong(one: Case, result: Result) -> list[str]:
    """The causes that were named and are none of this loop's."""
    return [cause for cause in result.causes if cause != one.cause and cause not in one.allowed]


def _line(one: Case, result: Result) -> str:
    named = ", ".join(result.causes) or result.outcome
    if one.cause is None:
        mark = "ok" if not result.causes else "WRONG"
    else:
        mark = (
            "ok" if result.causes[:1] == (one.cause,) else "late" if one.cause in result.causes else "MISSED"
        )
        mark += " +wrong" if wrong(one, result) else ""
    return f"{mark:12} {one.part:6} {one.name:40} {one.cause or 'correct':28} {named}"


def table(part: str, results: list[tuple[Case, Result]]) -> str:
    """The part's figures, as Markdown."""
    faulty = [(one, result) for one, result in results if one.cause]
    correct = [(one, result) for one, result in results if not one.cause]
    kinds = Counter(one.cause for one, _ in faulty)
    detected = sum(bool(result.causes) for _, result in faulty)
    named = sum(one.cause in result.causes for one, result in faulty)
    first = sum(result.causes[:1] == (one.cause,) for one, result in faulty)
    beside = sum(len(wrong(one, result)) for one, result in faulty)
    false = sum(bool(result.causes) for _, result in correct)
    lines = [
        f"| {part} | figure |",
        "| --- | --- |",
        f"| faulty loops, kinds | {len(faulty)}, {len(kinds)} |",
        f"| something found | {detected} |",
        f"| cause named | {named} |",
        f"| cause first | {first} |",
        f"| wrong statements beside it | {beside} |",
        f"| correct loops | {len(correct)} |",
        f"| of these with a wrong statement | {false} |",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
