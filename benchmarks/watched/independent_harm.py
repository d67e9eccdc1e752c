"""Accuracy of the loops of `independent` without cnnviz, each faulty one beside its twin without the fault.

python -m benchmarks.watched.independent_harm [--only TEXT]
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import torch

from benchmarks.watched import independent, independent_correct, independent_steps  # noqa: F401 scripts register themselves
from benchmarks.watched.independent_nets import PROGRAMS, Unwatched


def main() -> None:
    """Print every program's accuracy, or the exception that ends it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="only programs whose name has this in it")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    twins: dict[Any, float] = {}
    for program in PROGRAMS:
        if asked.only not in program.name:
            continue
        if program.twin is not None and program.twin not in twins:
            twins[program.twin] = program.twin(Unwatched())
        began = time.perf_counter()
        try:
            score = f"{program.script(Unwatched()):.2f}"
        except (IndexError, RuntimeError) as error:
            score = f"ended by {type(error).__name__}"
        beside = f"twin {twins[program.twin]:.2f}" if program.twin else ""
        took = time.perf_counter() - began
        print(
            f"= {program.name:36} {program.cause or 'correct':28} {score:22} {beside} {took:.1f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
