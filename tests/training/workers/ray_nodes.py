"""A Ray cluster in a process of its own: a head that trains nothing and two nodes of one core.

Prints its address once all are there. Each line of input is a node's ID: that node is killed, as by a power
cut. The end of input ends all. A node's home is a folder of its own under the first argument.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

# On a busy machine: Ray gives a node 30 s to start, and workers the lowest priority. It reads both when it is
# imported.
os.environ.setdefault("RAY_raylet_start_wait_time_s", "300")
os.environ.setdefault("RAY_worker_niceness", "0")

from ray.cluster_utils import Cluster

NODES = ("one", "two")


def main(folder: Path) -> None:
    """Start the cluster, and kill what is named."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        for name in NODES:
            cluster.add_node(num_cpus=1, env_vars={"CNNVIZ_HOME": str(folder / name)})
        print(cluster.address, flush=True)
        for line in sys.stdin:
            node = next(each for each in cluster.worker_nodes if each.node_id == line.strip())
            cluster.remove_node(node, allow_graceful=False)
            print("killed", flush=True)
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
