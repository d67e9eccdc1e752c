"""The examples run as they stand, and say what they promise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from cnnviz import tracking

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The run database that examples write to, which inherit the environment."""
    result = f"sqlite:///{tmp_path}/runs.sqlite"
    for name, value in (
        ("CNNVIZ_HOME", str(tmp_path)),
        ("CNNVIZ_DATABASE_URL", result),
        ("PYTHONPATH", str(ROOT)),
        ("OMP_NUM_THREADS", "1"),
        ("JUPYTER_PLATFORM_DIRS", "1"),
        ("IPYTHONDIR", str(tmp_path / "ipython")),
        ("JUPYTER_CONFIG_DIR", str(tmp_path / "jupyter")),
        ("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime")),
    ):
        monkeypatch.setenv(name, value)
    return result


def read() -> nbformat.NotebookNode:
    notebook: nbformat.NotebookNode = nbformat.read(EXAMPLES / "watch_a_loop.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    return notebook


def run_of(address: str) -> tracking.RunSummary:
    with tracking.connect(address) as database:
        (run,) = tracking.list_runs(database)
        return run


def test_the_script_prints_the_finding(address: str) -> None:
    command = [sys.executable, str(EXAMPLES / "watch_a_loop.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ.copy())
    assert "optimizer.zero_grad() is missing (zero-grad-missing, 98 % sure)" in done.stdout
    assert "Fix: Call optimizer.zero_grad() once in every step" in done.stdout
    assert done.stderr == ""
    run = run_of(address)
    assert (run.kind, run.status) == (tracking.Kind.WATCHED, tracking.Status.FINISHED)


@pytest.mark.slow
def test_the_lightning_module_is_said_to_end_in_one_softmax_too_many(address: str) -> None:
    pytest.importorskip("lightning.pytorch", reason="Lightning is not installed here")
    command = [sys.executable, str(EXAMPLES / "watch_lightning.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ.copy())
    assert done.returncode == 0, done.stderr
    assert "1. " in done.stdout, done.stdout
    assert "(output-activation, " in done.stdout.partition("2. ")[0]
    run = run_of(address)
    assert (run.kind, run.status) == (tracking.Kind.WATCHED, tracking.Status.FINISHED)
    assert run.model == "Sequential"


# Jupyter's own libraries warn of their event loop, and leave connections to the garbage collector.
@pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client", "ignore::RuntimeWarning:zmq")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_notebook_prints_the_finding(address: str) -> None:
    notebook = read()
    assert not any(cell.get("outputs") for cell in notebook.cells), "it is kept without outputs"
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    printed = "".join(
        output.get("text", "") + output.get("data", {}).get("text/plain", "")
        for cell in notebook.cells
        for output in cell.get("outputs", ())
    )
    assert "1. optimizer.zero_grad() is missing" in printed
    assert "('zero-grad-missing', False)" in printed
    assert run_of(address).status is tracking.Status.FINISHED


@pytest.mark.slow
def test_an_exception_in_a_notebook_s_cell_ends_the_run_as_failed(address: str) -> None:
    notebook = read()
    failing = read().cells[1]
    failing["source"] = "raise ValueError('no more images')"
    failing["id"] = "failing"
    notebook.cells = [*notebook.cells[:5], failing]
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", allow_errors=True)
    client.execute()
    run = run_of(address)
    assert (run.status, run.error) == (tracking.Status.FAILED, "ValueError: no more images")
