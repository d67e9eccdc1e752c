"""Every page is found, opens, shows something, and links to every other with the selection."""

import ast
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from streamlit.testing.v1 import AppTest

from cnnviz.ui.shared.layout import MOVED, NOT_PAGES, find_pages
from tests.pages.runner import CHROME, PAGES, assert_sound, bar, open_page

FOUND = find_pages(PAGES)
OLD_ADDRESS = """
import streamlit as st
from cnnviz.ui.shared.layout import redirect_pages

def shown():
    st.text("{page} " + " ".join(f"{{name}}={{value}}" for name, value in sorted(st.query_params.items())))

route = st.Page(shown, title="{page}", url_path="{page}")
olds = redirect_pages(dict.fromkeys(("attribution", "compare"), route))
old = next(each for each in olds if each.url_path == "{path}")
if "sent" not in st.session_state:
    st.session_state["sent"] = True
    st.navigation([route, old], position="hidden")
    st.switch_page(old, query_params=st.query_params.to_dict())
st.navigation([route, old], position="hidden").run()
"""
"""A small app that has been opened at an old address, which AppTest cannot be."""
NOT_UI = {"torch", "torchvision", "sqlite3", "sqlalchemy", "numpy", "math"}


def test_every_file_is_a_page() -> None:
    assert set(FOUND) == {path.stem for path in PAGES.glob("*.py")} - NOT_PAGES
    assert next(iter(FOUND)) == "start"


@pytest.mark.parametrize("name", FOUND)
def test_page_shows_its_heading_and_something_of_its_own(name: str) -> None:
    app = open_page(name)
    assert app.title[0].value == (FOUND[name].heading or FOUND[name].title)
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
def test_bar_shows_three_groups_and_where_one_is(name: str) -> None:
    shown = bar(open_page(name, model="lenet5"))
    assert {group["title"]: [item["title"] for item in group["items"]] for group in shown["groups"]} == {
        "Explore": ["Architecture", "Compare", "Build", "Glossary"],
        "Train": ["Data", "Train", "Runs", "Diagnose", "Experiments"],
        "Look inside": ["Feature maps", "Inception", "Attribution", "Predict"],
    }
    items = [shown["home"], *(item for group in shown["groups"] for item in group["items"])]
    # The bar follows its hidden links by their place: both have one order.
    assert [item["title"] for item in items] == [page.title for page in FOUND.values()]
    assert [item["title"] for item in items if item["current"]] == [FOUND[name].title]
    assert {item["href"] for item in items} == {
        f"/{'' if page == 'start' else page}?model=lenet5" for page in FOUND
    }


@pytest.mark.parametrize(("path", "page"), MOVED.items())
def test_an_old_address_leads_on_with_its_parameters(path: str, page: str) -> None:
    app = AppTest.from_string(OLD_ADDRESS.format(path=path, page=page), default_timeout=60)
    app.query_params.update({"model": "lenet5", "pair": "1,2"})
    app.run()
    assert not app.exception
    assert app.text[0].value == f"{page} model=lenet5 pair=1,2"


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
    script.write_text(f"import streamlit as st\nfor _ in range({CHROME}): st.title('chrome')\n{body}\n")
    with pytest.raises(AssertionError, match=r"empty|boom"):
        assert_sound(AppTest.from_file(str(script)).run())
