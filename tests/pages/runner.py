"""Runs a page as the app does, through the navigation script, and insists that it shows something."""

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
from streamlit.testing.v1 import AppTest

PAGES = Path(__file__).parents[2] / "pages"
CHROME = 4
"""How many blocks of a page are not its own: the routes, the bar, the heading and the guard."""


def open_page(name: str, **query: str) -> AppTest:
    """Run the page of that name with these query parameters.

    AppTest says nothing about a script that draws nothing, so emptiness is looked for here; likewise an
    exception, which would only be one more element.

    Raises:
        AssertionError: the page raised, or drew nothing of its own.
    """
    app = AppTest.from_file(str(PAGES / "navigation.py"), default_timeout=60)
    app.run()
    app.query_params.update(query)
    app.switch_page(f"{name}.py").run()
    assert_sound(app)
    return app


def assert_sound(app: AppTest) -> None:
    """Fail if the last run of `app` raised or drew nothing of the page's own."""
    assert not app.exception, "\n".join(f"{error.message}\n{error.stack_trace}" for error in app.exception)
    own = list(app.main.children.values())[CHROME:]
    assert own, "the page is empty"


def html(app: AppTest) -> str:
    """All HTML of the page."""
    return " ".join(element.proto.body for element in app.get("html"))


def said(app: AppTest) -> str:
    """All sentences of the page, as they are read."""
    elements = [*app.warning, *app.info, *app.error, *app.caption, *app.markdown]
    return " ".join(element.value.replace("\\", "") for element in elements)


def bar(app: AppTest) -> dict[str, Any]:
    """What the bar of pages shows."""
    drawn = [each for each in app.get("bidi_component") if each.proto.component_name == "cnnviz.navigation"]
    (document,) = json.loads(drawn[0].proto.json)
    return dict(document)


def components(app: AppTest) -> list[str]:
    """The drawn components of ours, by name."""
    return [element.proto.component_name for element in app.get("bidi_component")]


def links(app: AppTest) -> dict[str, dict[str, str]]:
    """The page's own links: what each says, and the parameters behind it."""
    return {link.proto.label: dict(parse_qsl(link.proto.query_string)) for link in app.get("page_link")}


def figures(app: AppTest) -> dict[str, Any]:
    """The figures drawn, by their keys, each with its text for those who do not see it under `alt`."""
    result = {}
    for element in app.get("bidi_component"):
        (data,) = json.loads(element.proto.json)
        if "figure" in data:
            result[data["key"]] = decoded(json.loads(data["figure"])) | {"alt": data["alt"]}
    return result


def decoded(value: Any) -> Any:
    """A figure's JSON with its arrays, which Plotly writes as base64, as lists."""
    if isinstance(value, dict) and "bdata" in value:
        flat = np.frombuffer(base64.b64decode(value["bdata"]), value["dtype"])
        return flat.reshape([int(size) for size in value.get("shape", "-1").split(",")]).tolist()
    if isinstance(value, dict):
        return {name: decoded(part) for name, part in value.items()}
    return [decoded(part) for part in value] if isinstance(value, list) else value
