"""Side by side: two to four models, their totals on one scale, and any two of them layer by layer."""

from cnnviz.ui import notice
from cnnviz.ui.compare import state
from cnnviz.ui.compare.bar import compare_bar
from cnnviz.ui.compare.difference import difference
from cnnviz.ui.compare.figure import figure
from cnnviz.ui.compare.totals import totals_table
from cnnviz.ui.data import shown as analysed
from cnnviz.ui.pages import Page

PAGE = Page(
    title="Side by side",
    icon=":material/compare:",
    order=3,
    blurb="Two to four networks on the same scales, and any two of them layer by layer.",
)

asked = state.current()
shown = [analysed(entry) for entry in asked.entries]
names = [state.label(one.selection) for one in shown]
compare_bar(shown)
notice.say([*asked.problems, *notice.kept(), *state.analysis_problems(shown)])
figure(shown, names, asked.batch)
totals_table(shown, names, asked.batch)
difference(shown, names, asked.pair)
