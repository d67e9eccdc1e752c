"""CSV that leaves us: no cell is a formula to a spreadsheet, and readers get back what was there."""

import csv
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cnnviz.formats import csv_text, escape_formula, unescape_formula

ROOT = Path(__file__).parents[2]
FORMULAS = ["=cmd|calc!A1.png", "+1+cmd|' /C calc'!A0", "-2+3+cmd|x", "@SUM(1)", "\t=1+1", "\r=1+1", "＝1+1"]
PLAIN = [
    "cat.png",
    "-1.5",
    "+3",
    "1e-05",
    "+1,234,567",
    "-inf",
    "nan",
    "+",
    "=",
    "",
    "'quoted'",
    "a=b",
    "日本",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_text_that_a_spreadsheet_takes_for_a_formula_gets_an_apostrophe(text: str) -> None:
    assert escape_formula(text) == f"'{text}"


@pytest.mark.parametrize("text", PLAIN)
def test_other_text_and_numbers_stay_as_they_are(text: str) -> None:
    assert escape_formula(text) == text
    assert escape_formula(-3.5) == -3.5


@given(st.text("=+-@'\t\r\n＝a1,\"", max_size=12) | st.text())
@example("'=1")
@example("''=1")
def test_what_was_there_comes_back(text: str) -> None:
    (row,) = csv.reader(io.StringIO(csv_text((text, "x"), []), newline=""))
    assert unescape_formula(row[0]) == text
    assert not re.match(r"[=@\t\r\n＝＋－＠].|[+-][^\d.in]", row[0], re.DOTALL)


def test_every_csv_is_written_by_the_one_writer() -> None:
    own = ROOT / "cnnviz/formats/__init__.py"
    writers = [
        path.name
        for path in (ROOT / "cnnviz").rglob("*.py")
        if path != own
        and re.search(r"csv\.(writer|DictWriter)|frame\.to_csv\(|safe\.to_csv\(", path.read_text("utf-8"))
    ]
    # pandas writes the table of differences, whose cells are escaped before.
    assert writers == ["diff_table.py"]
    assert "map(escape_formula)" in (ROOT / "cnnviz/ui/shared/diff_table.py").read_text("utf-8")


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js to run the browser's half")
def test_the_browser_escapes_as_python_does() -> None:
    script = (ROOT / "cnnviz/ui/components/plot/table.js").read_text("utf-8")
    texts = [*FORMULAS, *PLAIN, "'=1", "''+2x", "-1e5", "--1"]
    code = f"{script}\nconsole.log(JSON.stringify({json.dumps(texts)}.map(escapeFormula)));"
    ran = subprocess.run(["node", "-e", code], capture_output=True, check=True, text=True, encoding="utf-8")
    assert json.loads(ran.stdout) == [escape_formula(text) for text in texts]


def test_a_file_name_that_is_a_formula_is_text_in_predictions_csv() -> None:
    from cnnviz.inference.evaluate import as_csv
    from cnnviz.inference.images.read_image import Refusal

    name = "=cmd|calc!A1.png"
    (_, row) = csv.reader(
        io.StringIO(as_csv({"@m": [Refusal(name, "It is damaged.", "+class+")]}), newline="")
    )
    assert row[:3] == ["'=cmd|calc!A1.png", "'+class+", "'@m"]
    assert [unescape_formula(cell) for cell in row[:3]] == [name, "+class+", "@m"]
