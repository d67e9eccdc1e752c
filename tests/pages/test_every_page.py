"""Every page is found, opens, shows something, and links to every other with the selection."""

import ast
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from streamlit.testing.v1 import AppTest

from cnnviz.ui.shared.page_registry import NOT_PAGES, find_pages
from tests.pages.runner import PAGES, assert_sound, open_page

FOUND = find_pages(PAGES)
NOT_UI = {"torch", "torchvision", "sqlite3", "sqlalchemy", "numpy", "math"}


def test_every_file_is_a_page() -> None:
    assert set(FOUND) == {path.stem for path in PAGES.glob("*.py")} - NOT_PAGES
    assert next(iter(FOUND)) == "start"


@pytest.mark.parametrize("name", FOUND)
def test_page_shows_its_heading_and_something_of_its_own(name: str) -> None:
    app = open_page(name)
    assert app.title[0].value == FOUND[name].title
    assert FOUND[name].blurb in [text.value for text in app.markdown]


@pytest.mark.parametrize("name", FOUND)
def test_bar_links_to_every_page_and_carries_the_selection(name: str) -> None:
    selection = {"model": "lenet5", "classes": "10", "option.activation": "tanh"}
    app = open_page(name, **selection, stranger="1")
    links = [element.proto for element in app.main.children[0].children.values()]
    assert [link.label for link in links] == [page.title for page in FOUND.values()]
    for link in links:
        carried = parse_qs(link.query_string)
        assert {key: carried[key] for key in selection} == {key: [value] for key, value in selection.items()}
        assert "stranger" not in carried


@pytest.mark.parametrize("name", FOUND)
def test_page_is_thin(name: str) -> None:
    tree = ast.parse((PAGES / f"{name}.py").read_text(encoding="utf-8"))
    nodes = list(ast.walk(tree))
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    assert not {module.split(".")[0] for module in imported} & NOT_UI


@pytest.mark.parametrize("body", ["", "raise RuntimeError('boom')"], ids=["empty", "raises"])
def test_the_check_itself_notices(tmp_path: Path, body: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(f"import streamlit as st\nst.title('bar')\nst.title('heading')\n{body}\n")
    with pytest.raises(AssertionError, match=r"empty|boom"):
        assert_sound(AppTest.from_file(str(script)).run())
