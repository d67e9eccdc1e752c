"""Small runs that rules were tuned on, recorded: what was planted is named first, healthy ones are clear."""

from pathlib import Path

import pytest

from benchmarks.diagnosis_runs.parts import failing
from cnnviz.diagnosis import Evidence, diagnose
from tests.diagnosis.well_formed import assert_well_formed

FILES = sorted((Path(__file__).parent / "recorded").glob("*.json.gz"))
PLANTS = {
    planned.name: planned.plant
    for part in ("tune", "blind", "blind-2", "blind-3", "blind-4")
    for planned in failing(part)
}


def name_of(path: Path) -> str:
    return path.name.removesuffix(".json.gz")


def first_named(path: Path) -> str | None:
    findings = diagnose(Evidence.read(path)).findings
    return findings[0].cause if findings else None


@pytest.mark.parametrize("path", [path for path in FILES if name_of(path) in PLANTS], ids=name_of)
def test_what_was_planted_is_named_first(path: Path) -> None:
    plant = PLANTS[name_of(path)]
    assert first_named(path) in (*plant.causes, *plant.also)


@pytest.mark.parametrize("path", [path for path in FILES if name_of(path) in PLANTS], ids=name_of)
def test_what_is_found_is_told_in_whole_sentences(path: Path) -> None:
    evidence = Evidence.read(path)
    for finding in diagnose(evidence).findings:
        assert_well_formed(finding, evidence)


@pytest.mark.parametrize("path", [path for path in FILES if name_of(path) not in PLANTS], ids=name_of)
def test_nothing_is_found_in_a_healthy_run(path: Path) -> None:
    assert first_named(path) is None


def test_many_causes_are_recorded() -> None:
    names = {name_of(path) for path in FILES}
    assert len({cause for name in names & PLANTS.keys() for cause in PLANTS[name].causes}) >= 15
