"""Print the oldest versions that the requirements allow, as constraints for pip (`make test-oldest`).

Imports nothing but the standard library: it runs before anything is installed.
"""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILES = ("requirements.txt", "requirements-postgres.txt")
REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?:\[[\w,]+\])?>=(?P<floor>[\d.]+),<(?P<ceiling>\d+)\s*(?:#.*)?")


def floors(text: str) -> dict[str, str]:
    """Return the lower bound of each requirement by the package's name.

    Raises:
        ValueError: a line is no requirement with a lower bound and a next major release.
    """
    result = {}
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        requirement = REQUIREMENT.fullmatch(line)
        if requirement is None:
            raise ValueError(f"no range 'name>=floor,<ceiling': {line}")
        result[requirement["name"]] = requirement["floor"]
    return result


def constraints() -> list[str]:
    """Return one `name==floor` for each requirement of the product."""
    result: dict[str, str] = {}
    for name in FILES:
        result |= floors((ROOT / name).read_text(encoding="utf-8"))
    return [f"{name}=={floor}" for name, floor in result.items()]


if __name__ == "__main__":
    print("\n".join(constraints()))
