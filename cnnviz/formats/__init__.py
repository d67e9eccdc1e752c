"""File formats that several packages read or write, without torch; here CSV, safe from formula injection.

This is the only CSV writer of the product; safetensors headers and zip directories are read by `headers`.

A spreadsheet evaluates a cell that begins with `=`, `+`, `-` or `@`, and some skip a tab or a line break
before it (OWASP, "CSV Injection"); names of files, classes and runs come from untrusted sources. Such text is
prefixed with an apostrophe, which spreadsheets interpret as "this is text". Text that begins with apostrophes
before such a character gets one more, so that `unescape_formula` restores exactly the original. Numbers, and
text that is a number, are not changed. `components/plot/table.js` does the same in the browser.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from typing import Any

_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠].", re.DOTALL)
"""Requires another character: a lone sign, as in our tables, is no formula."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+|\d{1,3}(,\d{3})+)([eE][+-]?\d+)?|[+-]?(inf|nan)")


class _Lines:
    """File-like object for `csv.writer` that collects the lines."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def write(self, line: str) -> None:
        self._lines.append(line)


def csv_text(head: Sequence[Any], rows: Iterable[Sequence[Any]]) -> str:
    """Format rows with a header as CSV, with formulas escaped."""
    return csv_rows([head, *rows])


def csv_rows(rows: Iterable[Sequence[Any]]) -> str:
    """Format rows as CSV without a header, for files that are written in parts, with formulas escaped."""
    # The writer quotes the characters of its own line terminator: with "\n" alone, a "\r" in a name would end
    # the row.
    lines: list[str] = []
    writer = csv.writer(_Lines(lines), lineterminator="\r\n")
    writer.writerows([escape_formula(cell) for cell in row] for row in rows)
    return "".join(f"{line.removesuffix(chr(13) + chr(10))}\n" for line in lines)


def escape_formula(cell: Any) -> Any:
    """Prefix text that a spreadsheet could interpret as a formula with an apostrophe.

    Return other values unchanged.
    """
    if isinstance(cell, str) and _FORMULA.match(cell) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell


def unescape_formula(cell: str) -> str:
    """Remove the apostrophe that `escape_formula` added, for readers of our files."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
