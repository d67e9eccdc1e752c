"""Run the loops of `independent-4` without cnnviz, the faulty ones with and without their fault.

python -m benchmarks.watched.independent4.harm [--only TEXT] [--shard 0/2]
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import sys
import textwrap
import time
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from benchmarks.watched.independent4.common import LATER, PART, RIGHT, SAID
from benchmarks.watched.tasks import CASES
from benchmarks.watched.unwatched import UnwatchedBench


def measure(loop: Any) -> tuple[str, float, float]:
    """Run a loop: its accuracy in percent or its error, the accuracy as a number, and seconds."""
    SAID.clear()
    LATER.clear()
    began = time.perf_counter()
    try:
        loop(UnwatchedBench())
    except Exception as error:
        return f"{type(error).__name__} {str(error)[:80]}", 0.0, time.perf_counter() - began
    seconds = time.perf_counter() - began
    if "measure" in LATER:
        SAID.append(LATER["measure"]())
    reached = SAID[-1] if SAID else float("nan")
    return f"{reached:.1%}", reached, seconds


def without_fault(loop: Any, right: Mapping[str, Sequence[tuple[str, str]]] = RIGHT) -> Any:
    """Return the loop with what would be right in place of its fault."""
    text = textwrap.dedent(inspect.getsource(loop))
    text = text[text.index("\ndef ") :] if not text.startswith("def ") else text
    for wrong, other in right[loop.__name__]:
        if wrong not in text:
            raise ValueError(f"{loop.__name__} has no {wrong!r}")
        text = text.replace(wrong, other)
    own = dict(vars(sys.modules[loop.__module__]))
    exec(compile(text, f"<{loop.__name__} without its fault>", "exec"), own)
    return own[loop.__name__]


def main(part: str = PART, right: Mapping[str, Sequence[tuple[str, str]]] = RIGHT) -> None:
    """Run a part's loops and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="")
    parser.add_argument("--shard", default="0/1", help="every so many loops from this one, as 0/2")
    args = parser.parse_args()
    first, every = map(int, args.shard.split("/"))
    importlib.import_module(f"benchmarks.watched.{part.replace('-', '')}")
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    chosen = [case for case in CASES if case.part == part][first::every]
    for case in chosen:
        if args.only not in f"{case.loop.__module__} {case.name} {case.cause}":
            continue
        text, reached, seconds = measure(case.loop)
        line = f"{case.name:44} {case.cause or 'correct':28} {text:>7} in {seconds:4.1f} s"
        if case.cause:
            text, other, seconds = measure(without_fault(case.loop, right))
            line += f"; without the fault {text:>7} in {seconds:4.1f} s"
            line += "" if abs(other - reached) >= 0.03 else "   NO HARM"
        print(line, flush=True)


if __name__ == "__main__":
    main()
