"""A Ray cluster in a process of its own: a head that trains nothing and two nodes of one core.

Prints its address once all are there. Lines of input: `kill ID` kills the node of this ID, as by a power
cut; `spare ID` kills all others; `add` adds a node. The end of input ends all. A node's home is a folder of
its own under the first argument.
"""

from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path

# On a busy machine: Ray gives a node 30 s to start, and workers the lowest priority. It reads both when it is
# imported.
os.environ.setdefault("RAY_raylet_start_wait_time_s", "300")
os.environ.setdefault("RAY_worker_niceness", "0")

from ray.cluster_utils import Cluster

NODES = 2


def main(folder: Path) -> None:
    """Start the cluster, and do what each line says."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        numbers = itertools.count()

        def add() -> None:
            cluster.add_node(num_cpus=1, env_vars={"CNNVIZ_HOME": str(folder / f"node{next(numbers)}")})

        for _ in range(NODES):
            add()
        print(cluster.address, flush=True)
        for line in sys.stdin:
            what, _, node_id = line.strip().partition(" ")
            if what == "add":
                add()
            for node in [each for each in cluster.worker_nodes if what != "add"]:
                if (node.node_id == node_id) == (what == "kill"):
                    cluster.remove_node(node, allow_graceful=False)
            print("done", flush=True)
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
