"""Supervises runs: a thread of the app, or `cnnviz work`, starts workers and looks after them.

    supervisor = Supervisor()
    supervisor.start()
    ...
    supervisor.stop()       # runs that train go on; the next supervisor finds them

Everything is asked for through the run database (`enqueue`, `tracking.request`). Importing this imports no
torch.
"""

from cnnviz.training.workers.launcher import Ending, Launcher, Order, Worker
from cnnviz.training.workers.local import LocalLauncher
from cnnviz.training.workers.process_id import supervised
from cnnviz.training.workers.supervisor import Supervisor, attended, reconcile

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
