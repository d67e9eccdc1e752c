"""Write CSV that no spreadsheet takes for formulas: the one writer of every table that leaves as CSV.

A spreadsheet evaluates a cell that begins with `=`, `+`, `-` or `@`, and some skip a tab or a line break
before it (OWASP, "CSV Injection"); names of files, classes and runs come from strangers. Such text gets an
apostrophe in front, which spreadsheets take for "this is text". Text that begins with apostrophes before such
a character gets one more, so that `unescape_formula` gives back exactly what was there. Numbers, and text
that is a number, stay as they are. `components/plot/table.js` does the same in the browser.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from typing import Any

_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠].", re.DOTALL)
"""With something behind it: a lone sign, as our tables have them, is no formula."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+|\d{1,3}(,\d{3})+)([eE][+-]?\d+)?|[+-]?(inf|nan)")


class _Lines:
    """A file to `csv.writer`, which writes a row at a time."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def write(self, line: str) -> None:
        self._lines.append(line)


def csv_text(head: Sequence[Any], rows: Iterable[Sequence[Any]]) -> str:
    """Format rows under a head as CSV, formulas escaped."""
    return csv_rows([head, *rows])


def csv_rows(rows: Iterable[Sequence[Any]]) -> str:
    """Format rows as CSV without a head, for files that are written piece by piece; formulas are escaped."""
    # The writer quotes what is in its own line terminator: with "\n" alone, a "\r" in a name ends the row.
    lines: list[str] = []
    writer = csv.writer(_Lines(lines), lineterminator="\r\n")
    writer.writerows([escape_formula(cell) for cell in row] for row in rows)
    return "".join(f"{line.removesuffix(chr(13) + chr(10))}\n" for line in lines)


def escape_formula(cell: Any) -> Any:
    """Put an apostrophe before text that a spreadsheet could take for a formula; all else stays itself."""
    if isinstance(cell, str) and _FORMULA.match(cell) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell


def unescape_formula(cell: str) -> str:
    """Take off the apostrophe that `escape_formula` put before a cell, for readers of our files."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
