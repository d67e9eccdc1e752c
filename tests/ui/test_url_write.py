"""A click's change of the URL holds where a rerun still brings the URL from before the click."""

import pytest
from streamlit.testing.v1 import AppTest

from cnnviz.ui.shared import url_state


def page() -> None:
    """Show two choices that live in the URL, as a page does."""
    import streamlit as st

    from cnnviz.ui.shared import url_state

    url_state.restore()
    for name in ("x", "scale"):
        chosen, _ = url_state.choice(name, ("left", "right"), "left")
        url_state.show_value(name, chosen)

        def write(name: str = name) -> None:
            url_state.change(**{name: url_state.unless(st.session_state[name], "left")})

        st.radio(name, ("left", "right"), key=name, on_change=write)


@pytest.fixture
def app() -> AppTest:
    return AppTest.from_function(page).run()


def shown(app: AppTest) -> tuple[str | None, str | None, dict[str, str]]:
    """What both widgets show, and what the URL says of them."""
    parameters = {name: "".join(app.query_params.get(name, [])) for name in ("x", "scale")}
    return (
        app.radio(key="x").value,
        app.radio(key="scale").value,
        {name: value for name, value in parameters.items() if value},
    )


def test_a_rerun_with_the_url_from_before_a_click_does_not_undo_it(app: AppTest) -> None:
    app.radio(key="x").set_value("right").run()
    app.query_params.clear()
    app.run()
    assert shown(app) == ("right", "left", {"x": "right"})


def test_a_second_click_with_the_url_from_before_the_first_keeps_both(app: AppTest) -> None:
    app.radio(key="x").set_value("right").run()
    app.query_params.clear()
    app.radio(key="scale").set_value("right").run()
    assert shown(app) == ("right", "right", {"x": "right", "scale": "right"})
    app.query_params.clear()  # a third rerun that knows of neither
    app.run()
    assert shown(app) == ("right", "right", {"x": "right", "scale": "right"})


def test_a_url_that_was_never_before_a_click_is_followed(app: AppTest) -> None:
    app.radio(key="x").set_value("right").run()
    app.query_params["scale"] = "right"
    app.query_params.pop("x")
    app.run()
    assert shown(app) == ("left", "right", {"scale": "right"})


def test_an_old_url_is_followed_after_a_while(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    app.radio(key="x").set_value("right").run()
    monkeypatch.setattr(url_state, "STALE_SECONDS", 0.0)
    app.query_params.clear()
    app.run()
    assert shown(app) == ("left", "left", {})


def test_the_back_button_is_followed_at_once(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    app.radio(key="x").set_value("right").run()
    monkeypatch.setattr(url_state, "_by_history", lambda: True)
    app.query_params.clear()
    app.run()
    assert shown(app) == ("left", "left", {})


def listed() -> None:
    import streamlit as st

    from cnnviz.ui.shared.url_state import pick

    st.session_state["list"] = st.session_state["sent"]
    pick("list", {"1": "Run 1 · stopped", "2": "Run 2"}, "2", st.write)


@pytest.mark.parametrize(("sent", "picked"), [("1", ["1"]), ("Run 1 · running", []), ("2", [])])
def test_a_label_that_has_changed_is_no_choice(sent: str, picked: list[str]) -> None:
    app = AppTest.from_function(listed, default_timeout=60)
    app.session_state["sent"] = sent
    app.run()
    assert not app.exception
    assert [text.value for text in app.markdown] == picked
