"""Modules import one way: no circle anywhere, not even one that an import inside a function hides."""

import sys
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[1]


def circle(imports: Mapping[str, Iterable[str]]) -> list[str]:
    """Modules in the order in which they import each other, round to the first; empty where none do."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        result: list[str] = error.args[1]
        return result
    return []


def test_no_modules_import_each_other_in_a_circle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])
    # Imports within functions and for type checkers count: both hide a circle, and neither breaks one.
    graph = grimp.build_graph("cnnviz", "pages", cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert circle(imports) == []


def test_a_circle_is_found() -> None:
    assert circle({"a": ["b"], "b": ["c"], "c": []}) == []
    assert set(circle({"a": ["b"], "b": ["c"], "c": ["a"]})) == {"a", "b", "c"}
