"""The table of runs, and what a click in it does to the URL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cnnviz.ui.components.run_table import run_table
from cnnviz.ui.runs import rows, state
from cnnviz.ui.runs.state import COLUMNS, MOST_CHOSEN, Asked

if TYPE_CHECKING:
    from cnnviz.tracking import RunSummary

# Numbers are wanted from the largest on, words from A on.
FIRST_UP = frozenset(("name", "status", "model", "data"))


def table(runs: Sequence[RunSummary], asked: Asked, disk: dict[int, int], total: int) -> None:
    """Draw one page of `runs`, which are in their order already."""

    def acted(act: dict[str, Any]) -> None:
        answer(act, asked)

    run_table(rows.payload(runs, asked, disk, total), key="run-table", on_act=acted)


def answer(act: dict[str, Any], asked: Asked) -> None:
    """Write to the URL what was done in the table; what is no deed of the table is passed over."""
    match act:
        case {"do": "choose", "runs": list(ids)} if all(isinstance(i, int) and i > 0 for i in ids):
            state.change(runs=state.listed(ids[:MOST_CHOSEN]), pair=None, cell=None)
        case {"do": "open", "run": int(run)} if run > 0:
            state.change(run=str(run))
        case {"do": "sort", "column": str(column)} if column in COLUMNS:
            down = not asked.descending if column == asked.sort else column not in FIRST_UP
            wanted = f"{'-' if down else ''}{column}"
            state.change(sort=None if wanted == state.DEFAULT_SORT else wanted)
        case {"do": "page", "page": int(page)} if page > 0:
            state.change(page=None if page == 1 else str(page))
