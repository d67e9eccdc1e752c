"""OpenMP thread settings of torch; importing this module does not import torch."""

import os


def set_passive_wait() -> None:
    """Make OpenMP threads sleep while they wait for each other; call before torch is imported.

    By default a waiting thread spins, and occupies a core that the thread it waits for may need.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
