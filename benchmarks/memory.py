"""Memory of the app: with and without `--lean`, over many walks through all pages, after visitors have left.

Visitors speak Streamlit's protocol over loopback; they are no browsers. Lean and normal: after Start (idle:
everything that is preloaded is there, and a warm worker), after pages that compute nothing, after Feature
maps, each in a new process. Soak: a visitor walks through all pages, with each of some networks in turn, and
leaves; the memory after every round has to level off. Left: many visitors at once, each on several pages,
before and after they leave. Memory is what `benchmarks.footprint` says, once nothing changes any more.

    python -m benchmarks.memory [--part lean|normal|soak|left] [--repeats 3] [--rounds 20] [--sessions 30]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import websockets

from benchmarks.crowd import PATIENCE_SECONDS, app_process, run_script
from benchmarks.footprint import Footprint, measure
from benchmarks.machine import describe
from tests.browser.people import command_line_app, free_port

STAGES = {
    "idle after Start": (("", ""),),
    "Architecture, Runs, Train": (("architecture", "model=alexnet-cifar10"), ("runs", ""), ("train", "")),
    "Feature maps": (("features", ""),),
}
ALL_PAGES = (
    "", "features", "attribution", "predict", "inception", "architecture", "compare", "build", "data",
    "train", "runs", "experiments", "diagnose", "glossary",
)  # fmt: skip
MODELS = ("lenet5", "alexnet-cifar10", "googlenet-32", "torchvision/squeezenet1_1")
"""Networks of the soak, in turn: what they leave in caches is there after one turn."""
SETTLED_MB = 1.0
LOOK_SECONDS = 2.0
LOOKS = 5
LONGEST_SECONDS = 90.0
STORED_SECONDS = 125.0
"""Streamlit keeps a session for two minutes, in case its visitor connects again."""


@contextmanager
def started(*, lean: bool) -> Iterator[tuple[str, psutil.Process]]:
    """The app in a new process and an empty home, as `cnnviz app` starts it: its address and its process."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        how = ["--lean", "--"] if lean else ["--"]
        arguments = ("app", "--port", str(port), "--home", f"{folder}/home", *how, "--server.headless=true")
        with command_line_app(Path(folder), port, *arguments) as server:
            yield server.url, app_process(server)


def settled(process: psutil.Process) -> Footprint:
    """Measure once five looks in a row differ by at most a megabyte, or after a minute and a half."""
    looks: list[Footprint] = []
    deadline = time.monotonic() + LONGEST_SECONDS
    while time.monotonic() < deadline:
        looks.append(measure(process))
        last = [look.tree for look in looks[-LOOKS:]]
        if len(last) == LOOKS and max(last) - min(last) <= SETTLED_MB:
            break
        time.sleep(LOOK_SECONDS)
    return looks[-1]


async def walk(url: str, pages: tuple[tuple[str, str], ...], inside: asyncio.Barrier | None = None) -> None:
    """Open one page after another in one session, wait for the others, and leave."""
    async with websockets.connect(
        f"{url.replace('http', 'ws')}/_stcore/stream", subprotocols=[websockets.Subprotocol("streamlit")],
        max_size=2**28, open_timeout=PATIENCE_SECONDS,
    ) as socket:  # fmt: skip
        for page, query in pages:
            wrong = await run_script(socket, page, query)
            if wrong:
                raise RuntimeError(f"/{page}?{query}: {wrong}")
        if inside is not None:
            await inside.wait()
            await inside.wait()


def stages(*, lean: bool) -> dict[str, Footprint]:
    """Memory of a new process after each stage; the visitor of a stage has left."""
    result = {}
    with started(lean=lean) as (url, process):
        for title, pages in STAGES.items():
            asyncio.run(walk(url, pages))
            result[title] = settled(process)
    return result


def stages_part(repeats: int, *, lean: bool) -> None:
    runs = [stages(lean=lean) for _ in range(repeats)]
    name = "lean" if lean else "normal"
    for title in runs[0]:
        each = [run[title] for run in runs]
        print(f"{name}, {title}: {_row(each)}")


def soak_part(rounds: int, *, lean: bool) -> None:
    """Print the memory after each round of all pages, and how much the last third of the rounds added."""
    sizes = []
    name = "lean" if lean else "normal"
    print(f"soak, {name}: all {len(ALL_PAGES)} pages a round, another network each; MB, app (all)")
    with started(lean=lean) as (url, process):
        begun = time.monotonic()
        for round_ in range(rounds):
            model = MODELS[round_ % len(MODELS)]
            asyncio.run(walk(url, tuple((page, f"model={model}" if page else "") for page in ALL_PAGES)))
            found = settled(process)
            sizes.append(found.app)
            print(f"  {round_ + 1:3}  {found.app:5.0f} ({found.tree:5.0f})  {model}", flush=True)
        minutes = (time.monotonic() - begun) / 60
    third = sizes[-(len(sizes) // 3 or 1) :]
    print(f"  {minutes:.0f} minutes; last third of the rounds: {min(third):.0f} to {max(third):.0f} MB, "
          f"{third[-1] - third[0]:+.1f}")  # fmt: skip


def left_part(sessions: int) -> None:
    """Print the memory before, with and after many visitors; later crowds meet what the first has loaded."""

    async def crowd(url: str, process: psutil.Process) -> Footprint:
        inside = asyncio.Barrier(sessions + 1)
        pages = (("", ""), ("architecture", "model=lenet5"), ("features", "model=lenet5"), ("train", ""))
        people = [asyncio.create_task(walk(url, pages, inside)) for _ in range(sessions)]
        waiting = asyncio.create_task(inside.wait())
        done, _ = await asyncio.wait([waiting, *people], return_when=asyncio.FIRST_COMPLETED)
        if waiting not in done:
            await asyncio.gather(*people)  # raises what was wrong
        with_all = await asyncio.to_thread(settled, process)
        await inside.wait()
        await asyncio.gather(*people)
        return with_all

    with started(lean=False) as (url, process):
        for turn in ("first", "second"):
            before = settled(process)
            with_all = asyncio.run(crowd(url, process))
            after = settled(process)
            time.sleep(STORED_SECONDS)
            asyncio.run(walk(url, (("", ""),)))  # expired sessions go when the next one comes or leaves
            later = settled(process)
            print(f"{sessions} sessions, {turn} crowd: {before.app:.0f} MB before, {with_all.app:.0f} with "
                  f"all, {after.app:.0f} after they left, {later.app:.0f} once Streamlit has dropped their "
                  "sessions")  # fmt: skip


def _row(each: list[Footprint]) -> str:
    """Medians of an app's process and of all processes, in MB, and the largest process by mapping."""
    app = [one.app for one in each]
    largest = max(each, key=lambda one: one.app)
    kinds = ", ".join(f"{kind} {size:.0f}" for kind, size in sorted(largest.kinds.items()))
    how = "PSS" if largest.by_pss else f"most PSS {max(one.pss for one in each):.0f}"
    return (f"{statistics.median(app):.0f} MB (most {max(app):.0f}, with children "
            f"{statistics.median(one.tree for one in each):.0f}; {how}; {kinds})")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--part", choices=("lean", "normal", "soak", "left"))
    parser.add_argument("--lean", action="store_true", help="soak the lean app")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--sessions", type=int, default=30)
    options = parser.parse_args()
    if min(options.repeats, options.rounds, options.sessions) < 1 or options.sessions > 500:
        parser.error("--repeats and --rounds are at least 1, --sessions is 1 to 500")
    print(describe("streamlit", "torch", "torchvision", "pandas", "scipy"))
    if options.part in (None, "lean"):
        stages_part(options.repeats, lean=True)
    if options.part in (None, "normal"):
        stages_part(options.repeats, lean=False)
    if options.part in (None, "soak"):
        soak_part(options.rounds, lean=options.lean)
    if options.part in (None, "left"):
        left_part(options.sessions)


if __name__ == "__main__":
    main()
