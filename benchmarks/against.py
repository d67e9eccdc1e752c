"""Pages and analysis of this tree against those of a commit, alternating in the same run: a ratio for each.

The commit is checked out into a temporary git worktree; each measurement is a process of its own in one of
the two trees, with this Python. What runs is the tree's own app through the same steps: the start
(`streamlit run` to the content of the Start page), the choice of another model on Architecture, warm, and the
analysis of architectures, building included.

    python -m benchmarks.against COMMIT [--rounds N] [--models N] [--only pages|analysis]

Exit code 1 where a ratio of medians is above `--most` (1.05).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.machine import describe

ROOT = Path(__file__).parents[1]
PAGES = """
import json
from playwright.sync_api import sync_playwright
from benchmarks.pages import SMALL, choices, start
from tests.browser.chromium import find_chromium, launch
with sync_playwright() as playwright:
    browser = launch(playwright, find_chromium())
    content = start(browser)[-1]
    chosen = choices(browser, SMALL, 1)
    browser.close()
print(json.dumps({"Start with its content": [content], "another model on Architecture": chosen}))
"""
ANALYSIS = """
import json, time, warnings
from cnnviz import models
from cnnviz.analysis.core import of_spec
warnings.simplefilter("ignore")
def seconds(spec):
    start = time.perf_counter()
    of_spec(spec, spec.classes, spec.input_shape, spec.options())
    return time.perf_counter() - start
seconds(models.get("lenet5"))  # The first call of anything in torch imports more of it.
specs = [spec for spec in models.specs().values() if spec.source == "torchvision"][:MODELS]
print(json.dumps({f"analysis of {len(specs)} models": [sum(map(seconds, specs))]}))
"""


@contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """Check a commit out into a temporary worktree, and remove it at the end."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        subprocess.run(["git", "worktree", "add", "--detach", str(tree), commit], cwd=ROOT, check=True,
                       capture_output=True)  # fmt: skip
        try:
            yield tree
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=ROOT, check=True)


def measure(code: str, tree: Path) -> dict[str, list[float]]:
    """Run `code` in a process of its own in a tree; the seconds that it prints, by what they are of."""
    ended = subprocess.run([sys.executable, "-c", code], cwd=tree, check=True, capture_output=True, text=True)
    seconds: dict[str, list[float]] = json.loads(ended.stdout.splitlines()[-1])
    return seconds


def compare(
    codes: Sequence[str], trees: tuple[Path, Path], rounds: int
) -> dict[str, tuple[list[float], ...]]:
    """Run each code in both trees, alternating; every second round begins with the other tree.

    Returns:
        By what was measured, the seconds in the first and in the second tree.
    """
    samples: dict[str, tuple[list[float], ...]] = {}
    for number in range(rounds):
        for code in codes:
            for place in (0, 1) if number % 2 == 0 else (1, 0):
                for what, seconds in measure(code, trees[place]).items():
                    samples.setdefault(what, ([], []))[place].extend(seconds)
    return samples


def ratio(samples: tuple[list[float], ...]) -> float:
    """The median in the first tree over the median in the second."""
    return statistics.median(samples[0]) / statistics.median(samples[1])


def main() -> None:
    """Read the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("commit")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--models", type=int, default=20, help="architectures analyzed in a round")
    parser.add_argument("--only", choices=("pages", "analysis"))
    parser.add_argument("--most", type=float, default=1.05, help="the largest ratio that passes")
    given = parser.parse_args()
    codes = {"pages": PAGES, "analysis": ANALYSIS.replace("MODELS", str(given.models))}
    chosen = [code for name, code in codes.items() if given.only in (None, name)]
    with checkout(given.commit) as tree:
        samples = compare(chosen, (ROOT, tree), given.rounds)
    print(describe("streamlit", "torch", "torchvision"), "\n")
    print(f"{'median seconds':40} {'now':>8} {given.commit[:8]:>8} {'ratio':>6} {'n':>4}")
    for what, (ours, theirs) in samples.items():
        medians = statistics.median(ours), statistics.median(theirs)
        print(f"{what:40} {medians[0]:8.2f} {medians[1]:8.2f} {ratio((ours, theirs)):6.2f} {len(ours):4d}")
    raise SystemExit(max(map(ratio, samples.values())) > given.most)


if __name__ == "__main__":
    main()
