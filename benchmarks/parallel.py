"""Images a second of one run by one process and by several on the CPU, a core each (data parallel).

python -m benchmarks.parallel [--ranks 2] [--epochs 3] [--repeats 3]
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile

import torch

from benchmarks.machine import describe
from cnnviz import tracking
from cnnviz.datasets.spec import silent
from cnnviz.tracking import Database, Status
from cnnviz.training import Recipe
from cnnviz.training.queue import enqueue
from cnnviz.training.workers.worker import work

SPEED = "images_per_second"


def measured(database: Database, recipe: Recipe) -> float:
    """The median speed of a run's reports, the first left out: it holds what is done once."""
    run = enqueue(database, recipe).id
    lease = tracking.claim(database, "cpu", only=run, classes=["cpu", recipe.device])
    assert lease is not None
    assert work(database, lease, silent, lambda: False) is Status.FINISHED
    rows = tracking.read_metrics(database, run, 0, 10_000).rows
    return statistics.median([row.value for row in rows if row.name == SPEED][1:])


def main() -> None:
    """Measure in turns, so that a load that comes and goes meets both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(describe("torch"))
    print(f"load {os.getloadavg()[0]:.1f} at the start; one thread a process")
    recipe = Recipe(
        model="small-googlenet-32", dataset="digits", batch_size=128, epochs=given.epochs, device="cpu"
    )
    found: dict[str, list[float]] = {"cpu": [], f"cpu:{given.ranks}": []}
    with tempfile.TemporaryDirectory() as home:
        os.environ["CNNVIZ_HOME"] = home
        with tracking.connect() as database:
            for _ in range(given.repeats):
                for device, speeds in found.items():
                    speeds.append(measured(database, recipe.changed({"device": device})))
    one, several = (statistics.median(speeds) for speeds in found.values())
    for device, speeds in found.items():
        listed = ", ".join(f"{speed:,.0f}" for speed in speeds)
        print(f"{device:8} {statistics.median(speeds):8,.0f} images/s (median of {given.repeats}: {listed})")
    load = os.getloadavg()[0]
    print(f"ratio    {several / one:8.2f} with {given.ranks} processes; load {load:.1f} at the end")


if __name__ == "__main__":
    main()
