"""The environment of `make test-oldest` is what the requirements state, and the requirements are safe."""

import re

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.oldest_versions import FILES, ROOT, constraints, floors

LINES = [line for name in FILES for line in (ROOT / name).read_text("utf-8").splitlines()]
REQUIREMENTS = [Requirement(line.partition("#")[0].strip()) for line in LINES if line[:1] not in ("", "#")]
SAFE = {"streamlit": "1.61", "torch": "2.11", "Pillow": "12.3"}
TESTED = re.compile(r"(?P<requirement>[^#]+)# *(?P<tested>\d+(?:\.\d+)+)")


def test_every_requirement_is_held_at_the_lower_end_of_its_range() -> None:
    held = dict(line.split("==") for line in constraints())
    assert list(held) == [requirement.name for requirement in REQUIREMENTS]
    for requirement in REQUIREMENTS:
        (floor,) = (part.version for part in requirement.specifier if part.operator == ">=")
        assert held[requirement.name] == floor
        assert requirement.specifier.contains(floor)


def test_versions_in_comments_lie_in_their_ranges() -> None:
    result = [match for line in LINES if (match := TESTED.match(line))]
    assert result
    for match in result:
        assert Requirement(match["requirement"].strip()).specifier.contains(match["tested"]), match[0]


@pytest.mark.parametrize("name", SAFE)
def test_lower_bounds_are_not_below_what_is_safe(name: str) -> None:
    held = dict(line.split("==") for line in constraints())
    assert Version(held[name]) >= Version(SAFE[name])


def test_the_lower_bounds_of_torch_and_torchvision_belong_together() -> None:
    """A torchvision 0.N is made for torch 2.(N - 15) and installs with no other."""
    held = dict(line.split("==") for line in constraints())
    assert Version(held["torchvision"]).minor - Version(held["torch"]).minor == 15


def test_one_package_has_one_range_in_all_files() -> None:
    extra = floors((ROOT / "requirements-postgres.txt").read_text("utf-8"))
    development = (ROOT / "requirements-dev.txt").read_text("utf-8")
    assert all(re.search(rf"^{name}(\[\w+\])?>={floor},", development, re.M) for name, floor in extra.items())


@pytest.mark.parametrize("line", ["torch", "torch==2.11", "torch>=2.11"])
def test_a_requirement_without_a_range_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="no range"):
        floors(line)


def test_the_tested_versions_are_pinned_and_lie_in_the_ranges() -> None:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    development = (ROOT / "requirements-dev.txt").read_text("utf-8").splitlines()
    for requirement in [
        *REQUIREMENTS,
        *(Requirement(d.partition("#")[0]) for d in development if d[:1] not in ("", "#")),
    ]:
        (pinned,) = (
            v for name, v in pins.items() if canonicalize_name(name) == canonicalize_name(requirement.name)
        )
        assert requirement.specifier.contains(pinned), requirement.name
