"""Several processes on one database."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path

from cnnviz import tracking
from cnnviz.tracking import Command, Curves, Database, MetricWriter, Status
from tests.tracking.making import begin, claim, create

ROOT = Path(__file__).parents[2]
SOON = 120
Process = subprocess.Popen[str]


@contextmanager
def started(*tasks: Sequence[object]) -> Iterator[list[Process]]:
    """Processes that begin their tasks at the same moment; none outlives the block."""
    with ExitStack() as stack:
        found = [stack.enter_context(_process([str(word) for word in task])) for task in tasks]
        for process in found:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in found:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        yield found


@contextmanager
def _process(task: Sequence[str]) -> Iterator[Process]:
    command = [sys.executable, "-W", "error", "-m", "tests.tracking.processes", *task]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def result(process: Process) -> str:
    printed, _ = process.communicate(timeout=SOON)
    assert process.returncode == 0
    return printed


def test_two_processes_make_the_tables_at_once(address: str) -> None:
    with started(*[("migrate", address)] * 2) as processes:
        assert [result(process) for process in processes] == ["migrated\n"] * 2
    database = tracking.connect(address)
    assert tracking.list_runs(database) == []
    database.close()


def test_no_run_is_claimed_twice_and_a_device_has_one_at_a_time(database: Database, address: str) -> None:
    runs = [create(database).id for _ in range(12)]
    with started(*[("claim", address, "cpu")] * 2) as processes:
        claimed = [int(line) for process in processes for line in result(process).split()]
    assert sorted(claimed) == runs
    spans = []
    for run_id in runs:
        changes = {change.new: change.time for change in tracking.history(database, run_id)}
        assert list(changes) == [Status.QUEUED, Status.STARTING, Status.RUNNING, Status.FINISHED]
        assert tracking.get_run(database, run_id).attempt == 1
        spans.append((changes[Status.STARTING], changes[Status.FINISHED]))
    spans.sort()
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))


def test_readers_follow_while_a_worker_writes(database: Database, address: str) -> None:
    lease, last = begin(database), 2_000
    with started(*[("read", address, lease.run_id, last)] * 2) as readers:
        with MetricWriter(database, lease, every=0.001) as log:
            for step in range(1, last + 1):
                log.log("loss", step, step)
                if step % 100 == 0:
                    log.flush(SOON)
        assert [result(reader) for reader in readers] == [f"{[last] * 4}\n"] * 2


def test_a_writer_killed_in_the_middle_leaves_a_prefix(database: Database, address: str) -> None:
    lease = begin(database)
    reader = Curves(database, lease.run_id)
    for _ in range(3):
        with started(("write", address, lease.run_id, lease.attempt)) as (writer,):
            assert writer.stdout is not None
            committed = [int(writer.stdout.readline()) for _ in range(3)][-1]
            writer.kill()
        kept = check_prefix(database, lease.run_id)
        assert kept >= committed
        reader.refresh()
        assert reader["a"].steps.max() == kept
        tracking.end(database, lease, Status.INTERRUPTED, "Killed by SIGKILL.")
        tracking.request(database, lease.run_id, Command.RESUME)
        lease = claim(database)
        tracking.begin(database, lease)
        assert tracking.read_metrics(database, lease.run_id).rows == []


def check_prefix(database: Database, run_id: int) -> int:
    """All rows up to some value are there, once, and the summaries say the same; return the last step."""
    rows = [(row.step, row.name, row.value) for row in tracking.read_metrics(database, run_id).rows]
    wanted = [(s, *entry) for s in range(1, len(rows) + 2) for entry in (("a", s), ("b", -s), ("c", s / 2))]
    assert rows == wanted[: len(rows)]
    metrics = tracking.get_run(database, run_id).metrics
    for name in "abc":
        values = [value for _, of, value in rows if of == name]
        assert (metrics[name].rows, metrics[name].last) == (len(values), values[-1])
    return rows[-1][0]
