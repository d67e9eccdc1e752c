"""Source positions in a user's own file, of a stack frame or an error. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from types import FrameType, TracebackType

_PACKAGE = str(Path(__file__).parents[2])


def of_frame(frame: FrameType | None) -> str:
    """Return `net.py, line 12` for the innermost line of user code above `frame`.

    Empty where there is none.
    """
    while frame is not None:
        if _is_own(frame.f_code.co_filename):
            return _line(frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return ""


def of_error(error: BaseException) -> str:
    """Return `net.py, line 12` for the innermost line of user code in a traceback.

    Empty where there is none.
    """
    line = ""
    step: TracebackType | None = error.__traceback__
    while step is not None:
        if _is_own(step.tb_frame.f_code.co_filename):
            line = _line(step.tb_frame.f_code.co_filename, step.tb_lineno)
        step = step.tb_next
    return line


def _is_own(filename: str) -> bool:
    """Return whether a file belongs neither to cnnviz, nor to an installed package, nor to Python."""
    parts = Path(filename).parts
    installed = "site-packages" in parts or "dist-packages" in parts
    return not (installed or filename.startswith((_PACKAGE, "<frozen", "<string>")) or _standard(parts))


def _standard(parts: tuple[str, ...]) -> bool:
    return any(part.startswith("python3") for part in parts[:-1]) and "lib" in parts


def _line(filename: str, number: int) -> str:
    return f"{Path(filename).name}, line {number}"
