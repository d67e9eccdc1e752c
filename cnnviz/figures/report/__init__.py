"""HTML reports: one run as a single self-contained file, in light or dark by the reader's theme, printable.

Example:
    Path("run-7.html").write_text(html_report(database, 7), encoding="utf-8")
"""

from cnnviz.figures.report.run import html_report

__all__ = ["html_report"]
