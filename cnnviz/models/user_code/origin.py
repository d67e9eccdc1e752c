"""Find the line of a user's own file that a forward pass has come to, or failed at. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from types import FrameType, TracebackType

_PACKAGE = str(Path(__file__).parents[2])


def of_frame(frame: FrameType | None) -> str:
    """Return `net.py, line 12` for the innermost own line above `frame`; empty where there is none."""
    while frame is not None:
        if _is_own(frame.f_code.co_filename):
            return _line(frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return ""


def of_error(error: BaseException) -> str:
    """Return `net.py, line 12` for the innermost own line of an error's traceback; empty without one."""
    line = ""
    step: TracebackType | None = error.__traceback__
    while step is not None:
        if _is_own(step.tb_frame.f_code.co_filename):
            line = _line(step.tb_frame.f_code.co_filename, step.tb_lineno)
        step = step.tb_next
    return line


def _is_own(filename: str) -> bool:
    """Whether a file is neither ours nor an installed package's nor Python's."""
    parts = Path(filename).parts
    installed = "site-packages" in parts or "dist-packages" in parts
    return not (installed or filename.startswith((_PACKAGE, "<frozen", "<string>")) or _standard(parts))


def _standard(parts: tuple[str, ...]) -> bool:
    return any(part.startswith("python3") for part in parts[:-1]) and "lib" in parts


def _line(filename: str, number: int) -> str:
    return f"{Path(filename).name}, line {number}"
