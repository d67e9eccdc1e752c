"""What pages import: libraries of tens of megabytes stay out of an app that does not need them."""

import json
import subprocess
import sys
from pathlib import Path

HEAVY = (
    "torch", "torchvision", "torch._dynamo", "triton", "sympy", "pandas", "pyarrow", "scipy", "scipy.stats",
    "sklearn", "matplotlib", "captum",
)  # fmt: skip
ROOT = Path(__file__).parents[2]


def loaded(*pages: str) -> list[list[str]]:
    """Which of `HEAVY` a new process, which preloads nothing, has imported after each of these pages."""
    code = (
        "import json, sys; from tests.pages.runner import open_page\n"
        f"for page in {pages!r}:\n"
        f"    open_page(page); print('>', json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line[2:]) for line in done.stdout.splitlines() if line.startswith("> ")]


def test_pages_that_compute_nothing_import_neither_torch_nor_pandas() -> None:
    assert loaded("start", "architecture", "runs", "train", "glossary") == [[]] * 5


def test_feature_maps_imports_torch_alone() -> None:
    assert loaded("features") == [["torch"]]
