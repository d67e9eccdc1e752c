"""Results that others published, to stand beside one's own; said to be published wherever they are shown."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cnnviz import datasets, models
from cnnviz.ui.data import overview
from cnnviz.ui.runs.state import Against


@dataclass(frozen=True)
class Result:
    """A published accuracy in [0, 1] of a model's default, and what it took. None where that is not known."""

    model: str
    title: str
    value: float
    on: str
    """The data set, as it was published."""
    source: str
    parameters: int | None
    macs: int | None
    seconds: float | None

    def cost(self, against: Against) -> float | None:
        """What it cost on that axis."""
        return {"parameters": self.parameters, "macs": self.macs, "time": self.seconds}[against]


def results() -> list[Result]:
    """Every published accuracy of a registered model."""
    known = overview()
    found = []
    for spec in models.specs().values():
        facts = known.get(spec.name)
        for figure in spec.published:
            if figure.what == "accuracy":
                seconds = next(
                    (p.value for p in spec.published if (p.what, p.on) == ("seconds", figure.on)), None
                )
                found.append(
                    Result(
                        spec.name, spec.title, figure.value, figure.on, figure.source,
                        facts.params if facts else None, facts.macs if facts else None, seconds,
                    )
                )  # fmt: skip
    return found


def published_of(model: str, dataset: str) -> list[Result]:
    """What was published for a model on data like these."""
    return [result for result in published_on(dataset) if result.model == model]


def published_on(dataset: str) -> list[Result]:
    """What was published on data like these: `cifar10`, and a folder `cifar10-jpeg`, are like CIFAR-10."""
    asked = _plain(_title(dataset))
    return [result for result in results() if re.match(rf"{_plain(result.on)}(?![0-9])", asked)]


def published_data() -> list[str]:
    """The data sets that anything was published on, those with most results last."""
    on = [result.on for result in results()]
    return sorted(set(on), key=lambda name: (on.count(name) > 20, -on.count(name), name))


def _title(dataset: str) -> str:
    from cnnviz.tracking import data_name

    spec = datasets.specs().get(dataset)
    return spec.title if spec is not None else data_name(dataset)


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())
