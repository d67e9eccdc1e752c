"""What the app does about runs, as a process of its own: supervises with light workers until it is ended."""

from __future__ import annotations

import signal
import threading

from cnnviz.training.workers import LocalLauncher, Supervisor
from tests.training.workers.making import LIGHT


def main() -> None:
    """Supervise until Ctrl-C, also where a shell runs the tests in the background, with it ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    supervisor = Supervisor(launcher=LocalLauncher(LIGHT))
    supervisor.start()
    try:
        threading.Event().wait()
    finally:
        supervisor.stop()


if __name__ == "__main__":
    main()
