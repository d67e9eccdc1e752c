"""A job's answers held against each other and against the true classes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from cnnviz.inference.picture import Refusal
from cnnviz.ui.predict.job import Job

if TYPE_CHECKING:
    from cnnviz.inference.judge import Evaluation
    from cnnviz.inference.predict import Result


@dataclass(frozen=True)
class Judged:
    """What a job has found, as far as it came when this was asked first."""

    job: Job

    @cached_property
    def count(self) -> int:
        """Pictures answered or refused."""
        return self.job.done

    @cached_property
    def evaluations(self) -> list[Evaluation]:
        """For each network, in order."""
        from cnnviz.inference.judge import evaluate

        return [evaluate(self.results(i), one.loaded.classes) for i, one in enumerate(self.job.networks)]

    @cached_property
    def right(self) -> list[list[bool | None]]:
        """For each network: whether each answer is right, None where nobody knows."""
        from cnnviz.inference.judge import marks

        return [marks(self.results(i), one.loaded.classes) for i, one in enumerate(self.job.networks)]

    @cached_property
    def agree(self) -> list[bool | None]:
        """Whether all networks say the same class by name; None for refusals and for a single network."""
        return [self._agree(row) for row in range(self.count)]

    @property
    def refused(self) -> int:
        """Files that were no pictures."""
        return sum(isinstance(result, Refusal) for result in self.results(0))

    @property
    def told(self) -> bool:
        """Whether any picture came with its true class."""
        return any(result.truth is not None for result in self.results(0))

    def results(self, network: int) -> list[Result]:
        """One network's answers."""
        return self.job.results[self.job.networks[network].reference]

    def ordered(self, order: str) -> list[int]:
        """The rows in one of `state.ORDERS`."""
        rows = range(self.count)
        if order == "mistakes":
            return sorted(rows, key=lambda row: -self._wrongness(row))
        if order == "disagreement":
            return sorted(rows, key=lambda row: self.agree[row] is not False)
        return sorted(rows, key=self._sureness) if order == "unsure" else list(rows)

    def _agree(self, row: int) -> bool | None:
        from cnnviz.inference.judge import plain

        said = [self.results(i)[row] for i in range(len(self.job.networks))]
        if len(said) < 2:
            return None
        names = {None if isinstance(one, Refusal) else plain(one.top[0].name) for one in said}
        return None if None in names else len(names) == 1

    def _wrongness(self, row: int) -> float:
        """The largest share given to a wrong answer; -1 where none is wrong."""
        return max(
            self._share(i, row) if self.right[i][row] is False else -1.0
            for i in range(len(self.job.networks))
        )

    def _sureness(self, row: int) -> float:
        return min(self._share(i, row) for i in range(len(self.job.networks)))

    def _share(self, network: int, row: int) -> float:
        result = self.results(network)[row]
        return 2.0 if isinstance(result, Refusal) else result.top[0].probability
