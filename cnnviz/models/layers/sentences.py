"""What is wrong with a document, in one sentence, from what pydantic says about it."""

from __future__ import annotations

import reprlib
from collections.abc import Collection
from typing import Any

from pydantic import ValidationError

from cnnviz.models.layers.budget import MAX_LAYERS

PAIR = "a number or a pair of numbers"
EXPECTED = {
    "input": "three numbers: channels, height and width",
    "name": "letters, digits, - and _, a letter first, and short",
    "out": "a number, or 'classes' in a fully connected layer",
    **dict.fromkeys(("kernel", "stride", "padding", "dilation", "size"), PAIR),
}
"""What a field takes, where pydantic would tell of its types; not where a number is out of bounds."""

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 40


def reading_problem(error: ValidationError, kinds: Collection[str]) -> str:
    """The first thing wrong with a layer list, and where; never longer than a few lines."""
    errors = error.errors(include_url=False, include_context=False)
    first = errors[0]
    if first["type"] == "json_invalid":
        detail = first["msg"].removeprefix("Invalid JSON: ")
        return f"This is not JSON ({detail}); a layer list is a JSON document with 'input' and 'layers'."
    place, field = _place(first["loc"])
    # A value that may be a number or a pair fails as both; the deepest complaint is about what was meant.
    worst = max((e for e in errors if _place(e["loc"]) == (place, field)), key=lambda e: len(e["loc"]))
    where = " of ".join(part for part in (field and f"'{field}'", place) if part)
    return f"The layer list cannot be read{where and f' at {where}'}: {_detail(worst, field, kinds)}."


def _place(loc: tuple[int | str, ...]) -> tuple[str, str]:
    """The layer and the field that a location names, either of which may be empty."""
    if loc[:1] == ("layers",) and len(loc) > 1:
        field = str(loc[-1] if loc[3:4] == ("init",) else loc[3]) if len(loc) > 3 else ""
        return f"layer {int(loc[1]) + 1}", _clip(field)
    return "", _clip(str(loc[0])) if loc else ""


def _detail(error: Any, field: str, kinds: Collection[str]) -> str:
    given = error["input"]
    if error["type"] == "extra_forbidden":
        return "there is no such setting"
    if error["type"] == "missing" and len(error["loc"]) == 1:
        return "it is missing"
    if field in EXPECTED and error["type"] not in ("greater_than_equal", "less_than_equal"):
        return f"it should be {EXPECTED[field]}, not {_SHORT.repr(given)}"
    if error["type"] == "too_long":
        return f"a list has at most {MAX_LAYERS} layers, not {len(given):,}"
    if error["type"] == "union_tag_not_found":
        return f"'kind' is missing; the kinds are {', '.join(kinds)}"
    if error["type"] == "union_tag_invalid":
        return f"there is no kind {_SHORT.repr(given.get('kind'))}; the kinds are {', '.join(kinds)}"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "value_error":
        return _clip(message, 160)
    return _clip(f"{message[0].lower()}{message[1:]}, not {_SHORT.repr(given)}", 240)


def _clip(text: str, length: int = 40) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
