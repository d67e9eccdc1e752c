"""Where the networks look in one of the pictures: Grad-CAM for what each says."""

from __future__ import annotations

import streamlit as st

from cnnviz.inference.picture import Picture, Refusal
from cnnviz.sentences import percent
from cnnviz.ui import notice, url_state
from cnnviz.ui.inside.weights import Network
from cnnviz.ui.pictures import handed
from cnnviz.ui.pictures.prepared import prepared
from cnnviz.ui.predict.job import Job
from cnnviz.ui.why.drawing import CSS
from cnnviz.ui.why.found import found
from cnnviz.ui.why.panel import pictures_of
from cnnviz.ui.why.state import DEFAULT_OPACITY, Asked


@st.dialog("Where the answer comes from", width="large")
def reasons(job: Job, row: int) -> None:
    """Draw them over the page."""
    file = job.seen[row].file
    if isinstance(file, Refusal):
        return
    data = file.data if isinstance(file.data, bytes) else file.data()
    picture = handed.decoded(file.name, data)
    if isinstance(picture, Refusal):
        st.error(notice.plain(picture.reason))
        return
    st.html(CSS)
    st.caption(f"{notice.plain(file.name)}: bright is what speaks for the answer, by Grad-CAM.")
    for network in job.networks:
        _one(network, picture)
    if st.button("Ask further why", icon=":material/arrow_forward:", type="primary"):
        kept = handed.add(file)
        if not isinstance(kept, Refusal):
            st.switch_page("why.py", query_params=_onwards(job, kept.number))


def _one(network: Network, picture: Picture) -> None:
    ready = prepared(picture, network.loaded.preprocessing)
    asked = Asked("gradcam", None, None, None, DEFAULT_OPACITY, None, ())
    try:
        one = found(network, ready, asked)
    except ValueError as error:
        st.info(notice.plain(str(error)), icon=":material/info:")
        return
    share = percent(one.attribution.probability, 1)
    st.markdown(f"**{notice.plain(network.loaded.name)}** says **{notice.plain(one.target)}**, {share}")
    st.html(f'<div class="why"><div>{pictures_of(one, "gradcam", DEFAULT_OPACITY)}</div></div>')


def _onwards(job: Job, number: int) -> dict[str, str]:
    first, *others = job.networks
    chosen = url_state.carried() | {"weights": first.reference, "picture": f"handed:{number}"}
    return chosen | ({"against": others[0].reference} if others else {})
