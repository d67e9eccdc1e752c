"""Navigation script, run at every interaction: finds the pages, draws shared parts, runs the current one.

It is beside the pages and not beside app.py, because Streamlit treats every file of a folder `pages` next to
the script as a page until `st.navigation` is called: on the first load the sidebar would show file names.
Here there is no such folder, and a page's path is just its file name.
"""

from pathlib import Path

import streamlit as st

from cnnviz.ui.shared import visitors
from cnnviz.ui.shared.layout import find_pages, page_header, redirect_pages
from cnnviz.ui.shared.lesson import lesson_bar
from cnnviz.ui.shared.startup import page_drawn

folder = Path(__file__).parent
pages = find_pages(folder)
routes = {
    name: st.Page(
        folder / f"{name}.py", title=page.title, help=page.blurb, url_path=name, default=position == 0
    )
    for position, (name, page) in enumerate(pages.items())
}
shared = visitors.shared_routes()  # empty in a single-user app
chosen = st.navigation([*routes.values(), *redirect_pages(routes), *shared], position="hidden")
current = next((name for name, route in routes.items() if route is chosen), None)
if chosen in shared or (current is not None and shared):
    from cnnviz.ui.shared import open_class

    page_header(pages, current or "", None if current else open_class.PAGE)
    try:
        if open_class.draw(shared[0], pages, at_class=current is None):
            lesson_bar(current or "")
            chosen.run()
    finally:
        page_drawn()
elif current is None:  # a former path, which redirects
    chosen.run()
else:
    page_header(pages, current)
    lesson_bar(current)
    try:
        chosen.run()
    finally:  # also after st.rerun
        page_drawn()
