"""A node of the chaos, as a process: `cnnviz work` or the app, under a host name of its own.

    python -m tests.chaos.node NAME work
    python -m tests.chaos.node NAME app PORT

Its folder, database and store are those of its environment. Its workers write checkpoints often.
"""

from __future__ import annotations

import socket
import sys
from functools import partialmethod
from pathlib import Path

from cnnviz.training.workers import LocalLauncher
from tests.training.workers.test_soak import MORTAL

ROOT = Path(__file__).parents[2]


def main(name: str, kind: str, port: str = "") -> None:
    """Be the node until the process is killed."""
    socket.gethostname = lambda: name
    begin = partialmethod(LocalLauncher.__init__, MORTAL)
    setattr(LocalLauncher, "__init__", begin)  # noqa: B010 (mypy refuses a method's assignment)
    if kind == "work":
        from cnnviz.cli import main as command_line

        sys.exit(command_line(["work", "--device", "cpu"]))
    from streamlit.web import cli

    app = str(ROOT / "app.py")
    sys.exit(cli.main(["run", app, "--server.headless", "true", "--server.port", port]))


if __name__ == "__main__":
    main(*sys.argv[1:])
