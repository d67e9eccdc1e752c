"""The script that runs at every click: finds the pages, draws what they share, runs the one asked for.

It lies beside the pages and not beside app.py, because Streamlit takes every file of a folder `pages` next
to the script it runs for a page, until the script has said otherwise: a newcomer's first moment would
show a sidebar of file names. Here there is no such folder, and a page's path is just its file's name.
"""

from pathlib import Path

import streamlit as st

from cnnviz.ui.shared import visitors
from cnnviz.ui.shared.layout import old_pages, page_header
from cnnviz.ui.shared.lesson import lesson_bar
from cnnviz.ui.shared.page_registry import find_pages
from cnnviz.ui.shared.startup import page_drawn

folder = Path(__file__).parent
pages = find_pages(folder)
routes = {
    name: st.Page(
        folder / f"{name}.py", title=page.title, help=page.blurb, url_path=name, default=position == 0
    )
    for position, (name, page) in enumerate(pages.items())
}
shared = visitors.shared_routes()  # none where the app serves whoever started it
chosen = st.navigation([*routes.values(), *old_pages(routes), *shared], position="hidden")
current = next((name for name, route in routes.items() if route is chosen), None)
if chosen in shared or (current is not None and shared):
    from cnnviz.ui.shared import class_header

    page_header(pages, current or "", None if current else class_header.PAGE)
    class_header.draw(shared[0], pages, at_class=current is None)
    lesson_bar(current or "")
    try:
        chosen.run()
    finally:
        page_drawn()
elif current is None:  # an old address, which leads on
    chosen.run()
else:
    page_header(pages, current)
    lesson_bar(current)
    try:
        chosen.run()
    finally:  # a page that stops or reruns has drawn too
        page_drawn()
