"""The examples of docs/adding-a-page.md lie where they would, under other names, and do what it says."""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest
import torch
from streamlit.testing.v1 import AppTest

import cnnviz.experiments.presets
import cnnviz.training.recipes
import cnnviz.ui.pages
from cnnviz.cli import main
from cnnviz.diagnosis import Finding, Inconclusive, Negative, rules
from cnnviz.diagnosis.evidence import BatchNorm, Data
from cnnviz.experiments.presets import list_presets
from cnnviz.training.recipes import all_recipes
from tests.diagnosis.evidence import healthy
from tests.diagnosis.test_probes import subject
from tests.test_adding_documents import EXAMPLES, ROOT

CODE = dict(EXAMPLES)
# By import_module: the package has functions of these names.
RULES = importlib.import_module("cnnviz.diagnosis.rules")
PROBES = importlib.import_module("cnnviz.diagnosis.probes")
Printed = pytest.CaptureFixture[str]


@contextmanager
def placed(package: ModuleType, folder: Path, place: str, before: str, after: str) -> Iterator[str]:
    """Put an example beside a package's own modules, with a name in it replaced; gives the module's name."""
    code, name = CODE[place].replace(f'"{before}"', f'"{after}"', 1), "as_in_the_guide"
    assert f'"{after}"' in code
    (folder / f"{name}.py").write_text(code, encoding="utf-8")
    package.__path__.append(str(folder))
    try:
        yield f"{package.__name__}.{name}"
    finally:
        package.__path__.remove(str(folder))
        sys.modules.pop(f"{package.__name__}.{name}", None)


def test_the_page_opens_like_any_other(tmp_path: Path) -> None:
    """Its name in code and address is another one here."""
    pages, folder = tmp_path / "pages", tmp_path / "ui" / "as_in_the_guide"
    shutil.copytree(ROOT / "pages", pages, ignore=shutil.ignore_patterns("__pycache__"))
    folder.mkdir(parents=True)
    for place, path in (
        ("pages/neighbours.py", pages / "as_in_the_guide.py"),
        ("cnnviz/ui/pages/neighbours/page.py", folder / "page.py"),
    ):
        code = CODE[place].replace("pages.neighbours", "pages.as_in_the_guide")
        path.write_text(code, encoding="utf-8")
    (folder / "__init__.py").write_text('"""The example of the guide."""\n', encoding="utf-8")
    cnnviz.ui.pages.__path__.append(str(folder.parent))
    try:
        app = AppTest.from_file(str(pages / "navigation.py"), default_timeout=60)
        app.run()
        app.query_params.update({"model": "lenet5", "classes": "many"})
        app.switch_page("as_in_the_guide.py").run()
        assert not app.exception
        assert [text.value for text in app.markdown][-1] == "Which test images LeNet-5 finds alike."
        assert "many" in " ".join(warning.value for warning in app.warning)
    finally:
        cnnviz.ui.pages.__path__.remove(str(folder.parent))
        for name in [name for name in sys.modules if "as_in_the_guide" in name]:
            del sys.modules[name]


def test_the_recipe_is_shown_and_followed(tmp_path: Path, capsys: Printed) -> None:
    all_recipes.cache_clear()
    try:
        with placed(
            cnnviz.training.recipes,
            tmp_path,
            "cnnviz/training/recipes/guide.py",
            "first-minute",
            "guide-minute",
        ):
            assert main(["recipes", "show", "guide-minute"]) == 0
            assert json.loads(capsys.readouterr().out)["epochs"] == 2
            assert main(["train", "guide-minute", "--json"]) == 0
            assert json.loads(capsys.readouterr().out)["status"] == "finished"
    finally:
        all_recipes.cache_clear()
    assert "guide-minute" not in all_recipes()


def test_the_rule_finds_rules_out_and_says_what_is_missing(tmp_path: Path) -> None:
    known = dict(rules())
    place = "cnnviz/diagnosis/rules/guide.py"
    with placed(
        importlib.import_module("cnnviz.diagnosis.rules"), tmp_path, place, "lonely-batch", "guide-batch"
    ) as name:
        importlib.import_module(name)
    try:
        apply_rule = RULES._RULES.pop("guide-batch").apply
        some = healthy()
        left = some.recipe.batch_size + 1
        alone = some.data.model_copy(update={"counts": (left,), "classes": ("0",)})
        normalized = BatchNorm.model_construct()
        result = apply_rule(some.model_copy(update={"data": alone, "batch_norm": normalized}))
        assert isinstance(result, Finding)
        assert result.facts[0].value == 1
        assert isinstance(apply_rule(some.model_copy(update={"data": alone})), Negative)
        assert isinstance(apply_rule(some.model_copy(update={"data": Data()})), Inconclusive)
    finally:
        assert known == dict(RULES._RULES) == dict(rules())


def test_the_probe_measures(tmp_path: Path) -> None:
    known = dict(PROBES.probes())
    place = "cnnviz/diagnosis/probes/guide.py"
    with placed(
        importlib.import_module("cnnviz.diagnosis.probes"), tmp_path, place, "pixel-range", "guide-range"
    ) as name:
        importlib.import_module(name)
    probe = PROBES._PROBES.pop("guide-range")
    assert known == PROBES._PROBES
    context = subject()
    images = context.data_module.train.images
    assert isinstance(images, torch.Tensor)
    answer = probe.ask(context)
    assert answer == {"share": (int(images.max()) - int(images.min())) / 255}
    assert "% of the range" in probe.describe(json.loads(json.dumps(answer)))


def test_the_preset_is_listed(tmp_path: Path, capsys: Printed) -> None:
    list_presets.cache_clear()
    try:
        place = "cnnviz/experiments/presets/guide.py"
        with placed(cnnviz.experiments.presets, tmp_path, place, "momentum", "guide-momentum") as name:
            preset = importlib.import_module(name).MOMENTUM
            assert main(["experiment", "list"]) == 0
            assert preset.name in capsys.readouterr().out
            for form in (preset.small, preset.large):
                assert [cell.condition for cell in form.cells()][:2] == list(form.names)
    finally:
        list_presets.cache_clear()


@pytest.mark.slow
def test_every_example_is_typed(tmp_path: Path) -> None:
    """Each on its own, as mypy sees it where it is said to lie."""
    files = []
    for number, (_, code) in enumerate(EXAMPLES):
        files.append(tmp_path / f"example_{number}.py")
        # What an example imports from another one is not there.
        files[-1].write_text(
            code.replace("cnnviz.ui.pages.neighbours.page", "example_page"), encoding="utf-8"
        )
    page = next(code for place, code in EXAMPLES if place.endswith("page.py"))
    files.append(tmp_path / "example_page.py")
    files[-1].write_text(page, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", *map(str, files)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
