"""What `benchmarks.gpu` measured, as the Markdown tables of docs/benchmarks.md."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any


def render(found: dict[str, Any]) -> str:
    """All tables of one file, with hardware, versions and n."""
    machine = found["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    parts = [
        f"On one {machine['gpu']} ({machine['memory_gib']} GiB) with {machine['cores']} cores, "
        f"Python {machine['python']}, CUDA {machine['cuda']}, {versions}."
    ]
    if found.get("speeds"):
        parts.append(_table(_SPEED, [_speed(entry) for entry in found["speeds"]]))
    if found["races"]:
        parts.append(_table(_RACE, [_race(entry) for entry in found["races"]]))
    parts += [f"`{model}`: {what}." for model, what in found.get("waits", {}).items()]
    parts += [f"Left out for want of time: `{entry['recipe']}`." for entry in found["left_out"]]
    return "\n\n".join(parts)


_SPEED = ("images a second", "the article's loop", "ours, same settings", "ours, fast recipe", "ratios", "n")
_RACE = (
    "recipe",
    "data",
    "epochs",
    "accuracy, mean (least–most)",
    "aim",
    "seconds, mean",
    "aim",
    "warm-up",
    "n",
)


def _speed(entry: dict[str, Any]) -> list[str]:
    theirs, ours, fast = (statistics.median(entry[key]) for key in ("article", "ours", "fast"))
    title = f"{entry['model']}, {entry['data']}, batch {entry['batch']}"
    ratios = f"{ours / theirs:.1f}×, {fast / theirs:.1f}×"
    return [title, f"{theirs:,.0f}", f"{ours:,.0f}", f"{fast:,.0f}", ratios, str(entry["n"])]


def _race(entry: dict[str, Any]) -> list[str]:
    reached, took = entry["reached"], entry["took"]
    if not took:
        return [entry["recipe"], entry["data"], str(entry["epochs"]), *("not run: no time left", *[""] * 5)]
    span = f"{statistics.mean(reached):.2%} ({min(reached):.2%}–{max(reached):.2%})"
    aim = f"{entry['accuracy']:.2%}" if entry["accuracy"] is not None else ""
    seconds = [f"{statistics.mean(took):.2f}", f"{entry['seconds']:g}", f"{entry['warm_up']:.1f} s"]
    return [entry["recipe"], entry["data"], str(entry["epochs"]), span, aim, *seconds, str(len(took))]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
