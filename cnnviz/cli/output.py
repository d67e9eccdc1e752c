"""Output of the commands: aligned tables, transliteration for limited encodings, progress."""

from __future__ import annotations

import codecs
import io
import json
import re
import shutil
import sys
import textwrap
import time
import unicodedata
from collections.abc import Sequence
from functools import partial
from types import TracebackType
from typing import Protocol, TextIO

# Transliteration of characters that an output's encoding lacks (`latin-1`, a Windows code page, ASCII).
#
# The stream's encoding is replaced by a codec that wraps it, because only a codec sees whole texts: an error
# handler, which sees single characters, could neither escape a JSON document nor keep the width of a column.

PREFIX = "cnnviz_over_"
"""Prefix of the name of a wrapping codec. It also keeps Typer from treating an ASCII output as unconfigured
and
writing UTF-8 to it."""
ONE_WIDE = str.maketrans(
    {"×": "x", "·": ".", "−": "-", "–": "-", "—": "-", "─": "-", "…": "~", "→": ">", "←": "<", "↑": "^"}
    | {"↓": "v", "≥": ">", "≤": "<", "≈": "~", "±": "~", "√": "V", "∞": "~", "“": '"', "”": '"', "‘": "'"}
    | {"’": "'", "█": "#", "░": ".", "⌈": "[", "⌉": "]", "⌊": "[", "⌋": "]", "⁻": "-", "Σ": "S", "σ": "s"}
    | {
        "α": "a",
        "β": "b",
        "ε": "e",
        "η": "n",
        "λ": "l",
        "μ": "u",
        "µ": "u",
        "Φ": "F",
        "π": "p",
        "Δ": "D",
        "ß": "s",
    }
)
"""Replacements of the same width, for lines with columns."""
IN_WORDS = str.maketrans(
    {"…": "...", "→": "->", "←": "<-", "≥": ">=", "≤": "<=", "±": "+/-", "√": "sqrt ", "∞": "inf"}
    | {"Σ": "sum ", "σ": "sigma", "α": "alpha", "β": "beta", "ε": "epsilon", "η": "eta", "λ": "lambda"}
    | {"Φ": "Phi", "π": "pi", "Δ": "Delta", "⁻": "^-", "²": "^2", "³": "^3"}
)
"""More readable replacements, for lines without columns."""
COLUMNS = re.compile(r"\S {2,}\S")
"""Matches lines with columns: two spaces separate columns in every table of ours."""


def accept_any_character(stream: TextIO) -> None:
    """Reconfigure an output stream so that no character is refused, whatever its encoding."""
    if not isinstance(stream, io.TextIOWrapper) or stream.encoding.startswith(PREFIX):
        return
    name = codecs.lookup(stream.encoding).name
    if name.startswith("utf"):
        stream.reconfigure(errors="replace")  # File names may contain bytes that are not UTF-8.
    else:
        codecs.register(_find)
        stream.reconfigure(encoding=PREFIX + name.replace("-", "_"))


def fit(text: str, encoding: str) -> str:
    """Return `text` in characters that `encoding` has; a JSON document stays valid and equivalent."""
    if text.isascii():
        return text
    if text.startswith(("{", "[")) and _is_json(text):
        return text.encode("ascii", "cnnviz_json").decode()
    return "\n".join(_fit_line(line, encoding) for line in text.split("\n"))


def _fit_line(line: str, encoding: str) -> str:
    if COLUMNS.search(line) is None:
        line = "".join(c if _has(encoding, c) else c.translate(IN_WORDS) for c in line)
    return "".join(c if _has(encoding, c) else _one_wide(c) for c in line)


def _one_wide(character: str) -> str:
    letters = unicodedata.normalize("NFKD", character.translate(ONE_WIDE))
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return plain if len(plain) == 1 and plain.isascii() else "?"


def _has(encoding: str, character: str) -> bool:
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _escape_for_json(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


codecs.register_error("cnnviz_json", _escape_for_json)


class _Encoder(codecs.IncrementalEncoder):
    def __init__(self, errors: str = "strict", *, encoding: str) -> None:
        super().__init__(errors)
        self._encoding = encoding

    def encode(self, text: str, final: bool = False) -> bytes:
        return fit(text, self._encoding).encode(self._encoding, "replace")


def _find(name: str) -> codecs.CodecInfo | None:
    if not name.startswith(PREFIX):
        return None
    base = codecs.lookup(name.removeprefix(PREFIX))

    def encode(text: str, errors: str = "strict") -> tuple[bytes, int]:
        return fit(text, base.name).encode(base.name, "replace"), len(text)

    return codecs.CodecInfo(
        encode=encode,
        decode=base.decode,
        incrementalencoder=partial(_Encoder, encoding=base.name),
        incrementaldecoder=base.incrementaldecoder,
        streamreader=base.streamreader,
        streamwriter=base.streamwriter,
        name=name,
    )


# Aligned columns and readable numbers.

WIDEST = 100
"""Maximum line width in characters, in a terminal that is wide enough."""
MIN_WIDTH = 24
"""Minimum width of a wrapped column in characters."""


def width() -> int:
    """Return the line width of prose in characters."""
    return min(WIDEST, shutil.get_terminal_size().columns)


def table(head: Sequence[str], lines: Sequence[Sequence[object]], right: frozenset[str] = frozenset()) -> str:
    """Format rows as aligned columns below `head`; the columns named in `right` are right-aligned."""
    cells = [list(head), *([_cell(value) for value in line] for line in lines)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    text = [
        "  ".join(
            value.rjust(width) if name in right else value.ljust(width)
            for value, width, name in zip(line, widths, head, strict=True)
        ).rstrip()
        for line in cells
    ]
    text.insert(1, "  ".join("─" * width for width in widths))
    return "\n".join(text)


def wrapped_table(
    head: Sequence[str], lines: Sequence[Sequence[object]], right: frozenset[str], widest: int
) -> str:
    """Format rows as `table` does, wrapping the last column to fit lines into `widest` characters."""
    before = sum(max(len(_cell(line[at])) for line in [head, *lines]) + 2 for at in range(len(head) - 1))
    width_left = max(widest - before, MIN_WIDTH)
    rows: list[Sequence[object]] = []
    for *first, last in lines:
        part, *more = textwrap.wrap(_cell(last), width_left) or [""]
        rows += [(*first, part), *((*([""] * len(first)), line) for line in more)]
    return table(head, rows, right)


def definition_list(rows: Sequence[tuple[str, str]], widest: int) -> str:
    """Format `(name, sentence)` rows, the sentences wrapped to `widest` characters in all."""
    indent = max(len(name) for name, _ in rows) + 2
    return "\n".join(
        textwrap.fill(words, widest, initial_indent=name.ljust(indent), subsequent_indent=" " * indent)
        for name, words in rows
    )


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def short(count: float, unit: str = "") -> str:
    """Format a number with three significant digits and an SI prefix: `58.3 M`, `1.18 G`."""
    for size, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(count) >= size * 0.9995:
            return f"{count / size:#.3g} {prefix}{unit}".replace(". ", " ")
    return f"{count:g} {unit}".rstrip()


# Progress on stderr: one line that is overwritten in a terminal, one line per stage elsewhere.

WIDTH = 24
PAUSE = 0.1
"""Minimum seconds between two redraws."""


class _Step(Protocol):
    @property
    def stage(self) -> str: ...
    @property
    def done(self) -> int: ...
    @property
    def total(self) -> int | None: ...
    @property
    def unit(self) -> str: ...


class Bar:
    """Progress bar: a context manager that is itself the progress callback."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._stage = ""
        self._began = self._drawn = 0.0

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live and self._stage:
            self._stream.write("\n")

    def __call__(self, step: _Step) -> None:
        """Draw a step, at most ten times a second."""
        now = time.monotonic()
        fresh = step.stage != self._stage
        if not self._live:
            if fresh:
                self._stream.write(f"{step.stage} …\n")
        elif fresh or step.done == step.total or now - self._drawn >= PAUSE:
            if fresh and self._stage:
                self._stream.write("\n")
            began = now if fresh else self._began
            self._stream.write(f"\r\x1b[2K{line(step, now - began)}")
            self._drawn = now
        if fresh:
            self._stage, self._began = step.stage, now
        self._stream.flush()


def line(step: _Step, seconds: float) -> str:
    """Format a step: stage, bar, amount, and the remaining time, estimated from `seconds` in this stage."""
    if not step.total:
        return f"{step.stage} … {_amount(step.done, step.unit)}" if step.done else f"{step.stage} …"
    share = min(step.done / step.total, 1.0)
    bar = "█" * round(share * WIDTH)
    text = f"{step.stage} {bar.ljust(WIDTH, '░')} {100 * share:3.0f} %  {_amount(step.done, step.unit)}"
    if 0 < share < 1 and seconds >= 1:
        text += f"  {_duration(seconds * (1 - share) / share)} left"
    return text


def _amount(count: int, unit: str) -> str:
    return f"{count / 1e6:,.1f} MB" if unit == "bytes" else f"{count:,} {unit}"


def _duration(seconds: float) -> str:
    minutes, seconds_left = divmod(round(seconds), 60)
    return f"{minutes}:{seconds_left:02d} min" if minutes else f"{seconds_left} s"
