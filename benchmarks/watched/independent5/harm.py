"""Run the loops of `independent-5` without cnnviz, the faulty ones with and without their fault.

python -m benchmarks.watched.independent5.harm [--only TEXT] [--shard 0/2]
"""

from __future__ import annotations

from benchmarks.watched.independent4 import harm
from benchmarks.watched.independent5.common import PART, RIGHT

if __name__ == "__main__":
    harm.main(PART, RIGHT)
