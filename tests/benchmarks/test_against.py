"""A tree against a commit: both in turn, in both orders, and medians in a ratio."""

from pathlib import Path

import pytest

from benchmarks import against

OURS, THEIRS = Path("ours"), Path("theirs")


def test_trees_alternate_and_samples_stay_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    order = []

    def measure(code: str, tree: Path) -> dict[str, list[float]]:
        order.append(tree)
        return {code: [2.0, 3.0] if tree == OURS else [1.0]}

    monkeypatch.setattr(against, "measure", measure)
    samples = against.compare(["a"], (OURS, THEIRS), rounds=2)
    assert order == [OURS, THEIRS, THEIRS, OURS]
    assert samples == {"a": ([2.0, 3.0, 2.0, 3.0], [1.0, 1.0])}
    assert against.ratio(samples["a"]) == 2.5


def test_a_measurement_is_what_a_process_in_the_tree_prints_last(tmp_path: Path) -> None:
    code = "import json, os; print('first'); print(json.dumps({os.getcwd(): [1.5]}))"
    assert against.measure(code, tmp_path) == {str(tmp_path): [1.5]}
