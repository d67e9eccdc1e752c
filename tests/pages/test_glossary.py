"""The glossary as a page: every term, a search, a term that the address names, headings that lead there."""

import pytest

from cnnviz.ui.shared.glossary import explanation, terms
from cnnviz.ui.shared.layout import find_pages
from tests.pages.runner import PAGES, assert_sound, open_page


def _names(app: object) -> list[str]:
    return [one.value.partition(".**")[0].strip("*") for one in app.markdown if one.value.startswith("**")]  # type: ignore[attr-defined]


def test_it_opens_on_every_term_by_section() -> None:
    app = open_page("glossary")
    assert set(_names(app)) == {term.name for term in terms().values()}
    assert [one.value for one in app.header] == list(dict.fromkeys(t.section for t in terms().values()))


def test_a_link_names_the_page_as_the_bar_does_and_code_is_code() -> None:
    app = open_page("glossary")
    titles = {page.title for page in find_pages(PAGES).values()}
    named = [one.proto.label for one in app.get("page_link") if one.proto.label.startswith("See it on ")]
    assert named
    assert {label.removeprefix("See it on ") for label in named} <= titles
    assert "with `balanced` every class" in " ".join(one.value for one in app.markdown)


def test_a_search_finds_words_of_the_definition_and_stays_in_the_address() -> None:
    app = open_page("glossary")
    app.text_input(key="glossary-find").set_value("influence strong").run()
    assert_sound(app)
    assert app.query_params["find"] == "influence strong"
    names = _names(app)
    assert names == ["Receptive field"]
    app.text_input(key="glossary-find").set_value("xyzzy").run()
    assert "No term holds “xyzzy”" in app.info[0].value


def test_the_term_of_the_address_comes_first() -> None:
    app = open_page("glossary", term="receptive-field")
    assert _names(app)[0] == "Receptive field"
    assert not app.warning
    assert "no term “nonsense”" in open_page("glossary", term="nonsense").warning[0].value


@pytest.mark.parametrize("word", ["convolution", "fully connected", "relu", "pooling", "softmax", "logit"])
def test_what_a_layer_is_called_is_found(word: str) -> None:
    app = open_page("glossary", find=word)
    assert any(word in name.lower() for name in _names(app))


@pytest.mark.parametrize("anchor", terms())
def test_a_term_explains_itself(anchor: str) -> None:
    term = terms()[anchor]
    text = explanation(term.name)
    assert text.startswith(term.definition)
    assert text.endswith(f"(glossary?term={anchor})")


def test_headings_explain_their_term() -> None:
    app = open_page("train")
    heading = next(one.proto for one in app.header if one.value == "Confusion matrix")
    assert heading.help == explanation("Confusion matrix")
