"""Memory of `cnnviz app --lean`: after pages that compute nothing, and after Feature maps.

One visitor, who speaks Streamlit's protocol over loopback, opens Start, Architecture, Runs and Train, and
then Feature maps. After each the proportional set size of the app and its children is read from
`/proc/PID/smaps_rollup`, and whether torch and torchvision are in it.

    python -m benchmarks.lean [--repeats 3] [--not-lean]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import re
import statistics
import tempfile
import time
from pathlib import Path

import psutil
import websockets

from benchmarks.crowd import PATIENCE_SECONDS, app_process, run_script
from benchmarks.machine import describe
from tests.browser.people import command_line_app, free_port

STAGES = {
    "Start": ("", ""),
    "Architecture": ("architecture", "model=alexnet-cifar10"),
    "Runs": ("runs", ""),
    "Train": ("train", ""),
    "Feature maps": ("features", ""),
}
SETTLE_SECONDS = 3.0
LIBRARIES = {"torch": "libtorch_cpu", "torchvision": "torchvision/_C"}


def held(process: psutil.Process) -> tuple[float, list[str]]:
    """Megabytes (10⁶ bytes) of a process and its children by PSS, and which libraries it has loaded."""
    total = 0
    for each in (process, *process.children(recursive=True)):
        rollup = Path(f"/proc/{each.pid}/smaps_rollup").read_text()
        found = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
        total += int(found[1]) if found else 0
    maps = Path(f"/proc/{process.pid}/maps").read_text()
    return total * 1024 / 1e6, [name for name, part in LIBRARIES.items() if part in maps]


async def visit(url: str, process: psutil.Process) -> dict[str, tuple[float, list[str]]]:
    """Open one page after another in one session."""
    result = {}
    async with websockets.connect(
        f"{url.replace('http', 'ws')}/_stcore/stream", subprotocols=[websockets.Subprotocol("streamlit")],
        max_size=2**28, open_timeout=PATIENCE_SECONDS,
    ) as socket:  # fmt: skip
        for title, (page, query) in STAGES.items():
            wrong = await run_script(socket, page, query)
            if wrong:
                raise RuntimeError(f"{title}: {wrong}")
            await asyncio.sleep(SETTLE_SECONDS)
            result[title] = held(process)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--not-lean", action="store_true", help="the app as it is by default, to compare")
    options = parser.parse_args()
    print(describe("streamlit", "torch", "torchvision"))
    seen: dict[str, list[tuple[float, list[str]]]] = {title: [] for title in STAGES}
    for _ in range(max(1, options.repeats)):
        with tempfile.TemporaryDirectory() as folder:
            port = free_port()
            lean = [] if options.not_lean else ["--lean"]
            arguments = ("app", "--port", str(port), "--home", f"{folder}/home", *lean, "--")
            with command_line_app(Path(folder), port, *arguments, "--server.headless=true") as server:
                time.sleep(SETTLE_SECONDS)
                for title, found in asyncio.run(visit(server.url, app_process(server))).items():
                    seen[title].append(found)
        gc.collect()
    print(f"{'' if options.not_lean else 'lean, '}n = {len(seen['Start'])}; MB by PSS, after each page:")
    for title, each in seen.items():
        sizes = [size for size, _ in each]
        loaded = ", ".join(each[-1][1]) or "no torch"
        print(f"  {title:<14} {statistics.median(sizes):6.0f}  (most {max(sizes):.0f}; {loaded})")


if __name__ == "__main__":
    main()
