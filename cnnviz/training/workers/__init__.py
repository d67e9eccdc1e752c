"""Supervision of runs: a thread of the app, or `cnnviz work`, starts and monitors worker processes.

    supervisor = Supervisor()
    supervisor.start()
    ...
    supervisor.stop()       # active runs continue; the next supervisor finds them

All requests go through the run database (`enqueue`, `tracking.request`). Importing this package does not
import torch.
"""

from cnnviz.training.workers.launcher import Ending, Launcher, LocalLauncher, Order, Worker
from cnnviz.training.workers.process_id import is_supervised
from cnnviz.training.workers.supervisor import Supervisor, has_waiting_process, reconcile

__all__ = [
    "Ending",
    "Launcher",
    "LocalLauncher",
    "Order",
    "Supervisor",
    "Worker",
    "has_waiting_process",
    "is_supervised",
    "reconcile",
]
