"""What holds for every file of the repository."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Something in a home, a temporary or a mounted folder: a path that exists on one machine only. Paths that a
# Linux distribution gives everybody (/usr/bin/chromium) are none.
MACHINE_PATH = re.compile(r"(?<![\w.:/~$}-])/(?:home|root|tmp|Users|mnt|work|private)/[\w.]")


def tracked(pattern: str = "*") -> list[Path]:
    """Return the files that git tracks, or skip where this is no checkout (an unpacked archive)."""
    listed = subprocess.run(["git", "ls-files", "-z", pattern], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip("needs a git checkout: the test asks git which files are the project's")
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def test_no_file_names_a_path_of_one_machine() -> None:
    result = {
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in tracked()
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="ignore").splitlines(), 1)
        if MACHINE_PATH.search(line)
    }
    assert not result


def test_no_tracked_file_is_ignored() -> None:
    """What .gitignore matches is left out of the wheel, of mypy and of ruff, although git tracks it."""
    tracked(".gitignore")
    ignored = subprocess.run(
        ["git", "ls-files", "--cached", "--ignored", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=True, text=True,
    )  # fmt: skip
    assert not ignored.stdout


@pytest.mark.parametrize("folder", ["home", "tmp", "root", "work"])
def test_the_pattern_notices(folder: str) -> None:
    assert MACHINE_PATH.search(f"cd /{folder}/somewhere")
    assert not MACHINE_PATH.search(f"see docs/{folder}/page and https://example.org/{folder}/page")
