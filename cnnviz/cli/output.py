"""Transliterate what the encoding of an output cannot take (`latin-1`, a Windows code page, ASCII).

A stream's encoding is replaced by a codec of our own over it, because only a codec sees whole texts: an error
handler, which sees single characters, could neither escape a JSON document nor keep a column's width.
"""

from __future__ import annotations

import codecs
import io
import json
import re
import unicodedata
from functools import partial
from typing import TextIO

PREFIX = "cnnviz_over_"
"""What the name of our codec over another begins with. It is also why Typer does not take an output in plain
ASCII for one that nobody configured, and write UTF-8 to it."""
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
"""A character of the same width, for lines with columns."""
IN_WORDS = str.maketrans(
    {"…": "...", "→": "->", "←": "<-", "≥": ">=", "≤": "<=", "±": "+/-", "√": "sqrt ", "∞": "inf"}
    | {"Σ": "sum ", "σ": "sigma", "α": "alpha", "β": "beta", "ε": "epsilon", "η": "eta", "λ": "lambda"}
    | {"Φ": "Phi", "π": "pi", "Δ": "Delta", "⁻": "^-", "²": "^2", "³": "^3"}
)
"""What reads better where nothing has to stand below anything."""
COLUMNS = re.compile(r"\S {2,}\S")
"""A gap of two spaces sets columns apart in every table of ours."""


def accept_any_character(stream: TextIO) -> None:
    """Reconfigure an output so that no text is refused, whatever its encoding."""
    if not isinstance(stream, io.TextIOWrapper) or stream.encoding.startswith(PREFIX):
        return
    name = codecs.lookup(stream.encoding).name
    if name.startswith("utf"):
        stream.reconfigure(errors="replace")  # Of a file's name, bytes may be left that are no UTF-8.
    else:
        codecs.register(_find)
        stream.reconfigure(encoding=PREFIX + name.replace("-", "_"))


def fit(text: str, encoding: str) -> str:
    """Return `text` in characters that `encoding` has; a JSON document stays valid, and says the same."""
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
