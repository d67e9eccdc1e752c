"""What the bench registers for its own runs is gone after each test: other tests count the models."""

from collections.abc import Iterator

import pytest

from benchmarks.diagnosis_runs import norm_models
from cnnviz.models import registry


@pytest.fixture(autouse=True)
def _no_models_of_the_bench() -> Iterator[None]:
    yield
    for name in norm_models.OWN:
        registry.remove(name)
