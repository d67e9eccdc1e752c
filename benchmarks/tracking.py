"""What the run database costs: logging, following a long run, listing many.

Logging is measured on the thread that logs, with the writing thread at work beside it, in microseconds a
scalar; the writers of TensorBoard and MLflow (its file store), if they are installed, do the same in the same
run. They are not among the requirements: `pip install tensorboard mlflow-skinny`. The long run has a million
values of ten metrics; the list has 10,000 runs of eight metrics each.

    python -m benchmarks.tracking [--url ADDRESS] [--scalars N] [--points N] [--runs N] [--repeat N]
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import math
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from benchmarks.machine import describe
from cnnviz import tracking
from cnnviz.tracking import Curves, Database, Lease, MetricWriter
from cnnviz.tracking.curves import POINTS
from cnnviz.tracking.metrics import Value, append
from cnnviz.tracking.tables import RunRow, SeriesRow

METRICS = ("train/loss", "train/accuracy", "val/loss", "val/accuracy", "test/loss", "test/accuracy", "lr")
_BATCH = 20_000


def timed(work: Callable[[], Any], repeat: int) -> float:
    """The median of `repeat` calls, in seconds."""
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def new_run(database: Database, device: str) -> Lease:
    tracking.create_run(database, {}, model="lenet5", dataset="mnist", seed=0, device=device)
    lease = tracking.claim(database, device)
    assert lease is not None
    tracking.begin(database, lease)
    return lease


def ours(database: Database, scalars: int, round_: int) -> tuple[float, float]:
    """Microseconds a scalar on the logging thread, and seconds until all is committed."""
    with MetricWriter(database, new_run(database, f"logging:{round_}")) as log:
        start = time.perf_counter()
        for step in range(scalars):
            log.log("train/loss", 0.5, step, 0.1)
        logged = time.perf_counter()
        log.flush()
        return (logged - start) / scalars * 1e6, time.perf_counter() - start


def tensorboard(folder: Path, scalars: int) -> float:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder)) as writer:
        start = time.perf_counter()
        for step in range(scalars):
            writer.add_scalar("train/loss", 0.5, step)
        return (time.perf_counter() - start) / scalars * 1e6


def mlflow(folder: Path, scalars: int) -> float:
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    mlflow: Any = importlib.import_module("mlflow")
    mlflow.set_tracking_uri(folder.as_uri())
    with mlflow.start_run():
        start = time.perf_counter()
        for step in range(scalars):
            mlflow.log_metric("train/loss", 0.5, step=step)
        return (time.perf_counter() - start) / scalars * 1e6


def logging(database: Database, folder: Path, scalars: int, repeat: int) -> None:
    found = [ours(database, scalars, round_) for round_ in range(repeat)]
    micros = statistics.median(micros for micros, _ in found)
    committed = statistics.median(seconds for _, seconds in found)
    print(f"logging, n = {repeat} × {scalars:,} scalars on the logging thread")
    print(f"  cnnviz       {micros:8.2f} µs   (all committed after {committed:.2f} s)")
    if importlib.util.find_spec("tensorboard"):
        other = statistics.median(tensorboard(folder / f"tb{i}", scalars) for i in range(repeat))
        print(f"  TensorBoard  {other:8.2f} µs   ratio {other / micros:.1f}")
    else:
        print("  TensorBoard  not installed: not measured")
    if importlib.util.find_spec("mlflow"):
        few = min(scalars, 1_000)
        other = statistics.median(mlflow(folder / f"ml{i}", few) for i in range(repeat))
        print(f"  MLflow       {other:8.2f} µs   ratio {other / micros:.1f} ({few:,} scalars)")
    else:
        print("  MLflow       not installed: not measured")


def following(database: Database, points: int, repeat: int) -> None:
    lease, names = new_run(database, "long"), [f"metric/{i}" for i in range(10)]
    for start in range(0, points // len(names), _BATCH // len(names)):
        steps = range(start, start + _BATCH // len(names))
        append(database, lease, [Value(n, s, s / 100, math.sin(s), 0.0) for s in steps for n in names])
    step = points // len(names) + _BATCH

    def opened() -> Curves:
        curves = Curves(database, lease.run_id)
        curves.refresh()
        return curves

    def new_rows() -> float:
        nonlocal step
        step += 1
        append(database, lease, [Value(name, step, 0.0, 0.5, 0.0) for name in names])
        start = time.perf_counter()
        assert reader.refresh()
        return time.perf_counter() - start

    def everything() -> None:
        cursor, more = 0, True
        while more:
            page = tracking.read_metrics(database, lease.run_id, cursor)
            cursor, more = page.cursor, page.more

    reader = opened()
    refresh = statistics.median(new_rows() for _ in range(20 * repeat))
    first, all_rows = timed(opened, repeat), timed(everything, 1)
    nothing = timed(reader.refresh, 20 * repeat)
    print(f"a run of {points:,} values of {len(names)} metrics, n = {repeat} (refreshes: {20 * repeat})")
    print(f"  opened, down-sampled to {POINTS:,} points a metric   {first * 1e3:9.1f} ms")
    print(f"  refresh with {len(names)} new rows                          {refresh * 1e3:9.2f} ms")
    print(f"  refresh with nothing new                          {nothing * 1e3:9.2f} ms")
    print(f"  every row through the cursor (n = 1)              {all_rows * 1e3:9.1f} ms")
    print(f"  ratio of every row to a refresh                   {all_rows / refresh:9.0f}")


def listing(database: Database, runs: int, repeat: int) -> None:
    now = time.time()
    common = {
        "status": "finished",
        "recipe": {"epochs": 20},
        "model": "lenet5",
        "dataset": "mnist",
        "seed": 0,
    }
    times = {"device": "cpu", "created": now, "queued": now, "name": "a run"}
    with database.write() as session:
        session.execute(insert(RunRow), [{"key": f"k{i}", **common, **times} for i in range(runs)])
    ids = [run.id for run in tracking.list_runs(database, metrics=[]) if run.name == "a run"]
    summary = {
        "count": 9,
        "last": 0.5,
        "last_step": 9,
        "low": 0.1,
        "low_step": 1,
        "high": 0.9,
        "high_step": 2,
    }
    with database.write() as session:
        rows = [{"run_id": id_, "name": name, **summary} for id_ in ids for name in (*METRICS, "mfu")]
        session.execute(insert(SeriesRow), rows)
    every = timed(lambda: tracking.list_runs(database), repeat)
    two = timed(lambda: tracking.list_runs(database, metrics=METRICS[4:6]), repeat)
    page = timed(lambda: tracking.list_runs(database, limit=100), repeat)
    print(f"a list of {len(ids):,} runs of {len(METRICS) + 1} metrics, n = {repeat}")
    print(f"  with the last and best of all   {every * 1e3:9.1f} ms")
    print(f"  with those of two metrics       {two * 1e3:9.1f} ms")
    print(f"  the newest 100                  {page * 1e3:9.1f} ms   ratio {every / page:.0f}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--url", help="the database; a new SQLite file by default. Use an empty one")
    parser.add_argument("--scalars", type=int, default=50_000)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--repeat", type=int, default=5)
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with tracking.connect(asked.url or f"sqlite:///{folder}/runs.sqlite") as database:
            print(describe("SQLAlchemy"))
            print(f"{database.url.get_backend_name()}, SQLite {sqlite3.sqlite_version}\n")
            logging(database, folder, asked.scalars, asked.repeat)
            listing(database, asked.runs, asked.repeat)
            following(database, asked.points, asked.repeat)


if __name__ == "__main__":
    main()
