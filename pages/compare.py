"""Compare page: two to four models, their totals on one scale, and any two of them layer by layer."""

from cnnviz.ui.pages.compare import (
    analysis_problems,
    compare_bar,
    current,
    difference,
    figure,
    label,
    totals_table,
)
from cnnviz.ui.shared import notice
from cnnviz.ui.shared.layout import Page
from cnnviz.ui.shared.model_data import shown_model as analysed

PAGE = Page(
    title="Compare",
    icon=":material/compare:",
    order=2,
    group="Explore",
    blurb="Two to four networks on the same scales, and any two of them layer by layer.",
)

page_state = current()
shown = [analysed(entry) for entry in page_state.entries]
names = [label(model.selection) for model in shown]
compare_bar(shown)
notice.show([*page_state.problems, *notice.pending_notices(), *analysis_problems(shown)])
figure(shown, names, page_state.batch)
totals_table(shown, names, page_state.batch)
difference(shown, names, page_state.pair)
