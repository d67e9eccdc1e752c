"""Share writes down what a page shows by default, so that a link means what it meant when defaults change."""

from urllib.parse import parse_qs, urlsplit

import pytest

from cnnviz.ui.pages.compare import DEFAULT
from cnnviz.ui.shared.url_state import DEFAULT_MODEL
from tests.pages.runner import open_page

SHARED = {
    "architecture": {"model": DEFAULT_MODEL},
    "compare": {"models": ",".join(DEFAULT)},
    "build": {"model": DEFAULT_MODEL},
    "data": {"dataset": "digits"},
    "train": {"recipe": "default-lenet5-digits"},
    "diagnose": {"recorded": "alexnet-stl10-failed"},
}


def shared(name: str, **query: str) -> dict[str, str]:
    """The parameters of the first address that the page offers to share."""
    app = open_page(name, **query)
    address = next(code.value for code in app.code if code.value.startswith(("http", "None?")))
    return {key: values[0] for key, values in parse_qs(urlsplit(address).query).items()}


@pytest.mark.parametrize("name", SHARED)
def test_a_page_without_parameters_is_shared_with_what_it_shows(name: str) -> None:
    assert SHARED[name].items() <= shared(name).items()


def test_pages_that_look_inside_name_weights_and_image() -> None:
    found = shared("attribution")
    assert found["weights"].startswith("checkpoint:")
    assert found["picture"].startswith("sample:")


def test_what_the_address_says_is_kept() -> None:
    assert shared("compare", models="lenet5,vgg16-bn-32")["models"] == "lenet5,vgg16-bn-32"
    assert shared("architecture", model="lenet5", layer="c1")["model"] == "lenet5"
