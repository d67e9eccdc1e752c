"""User-defined networks, from a Python file or a package named on the command line; here, such a reference.

Naming one runs its code, so nothing that comes through a page or a link reaches this package (DESIGN.md, rule
7): pages use the name in the registry, `file/Net`. Importing this package does not import torch.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_FORM = "path/to/file.py:ClassOrFunction or package.module:ClassOrFunction"
NAME = re.compile(r"(?P<attribute>[A-Za-z_]\w*)(?:\((?P<arguments>.*)\))?(?:@(?P<size>[0-9xX×,]+))?")
"""Class or function of a reference, its arguments and input size."""


@dataclass(frozen=True)
class ModelReference:
    """Reference to a network: file or module, class or function, arguments, input size."""

    location: str
    """Path that ends in `.py`, or dotted module name."""
    attribute: str
    arguments: tuple[tuple[str, Any], ...] = ()
    size: tuple[int, ...] | None = field(default=None)

    @classmethod
    def read(cls, text: str) -> ModelReference:
        """Parse `net.py:Net`, `net.py:Net(width=8)` or `package.module:Net@1x28x28`.

        Raises:
            ValueError: For any other form.
        """
        location, _, target = text.partition(".py:") if ".py:" in text else text.partition(":")
        location = f"{location}.py" if ".py:" in text else location
        match = NAME.fullmatch(target)
        if match is None or not location:
            raise ValueError(f"'{text[:120]}' is not of the form {_FORM}.")
        size = match["size"] and tuple(int(side) for side in re.split("[xX×]", match["size"]) if side)
        return cls(location, match["attribute"], _arguments(match["arguments"] or "", text), size or None)

    @property
    def is_file(self) -> bool:
        """Whether it refers to a file rather than to a module."""
        return self.location.endswith(".py")

    def write(self) -> str:
        """Serialize the reference with an absolute path, for a process with another working directory."""
        location = str(Path(self.location).resolve()) if self.is_file else self.location
        arguments = ",".join(f"{name}={value!r}" for name, value in self.arguments)
        size = "x".join(map(str, self.size)) if self.size else ""
        return (
            f"{location}:{self.attribute}{f'({arguments})' if arguments else ''}{f'@{size}' if size else ''}"
        )


def _arguments(text: str, reference: str) -> tuple[tuple[str, Any], ...]:
    """Parse arguments in Python's syntax: literals, and bare words for strings; never evaluated."""
    try:
        call = ast.parse(f"f({text})", mode="eval").body
    except SyntaxError:
        call = None
    if not isinstance(call, ast.Call) or call.args or any(keyword.arg is None for keyword in call.keywords):
        raise ValueError(f"The arguments in '{reference[:120]}' are written as (width=8, act=gelu).")
    arguments = []
    for keyword in call.keywords:
        assert keyword.arg is not None
        value = keyword.value
        try:
            arguments.append(
                (keyword.arg, value.id if isinstance(value, ast.Name) else ast.literal_eval(value))
            )
        except ValueError:
            raise ValueError(
                f"'{keyword.arg}' in '{reference[:120]}' is no plain value, as 8 or gelu."
            ) from None
    return tuple(arguments)
