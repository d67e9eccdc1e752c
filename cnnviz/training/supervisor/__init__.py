"""Supervises runs: a thread of the app, or `cnnviz work`, starts workers and looks after them.

    supervisor = Supervisor()
    supervisor.start()
    ...
    supervisor.stop()       # runs that train go on; the next supervisor finds them

Everything is asked for through the run database (`enqueue`, `tracking.request`). Importing this imports no
torch.
"""

from cnnviz.training.supervisor.launcher import Ending, Launcher, Order, Worker
from cnnviz.training.supervisor.liveness import attended, reconcile
from cnnviz.training.supervisor.local import LocalLauncher
from cnnviz.training.supervisor.loop import Supervisor
from cnnviz.training.supervisor.presence import supervised

__all__ = [
    "Ending",
    "Launcher",
    "LocalLauncher",
    "Order",
    "Supervisor",
    "Worker",
    "attended",
    "reconcile",
    "supervised",
]
