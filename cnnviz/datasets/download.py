"""Files from the network: resumed where possible, checked, under their own name only when whole."""

from __future__ import annotations

import hashlib
import http.client
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cnnviz.datasets.disk import DISK_FULL, require_space
from cnnviz.datasets.spec import DataError, Progress, Step

CHUNK = 1 << 18
PATIENCE = 30
"""Seconds that a silent server is waited for."""
MOST_BYTES = 8 << 30
OTHERWISE = "'digits' and 'shapes' need no network"
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


@dataclass(frozen=True)
class Remote:
    """A file that somebody publishes, with its checksum."""

    urls: Sequence[str]
    """Tried one after another."""
    name: str
    md5: str


class _AddressError(Exception):
    """One address did not work; another may."""


def fetch(remote: Remote, folder: Path, progress: Progress) -> Path:
    """Return the file below `folder`, downloading what of it is missing.

    What arrives lies beside it as NAME.part, and stays for the next try when the connection breaks. Raises
    `DataError` where no address works, the checksum is another, or there is not enough space.
    """
    target = folder / remote.name
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{remote.name}.part"
    reasons = []
    for url in remote.urls:
        try:
            _get(url, part, progress)
            _check(part, remote.md5)
        except _AddressError as failure:
            reasons.append(f"{urllib.parse.urlsplit(url).hostname}: {failure}")
            continue
        part.rename(target)
        return target
    raise DataError(
        f"{remote.name} could not be downloaded ({'; '.join(reasons)}); check the connection and try again, "
        f"which goes on where this stopped ({OTHERWISE})."
    )


def _get(url: str, part: Path, progress: Progress) -> None:
    """Append to `part` what is missing of it; start again where the server knows nothing of parts."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "cnnviz", "Accept-Encoding": "identity"} | (
        {"Range": f"bytes={have}-"} if have else {}
    )
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=PATIENCE) as answer:
            begin, total = _extent(answer, have)
            if (total or 0) > MOST_BYTES:
                raise _AddressError(f"offers {total:,} bytes, far too many")
            require_space(part.parent, (total or begin) - begin)
            _copy(answer, part, begin, total, progress)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            # All of it is here, or more than there is: the checksum tells which.
            return
        raise _AddressError(f"answers {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            raise
        reason = getattr(error, "reason", None) or error
        raise _AddressError(
            getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
        ) from error


def _extent(answer: http.client.HTTPResponse, have: int) -> tuple[int, int | None]:
    """At which byte the answer begins, and how long the whole file is where the server says so."""
    if answer.status == http.HTTPStatus.PARTIAL_CONTENT:
        match = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        if match is None or int(match.group(1)) != have:
            raise _AddressError("answers with another part than the one asked for")
        return have, None if match.group(2) == "*" else int(match.group(2))
    length = answer.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _copy(
    answer: http.client.HTTPResponse, part: Path, begin: int, total: int | None, progress: Progress
) -> None:
    stage = f"downloading {part.stem}"
    done = begin
    with part.open("ab" if begin else "wb") as file:
        while block := answer.read(CHUNK):
            file.write(block)
            done += len(block)
            progress(Step(stage, done, total, "bytes"))
            if done > MOST_BYTES:
                raise _AddressError("sends without end")
    if total is not None and done < total:
        raise _AddressError(f"stopped after {done:,} of {total:,} bytes")


def _check(part: Path, md5: str) -> None:
    """MD5 is what the makers publish; it guards against damage, which is all it can."""
    found = hashlib.md5(usedforsecurity=False)
    with part.open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    if found.hexdigest() != md5:
        part.unlink()
        raise _AddressError("sent something else than was published (the checksum differs)")
