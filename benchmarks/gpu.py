"""Every figure that wants a GPU, in one call of less than nine minutes, as one JSON file.

Images a second of our engine against the article's own loop; time to each article's accuracy with the
`fast-` recipes (the clock starts when images are decoded and on the device, and includes evaluation; a short
throw-away run before it is stated as warm-up); AlexNet's fifty epochs; whether a step waits for the device.
What no longer fits into the time is listed as left out, not guessed. On a machine without a GPU it says so
and ends with 1.

    python -m benchmarks.gpu --data FOLDER [--out gpu.json] [--minutes 8.5] [--only TEXT]
    python -m benchmarks.gpu --selftest [--device cpu]   # the path point by point, in about a minute; no data
    python -m benchmarks.gpu --table gpu.json        # the tables of docs/benchmarks.md

FOLDER holds `mnist` and `cifar10-jpeg` (or `cifar10`). A bare machine needs, beside torch, torchvision,
torchmetrics, safetensors, pandas and pyarrow, the pure or binary wheels of what `--needs` lists.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

from benchmarks.gpu_table import render

MINUTES = 8.5
QUIET = 18
"""Steps after the 121st that neither report nor look."""


@dataclass(frozen=True)
class Race:
    """A recipe, how often, and what it is to reach in how many seconds; None where only time counts."""

    recipe: str
    data: str
    seeds: int
    accuracy: float | None
    seconds: float
    epochs: int | None = None


RACES = (
    Race("fast-lenet5-mnist", "mnist", 5, 0.9825, 1, epochs=2),
    Race("fast-lenet5-mnist", "mnist", 5, 0.99, 2),
    Race("fast-small-alexnet-cifar10", "cifar10", 5, 0.8316, 6),
    Race("fast-alexnet-cifar10", "cifar10", 5, 0.8503, 15),
    Race("fast-googlenet-cifar10", "cifar10", 3, 0.7199, 30),
    Race("fast-alexnet-bn-227-cifar10", "cifar10", 2, 0.8432, 60),
    Race("fast-alexnet-cifar10", "cifar10", 1, None, 60, epochs=50),
)
"""In order of what matters most, since time may run out; the aims are for one H100."""


def speeds(folder: Path) -> list[dict[str, Any]]:
    """Images a second, interleaved, five times each."""
    from benchmarks.loops import article
    from benchmarks.train import TASKS, data, ours, task
    from cnnviz.training import get

    found = []
    for model, name, shape, _ in TASKS:
        images = data(folder, name, shape)
        plain = get(f"article-{model}-{name}").changed({"pad_crop": 0, "flip": "none", "epochs": 1000})
        fast = get(f"fast-{model}-{name}").changed({"epochs": 1000})
        timings = {
            "article": article(task(plain, images)),
            "ours": ours(plain, images),
            "fast": ours(fast, images),
        }
        steps = {"article": 20, "ours": 200, "fast": 200}
        values: dict[str, list[float]] = {key: [] for key in timings}
        for _ in range(5):
            for key, timing in timings.items():
                values[key].append(timing(steps[key]))
        found.append({"model": model, "data": images.title, "batch": plain.batch_size, "n": 5, **values})
    return found


def race(entry: Race, folder: Path, deadline: float) -> dict[str, Any]:
    """All seeds of one race; those that no longer fit are missing from `accuracy` and `seconds`."""
    from benchmarks.train import data
    from cnnviz.training import get

    recipe = get(entry.recipe)
    if entry.epochs is not None:
        recipe = recipe.changed({"epochs": entry.epochs})
    images = data(folder, entry.data, (3, 32, 32))
    warm_up = run(recipe.changed({"epochs": 1, "limit": 20 * recipe.batch_size}), images)[0]
    done: list[tuple[float, dict[str, Any]]] = []
    for seed in range(entry.seeds):
        longest = max((seconds for seconds, _ in done), default=entry.seconds)
        if time.monotonic() + longest > deadline:
            break
        done.append(run(recipe.changed({"seed": seed}), images))
    return {
        **asdict(entry),
        "data": images.title,
        "epochs": recipe.epochs,
        "warm_up": warm_up,
        "took": [seconds for seconds, _ in done],
        "reached": [log["test/accuracy"] for _, log in done],
        "images_per_second": [log["images_per_second"] for _, log in done],
        "mfu": [log["mfu"] for _, log in done if "mfu" in log],
        "memory_bytes": [log["memory_bytes"] for _, log in done],
        "notes": sorted({note for _, log in done for note in log["notes"]}),
    }


def run(recipe: Any, images: Any) -> tuple[float, dict[str, Any]]:
    """Seconds from images on the device to the last evaluation, and the last of every figure."""
    from benchmarks.loops import wait
    from cnnviz.training.run_logger import InMemoryLogger
    from cnnviz.training.setup import build_training
    from cnnviz.training.trainer import Trainer

    ready, log = build_training(recipe, images), InMemoryLogger()
    device = ready.data_module.train.images.device
    wait(device)
    start = time.perf_counter()
    parts = (ready.recipe, ready.model, ready.data_module, ready.side, log)
    Trainer(*parts, macs=ready.macs, data_report=False).run()
    wait(device)
    seconds = time.perf_counter() - start
    notes = [value["note"] for _, kind, value in log.records if kind == "engine" and "note" in value]
    return seconds, {name: value for _, _, name, value in log.rows} | {"notes": notes}


def waits(folder: Path) -> dict[str, str]:
    """For each small model, whether a step that neither reports nor looks waits for the device."""
    import torch

    from benchmarks.train import TASKS, data
    from cnnviz.training import get
    from cnnviz.training.run_logger import InMemoryLogger
    from cnnviz.training.setup import build_training
    from cnnviz.training.trainer import Trainer

    found = {}
    for model, name, shape, _ in TASKS:
        recipe = get(f"fast-{model}-{name}")
        ready = build_training(recipe, data(folder, name, shape))
        trainer = Trainer(
            recipe, ready.model, ready.data_module, ready.side, InMemoryLogger(), macs=ready.macs
        )
        trainer.run(lambda trainer=trainer: trainer.step < 121)  # type: ignore[misc]
        torch.cuda.set_sync_debug_mode("error")
        try:
            for _ in range(QUIET):  # by itself: ending a run drains what was measured, and waits for that
                trainer._train_step(trainer.rate(), record_layers=False)
            found[model] = "no step waits"
        except RuntimeError as error:
            found[model] = f"waits: {str(error).splitlines()[0]}"
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return found


def machine() -> dict[str, Any]:
    """What it was measured on."""
    import torch

    return {
        "gpu": torch.cuda.get_device_name(),
        "memory_gib": round(torch.cuda.get_device_properties(0).total_memory / 2**30, 1),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "cuda": torch.version.cuda,
        "versions": {name: version(name) for name in ("torch", "torchvision", "numpy")},
    }


def needs() -> Iterator[str]:
    """The distributions that this benchmark has imported, with their versions, one line each."""
    owners = packages_distributions()
    modules = {name.partition(".")[0] for name in sys.modules}
    for name in sorted({owner for module in modules for owner in owners.get(module, ())}):
        yield f"{name}=={version(name)}"


def measure(folder: Path, minutes: float, only: str) -> dict[str, Any]:
    """All of it, the most important first, as far as the time goes."""
    deadline = time.monotonic() + 60 * minutes
    found: dict[str, Any] = {"machine": machine(), "races": [], "left_out": []}
    if only in "speed":
        found["speeds"] = speeds(folder)
    for entry in (entry for entry in RACES if only in entry.recipe):
        if time.monotonic() + 2 * entry.seconds > deadline:
            found["left_out"].append(asdict(entry))
            continue
        found["races"].append(race(entry, folder, deadline))
        last = found["races"][-1]
        print(entry.recipe, [round(s, 2) for s in last["took"]], last["reached"], flush=True)
    if only in "waits":
        found["waits"] = waits(folder)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--only", default="", help="races whose recipe's name holds this")
    parser.add_argument("--table", type=Path, help="print the tables of a file that was measured")
    parser.add_argument("--selftest", action="store_true", help="check the GPU path point by point")
    parser.add_argument("--device", default="cuda", help="what the self-test runs on: cuda, or cpu")
    parser.add_argument("--needs", action="store_true", help="list the distributions that are imported")
    asked = parser.parse_args(arguments)
    if asked.table is not None:
        print(render(json.loads(asked.table.read_text())))
        return
    import torch

    from benchmarks.gpu_selftest import render as render_selftest
    from benchmarks.gpu_selftest import selftest

    importlib.import_module("benchmarks.train")  # what `needs` is about

    if asked.needs:
        print(*needs(), sep="\n")
        return
    if asked.selftest and (asked.device == "cpu" or torch.cuda.is_available()):
        outcomes = []
        for outcome in selftest(torch.device("cpu") if asked.device == "cpu" else torch.device("cuda", 0)):
            outcomes.append(outcome)
            print(outcome.outcome, outcome.name, flush=True)
        print(render_selftest(outcomes))
        raise SystemExit(any(outcome.outcome == "fail" for outcome in outcomes))
    if not torch.cuda.is_available():
        raise SystemExit("There is no GPU here: nothing was measured.")
    found = measure(asked.data, asked.minutes, asked.only)
    asked.out.write_text(json.dumps(found, indent=2) + "\n")
    print(render(found))


if __name__ == "__main__":
    main()
