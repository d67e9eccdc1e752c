"""Fields that show what is kept elsewhere: the URL, the run database."""

from __future__ import annotations

from typing import Any

import streamlit as st


def holds(key: str, value: Any) -> None:
    """Have the field of that key show `value`.

    An assignment, even of what is there already, would replace what somebody is just typing.
    """
    if key not in st.session_state or st.session_state[key] != value:
        st.session_state[key] = value
