"""The AlexNet/STL-10 paper review's story on Diagnose: at once, offline, and live."""

from streamlit.testing.v1 import AppTest

from tests.pages.runner import assert_sound, open_page

SECTIONS = [
    "What the article saw",
    "Where the images get lost",
    "And the way back",
    "Is it the weaker normalization?",
    "The fixed run beside the failed one",
    "The proof: one change at a time",
    "Try it yourself",
]


def test_the_failed_recording_tells_its_story() -> None:
    app = open_page("diagnose", recorded="alexnet-stl10-failed", view="story")
    heads = [one.value for one in app.header]
    assert [head for head in heads if head in SECTIONS] == SECTIONS
    assert "The AlexNet/STL-10 paper review, solved" in [one.value for one in app.header]


def test_links_from_before_it_had_this_name_lead_to_it() -> None:
    app = open_page("diagnose", recorded="article-d-failed", view="story")
    assert "The AlexNet/STL-10 paper review, solved" in [one.value for one in app.header]
    app = open_page("experiments", experiment="article-d")
    assert_sound(app)
    assert not app.warning
    assert app.selectbox(key="experiments-which").value == "alexnet-stl10"


def test_another_start_is_reckoned_at_once() -> None:
    app = open_page("diagnose", recorded="alexnet-stl10-failed", view="story")
    before = _said(app)
    assert "Pixels in [0, 1] differ" in before
    app.segmented_control(key="story-start").set_value("he").run()
    app.segmented_control(key="story-pixels").set_value("standardised").run()
    assert_sound(app)
    assert (app.query_params["start"], app.query_params["pixels"]) == ("he", "standardised")
    after = _said(app)
    assert "Standardized pixels differ" in after
    assert "Biases of 1 stand in conv2" in before
    assert "Biases of" not in after


def _said(app: AppTest) -> str:
    return " ".join(one.value for one in app.markdown).replace("\\", "")
