"""How threads of torch share the cores with others. Importing this imports no torch."""

import os


def share() -> None:
    """Have threads that wait for each other sleep; to be called before torch is imported.

    By default a thread of OpenMP spins while it waits, on a core that the thread it waits for may need.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
