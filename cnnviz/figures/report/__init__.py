"""One run as a single HTML file: it needs no network, follows the reader's light or dark, and prints.

Path("run-7.html").write_text(html_report(database, 7), encoding="utf-8")
"""

from cnnviz.figures.report.run import html_report

__all__ = ["html_report"]
