"""What the app costs with many people in it: sessions, the queue's claim, turns.

`--part sessions`: so many websocket clients that speak Streamlit's protocol over loopback, not browsers, each
on Architecture or Train; each clicks now and then (another model) while two runs train, one of the app's and
one by `cnnviz train`. A click ends when the script has finished. `--part claim`: runs of many owners wait;
the time of one claim is taken. `--part turns`: a class queues; the longest wait of a first run, fair against
first come, first served, is counted and not measured.

    python -m benchmarks.crowd [--part sessions|claim|turns] [--sessions 100] [--clicks 3]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from benchmarks.machine import describe
from cnnviz import tracking
from cnnviz.access import Principal, Role, acting
from cnnviz.tracking.queue import fair_order
from cnnviz.training import Recipe
from cnnviz.training.queue import enqueue
from tests.browser.server import ROOT, Server, serve

LONG = Recipe(name="long", model="small-alexnet", dataset="shapes", epochs=1_000, batch_size=64, device="cpu")
MODELS = ("lenet5", "alexnet-cifar10", "small-alexnet", "lenet5-1998")
PATIENCE_SECONDS = 300.0
THINK = (2.0, 15.0)
"""Seconds between two clicks of a person."""


@dataclass
class Crowd:
    """What its sessions saw."""

    first: list[float] = field(default_factory=list)
    clicks: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


async def run_script(socket: websockets.ClientConnection, page: str, query: str) -> str:
    """Run the page's script as a click does; return what was wrong, empty where it finished."""
    message = BackMsg()
    message.rerun_script.query_string = query
    message.rerun_script.page_name = page
    await socket.send(message.SerializeToString())
    wrong = ""
    while True:
        answer = ForwardMsg()
        answer.ParseFromString(await asyncio.wait_for(socket.recv(decode=False), PATIENCE_SECONDS))
        kind = answer.WhichOneof("type")
        if kind == "delta" and answer.delta.new_element.WhichOneof("type") == "exception":
            wrong = answer.delta.new_element.exception.message or "an exception"
        if kind == "script_finished" and answer.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
            return wrong


async def visitor(url: str, number: int, clicks: int, crowd: Crowd, all_in: asyncio.Barrier) -> None:
    """One session: opens a page, clicks now and then, and leaves once everybody has clicked."""
    chance = random.Random(number)
    page = "architecture" if number % 2 else "train"
    try:
        async with websockets.connect(
            f"{url.replace('http', 'ws')}/_stcore/stream", subprotocols=[websockets.Subprotocol("streamlit")],
            max_size=2**28, open_timeout=PATIENCE_SECONDS,
        ) as socket:  # fmt: skip
            for turn in range(clicks + 1):
                await asyncio.sleep(chance.uniform(*THINK))
                started = time.perf_counter()
                wrong = await run_script(socket, page, f"model={chance.choice(MODELS)}")
                (crowd.clicks if turn else crowd.first).append(time.perf_counter() - started)
                if wrong:
                    crowd.errors.append(wrong)
            await all_in.wait()
    except (OSError, TimeoutError, websockets.WebSocketException, asyncio.BrokenBarrierError) as error:
        crowd.errors.append(f"{type(error).__name__}: {error}")
        await all_in.abort()


async def gather(url: str, sessions: int, clicks: int, measure: list[int], app: psutil.Process) -> Crowd:
    """Let everybody in; note the app's memory while all are there."""
    crowd = Crowd()
    barrier = asyncio.Barrier(sessions + 1)
    people = [asyncio.create_task(visitor(url, n, clicks, crowd, barrier)) for n in range(sessions)]
    while barrier.n_waiting < sessions and not barrier.broken:
        await asyncio.sleep(0.2)
    measure.append(memory(app))
    if not barrier.broken:
        await barrier.wait()
    await asyncio.gather(*people)
    return crowd


def memory(process: psutil.Process) -> int:
    """Proportional set size of a process, in bytes."""
    return int(process.memory_full_info().pss)


def app_process(server: Server) -> psutil.Process:
    """The process that listens at the server's port."""
    port = int(server.url.rpartition(":")[2])
    children = psutil.Process().children(recursive=True)
    return next(c for c in children if any(n.laddr.port == port for n in c.net_connections()))


def await_training(database: tracking.Database, runs: int) -> None:
    """Wait until so many runs have made a step."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while sum(run.step > 0 for run in tracking.list_runs(database, metrics=[])) < runs:
        if time.monotonic() > deadline:
            states = ", ".join(run.status.value for run in tracking.list_runs(database, metrics=[]))
            raise RuntimeError(f"not {runs}, but these runs train: {states}")
        time.sleep(0.2)


def sessions_part(sessions: int, clicks: int) -> None:
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder)) as server:
        os.environ["CNNVIZ_HOME"] = str(server.home)
        app = app_process(server)
        # Everything is imported and every model known before anybody is counted.
        asyncio.run(gather(server.url, 2, 4, [], app))
        with tracking.connect() as database:
            # Beside the app's run: the CPU has one run at a time unless somebody says --now.
            command = [sys.executable, "-m", "cnnviz", "train", "--model", "lenet5", "--dataset", "digits",
                       "--epochs", "2000", "--device", "cpu", "--now"]  # fmt: skip
            beside: subprocess.Popen[bytes] | None = None
            enqueue(database, LONG)
            try:
                await_training(database, 1)
                beside = subprocess.Popen(
                    command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"},
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                )  # fmt: skip
                await_training(database, 2)
                before, during = memory(app), list[int]()
                crowd = asyncio.run(gather(server.url, sessions, clicks, during, app))
                going = [r.status.value for r in tracking.list_runs(database, metrics=[])]
                time.sleep(5)
                after = memory(app)
            finally:
                if beside is not None:
                    beside.terminate()
                    beside.wait(30)
                for run in tracking.list_runs(database, statuses=list(tracking.ACTIVE), metrics=[]):
                    tracking.request(database, run.id, tracking.Command.STOP)
        print(f"{sessions} sessions, {clicks} clicks each; runs meanwhile: {', '.join(going)}")
        for name, seconds in (("first page", crowd.first), ("click", crowd.clicks)):
            if len(seconds) > 1:
                p95 = statistics.quantiles(seconds, n=20)[-1]
                median, longest = statistics.median(seconds), max(seconds)
                print(
                    f"{name}: n = {len(seconds)}, median {median:.2f}, p95 {p95:.2f}, longest {longest:.2f} s"
                )
        print(f"errors: {len(crowd.errors)} {sorted(set(crowd.errors))[:3]}")
        each = (during[0] - before) / sessions / 1e6
        print(f"memory (PSS): {before / 1e6:.0f} MB before, {during[0] / 1e6:.0f} MB with all in "
              f"({each:.2f} MB a session), {after / 1e6:.0f} MB 5 s after they left")  # fmt: skip


def claim_part(runs: int, owners: int, repeats: int) -> None:
    from sqlalchemy import insert

    from cnnviz.tracking.tables import RunRow

    with tempfile.TemporaryDirectory() as folder:
        database = tracking.connect(f"sqlite:///{folder}/runs.sqlite")
        numbers = []
        for number in range(owners):
            with acting(Principal(f"class {number}", f"Student {number}", Role.MEMBER)):
                run = tracking.create_run(database, {}, model="lenet5", dataset="digits", seed=0)
                numbers.append(tracking.get_run(database, run.id).owner_id)
        template = tracking.get_run(database, 1)
        rows: list[dict[str, Any]] = [
            {
                "key": f"{n:012}", "name": "run", "status": "queued", "kind": "trained", "recipe": {},
                "model": "lenet5", "dataset": "digits", "seed": 0, "device": template.device,
                "device_class": template.device_class, "created": float(n), "queued": float(n),
                "owner_id": numbers[n % owners], "attempt": 0, "tries": 0, "step": 0, "epoch": 0.0,
                "earlier_seconds": 0.0, "notes": "", "tags": [],
            }
            for n in range(runs - owners)
        ]  # fmt: skip
        with database.write() as session:
            session.execute(insert(RunRow), rows)
        seconds, busy = [], []
        for _ in range(repeats):
            started, worked = time.perf_counter(), time.process_time()
            lease = tracking.claim(database, "cpu")
            seconds.append(1000 * (time.perf_counter() - started))
            busy.append(1000 * (time.process_time() - worked))
            assert lease is not None
            tracking.end(database, lease, tracking.Status.STOPPED)
        database.close()
    wall, cpu = statistics.median(seconds), statistics.median(busy)
    print(f"claim, {runs:,} runs of {owners} owners wait (SQLite), n = {repeats}: median {wall:.1f} ms")
    print(f"  (processor time {cpu:.1f} ms), longest {max(seconds):.1f} ms")


def turns_part(students: int, each: int, minutes: float) -> None:
    waiting = [(s, float(s) + n / 100, s * each + n) for s in range(students) for n in range(each)]
    for name, order in (
        (
            "first come, first served",
            [number for _, _, number in sorted(waiting, key=lambda entry: entry[1])],
        ),
        ("people take turns", fair_order(waiting, {})),
    ):
        first = [min(order.index(s * each + n) for n in range(each)) for s in range(students)]
        last, median = max(first) * minutes, statistics.median(first) * minutes
        print(f"{students} students queue {each} runs of {minutes:g} minutes, {name}:")
        print(f"  the last one's first run waits {last:.0f} minutes, the median {median:.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--part", choices=("sessions", "claim", "turns"))
    parser.add_argument("--sessions", type=int, default=100)
    parser.add_argument("--clicks", type=int, default=3)
    options = parser.parse_args()
    if not 1 <= options.sessions <= 500 or not 1 <= options.clicks <= 50:
        parser.error("--sessions is 1 to 500, --clicks 1 to 50")
    print(describe("streamlit", "starlette", "uvicorn", "SQLAlchemy"))
    if options.part in (None, "turns"):
        turns_part(30, 5, 5.0)
    if options.part in (None, "claim"):
        claim_part(10_000, 100, 50)
    if options.part in (None, "sessions"):
        sessions_part(options.sessions, options.clicks)


if __name__ == "__main__":
    main()
