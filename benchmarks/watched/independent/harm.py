"""Accuracy of the loops of `independent` and `independent-2` without cnnviz, each beside its twin.

python -m benchmarks.watched.independent.harm [--part independent-2] [--only TEXT]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import time
from typing import Any

import torch

from benchmarks.watched import independent, independent2  # noqa: F401 scripts register themselves
from benchmarks.watched.independent.nets import PROGRAMS, Script
from benchmarks.watched.unwatched import UnwatchedBench


def measured(script: Script) -> tuple[str, str, float]:
    """What its author reads at the end (or the exception that ends it), what it gave on the way, seconds."""
    bench, began = UnwatchedBench(), time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            score = f"{script(bench):.2f}"
        except (IndexError, RuntimeError) as error:
            score = f"ended by {type(error).__name__}"
    best = "" if bench.finite else "not finite, "
    best += f"best {max(bench.history):.2f}, commonest answer {bench.commonest:.2f}" if bench.history else ""
    return score, best, time.perf_counter() - began


def main() -> None:
    """Print every program's accuracy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", default="independent", help="independent or independent-2")
    parser.add_argument("--only", default="", help="only programs whose name has this in it")
    args = parser.parse_args()
    torch.set_num_threads(1)
    twins: dict[Any, str] = {}
    for program in PROGRAMS:
        if program.part != args.part or args.only not in program.name:
            continue
        if program.twin is not None and program.twin not in twins:
            twins[program.twin] = measured(program.twin)[0]
        score, best, took = measured(program.script)
        beside = f"twin {twins[program.twin]}" if program.twin else ""
        print(
            f"= {program.name:46} {program.cause or 'correct':28} {score:22} {beside} {took:.1f} s {best}",
            flush=True,
        )


if __name__ == "__main__":
    main()
