"""`cnnviz data`: what is printed, exit codes, and errors in one line."""

import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from cnnviz import datasets
from cnnviz.cli import main
from cnnviz.cli.output import Bar, line
from cnnviz.datasets import Step, library
from tests.datasets.making import classes, write

SMALL = ["--option", "train=20", "--option", "test=10", "--option", "size=8"]


def test_the_list_has_every_data_set(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "list"]) == 0
    printed = capsys.readouterr().out
    assert all(spec.name in printed and spec.title in printed for spec in datasets.specs().values())
    assert main(["data", "list", "--json"]) == 0
    listed = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert listed["shapes"]["options"]["size"]["default"] == 32
    assert listed["shapes"]["prepared"] is False


def test_preparing_says_what_there_is_and_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "prepare", "shapes", *SMALL]) == 0
    printed = capsys.readouterr()
    assert "Shapes: 3×8×8, 10 classes, 20 to train, 10 to test" in printed.out
    assert printed.err.splitlines() == ["drawing …", "fingerprint …"]
    assert main(["data", "prepare", "shapes", *SMALL, "--json"]) == 0
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert printed.err == ""
    assert (document["train"], document["test"], document["shape"]) == (20, 10, [3, 8, 8])
    assert len(document["fingerprint"]) == 64


def test_info_counts_the_classes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "info", "digits", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    # What scikit-learn's own description gives for each digit.
    both = [sum(pair) for pair in zip(*document["class_counts"].values(), strict=True)]
    assert both == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert main(["data", "info", "digits"]) == 0
    printed = capsys.readouterr().out
    assert "license: CC BY 4.0" in printed
    assert f"mean {document['mean'][0]:.4f}" in printed


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["prepare", "digitz"], "did you mean digits?"),
        (["info", "shapes", "--option", "size=1"], "Option 'size' cannot be '1'"),
        (["info", "shapes", "--option", "size"], "An option is given as K=V, as size=64, not 'size'."),
    ],
)
def test_errors_are_one_line(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", *arguments]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


def test_a_step_as_a_line_of_text() -> None:
    assert line(Step("waiting", 0, None), 0) == "waiting …"
    assert line(Step("fetching", 2_500_000, None, "bytes"), 1) == "fetching … 2.5 MB"
    half = line(Step("decoding", 3_000, 6_000), seconds=90)
    assert half.startswith("decoding ████████████░░░░░░░░░░░░  50 %  3,000 images")
    assert half.endswith("1:30 min left")
    assert "left" not in line(Step("decoding", 6_000, 6_000), seconds=90)


def test_in_a_terminal_one_line_is_written_over() -> None:
    stream = io.StringIO()
    stream.isatty = lambda: True  # type: ignore[method-assign]
    with Bar(stream) as bar:
        for done in range(101):
            bar(SimpleNamespace(stage="decoding", done=done, total=100, unit="images"))
    text = stream.getvalue()
    assert text.count("\n") == 1
    assert text.endswith("100 %  100 images\n")


def test_ones_own_gets_a_name_and_can_be_taken_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write(tmp_path / "pets", classes(5))
    assert main(["data", "prepare", str(root)]) == 0
    assert "known as mine/pets" in capsys.readouterr().out
    assert main(["data", "prepare", str(root), "--name", "cats", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "mine/cats"
    assert main(["data", "list"]) == 0
    assert "mine/cats" in capsys.readouterr().out
    assert main(["data", "info", "mine/cats"]) == 0
    assert "8 to train, 2 to test" in capsys.readouterr().out
    assert main(["data", "remove", "mine/cats"]) == 0
    assert list(library.user_datasets()) == ["mine/pets"]
    assert main(["data", "prepare", "digits", "--name", "x"]) == 2
    assert "Only your own folder, zip or Parquet file can be given a name" in capsys.readouterr().err
