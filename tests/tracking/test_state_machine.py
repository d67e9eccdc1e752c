"""Any order of logging, killing, resuming and reading, against a list in memory."""

import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cnnviz import tracking
from cnnviz.tracking import Command, Curves, Lease, StaleAttemptError, Status
from cnnviz.tracking.metrics import Value, append
from tests.tracking.making import claim, create

NAMES = ("train/loss", "val/accuracy")
Point = tuple[str, int, int]


class Training(RuleBasedStateMachine):
    """The model: the points that count, in order, and the highest step of each name."""

    @initialize()
    def open(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.database = tracking.connect(f"sqlite:///{Path(self.folder.name)}/runs.sqlite")
        self.run_id = create(self.database).id
        self.points: list[Point] = []
        self.step = self.count = 0
        self.stale: list[Lease] = []
        self.lease: Lease | None = claim(self.database)
        tracking.begin(self.database, self.lease)
        self.readers = [Curves(self.database, self.run_id) for _ in range(2)]
        self.cursor, self.rows, self.seen = 0, [], 1  # type: ignore[var-annotated]

    @precondition(lambda self: self.lease is not None)
    @rule(names=st.lists(st.sampled_from(NAMES), min_size=1, max_size=5))
    def log(self, names: list[str]) -> None:
        batch = []
        for name in names:
            self.step, self.count = self.step + 1, self.count + 1
            batch.append(Value(name, self.step, 0.0, float(self.count), time.time()))
        assert self.lease is not None
        append(self.database, self.lease, batch)
        self.points += [(value.name, value.step, int(value.value)) for value in batch]

    @precondition(lambda self: self.lease is not None)
    @rule(status=st.sampled_from([Status.INTERRUPTED, Status.PAUSED, Status.STOPPED, Status.FAILED]))
    def leave(self, status: Status) -> None:
        assert self.lease is not None
        tracking.end(self.database, self.lease, status)
        self.stale.append(self.lease)
        self.lease = None

    @precondition(lambda self: self.lease is None)
    @rule(back=st.integers(0, 8))
    def resume(self, back: int) -> None:
        tracking.request(self.database, self.run_id, Command.RESUME)
        self.lease = claim(self.database)
        self.step = max(self.step - back, 0)
        tracking.begin(self.database, self.lease, self.step if self.step else tracking.FROM_SCRATCH)
        self.points = [point for point in self.points if point[1] <= self.step]

    @precondition(lambda self: self.lease is None)
    @rule()
    def die_while_starting(self) -> None:
        tracking.request(self.database, self.run_id, Command.RESUME)
        lease = claim(self.database)
        tracking.end(self.database, lease, Status.INTERRUPTED)
        self.stale.append(lease)

    @precondition(lambda self: self.stale)
    @rule(data=st.data())
    def write_too_late(self, data: st.DataObject) -> None:
        lease = data.draw(st.sampled_from(self.stale))
        with pytest.raises(StaleAttemptError):
            append(self.database, lease, [Value(NAMES[0], 10**6, 0.0, 0.0, 0.0)])

    @rule()
    def refresh(self) -> None:
        self.readers[0].refresh()
        assert self._held(self.readers[0]) == self._wanted()

    @rule(limit=st.integers(1, 4))
    def read_a_page(self, limit: int) -> None:
        page = tracking.read_metrics(self.database, self.run_id, self.cursor, limit)
        self.cursor = page.cursor
        self.rows += page.rows
        self.rows = [row for row in self.rows if row.step <= tracking.void_after(page.restarts, row.attempt)]
        if not page.more:
            assert [(row.name, row.step, row.value) for row in self.rows] == self.points

    @invariant()
    def summaries_agree(self) -> None:
        metrics = tracking.get_run(self.database, self.run_id).metrics
        wanted = self._wanted()
        assert set(metrics) == set(wanted)
        for name, points in wanted.items():
            summary, values = metrics[name], [value for _, value in points]
            assert (summary.rows, summary.last, summary.last_step) == (len(points), values[-1], points[-1][0])
            assert (summary.low, summary.high) == (min(values), max(values))

    def teardown(self) -> None:
        if hasattr(self, "database"):
            self.refresh()
            self.readers[1].refresh()
            assert self._held(self.readers[1]) == self._wanted()
            self.database.close()
            self.folder.cleanup()

    def _wanted(self) -> dict[str, list[tuple[int, int]]]:
        found: dict[str, list[tuple[int, int]]] = {}
        for name, step, value in self.points:
            found.setdefault(name, []).append((step, value))
        return found

    def _held(self, curves: Curves) -> dict[str, list[tuple[int, float]]]:
        return {c.name: list(zip(c.steps.tolist(), c.values.tolist(), strict=True)) for c in curves}


TestTraining = Training.TestCase
TestTraining.settings = settings(max_examples=settings().max_examples // 10, stateful_step_count=20)
