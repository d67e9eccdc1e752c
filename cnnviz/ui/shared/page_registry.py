"""The registry of pages: every file in pages/ that opens with a `PAGE = Page(...)` header is a page."""

import ast
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

NOT_PAGES = frozenset({"__init__", "navigation"})
"""Stems of the files in pages/ that are not pages."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page's header. Its arguments are literals, so that it can be read without running the page.

    Attributes:
        title: What the page is called in the bar, in the browser's tab and as its heading.
        icon: A Material symbol, `":material/name:"` (their font ships with Streamlit).
        order: Its place in the bar, from left to right; the lowest is the page that opens first.
        blurb: One sentence on what the page shows.
        group: Which menu of the bar it is in; empty where it stands on its own.
        heading: What stands on the page in place of the title; the title where empty.
    """

    title: str
    icon: str
    order: int
    blurb: str
    group: str = ""
    heading: str = ""

    def __post_init__(self) -> None:
        """Refuse what the bar could not show."""
        if not self.title.strip() or not self.blurb.strip():
            raise ValueError("a page needs a title and a blurb")
        if not (self.icon.startswith(":material/") and self.icon.endswith(":")):
            raise ValueError(f"a page's icon is ':material/name:', not {self.icon!r}")


def find_pages(folder: Path) -> dict[str, Page]:
    """Return the pages in `folder`, in the bar's order, by name: the file's stem and the URL's path.

    Raises:
        ValueError: a file has no header or one that cannot be read, or two pages claim the same place.
    """
    pages = {
        path.stem: _header(path, path.stat().st_mtime_ns)
        for path in folder.glob("*.py")
        if path.stem not in NOT_PAGES
    }
    ordered = dict(sorted(pages.items(), key=lambda item: item[1].order))
    if len({page.order for page in ordered.values()}) < len(ordered):
        raise ValueError(f"two pages in {folder.name}/ have the same order")
    return ordered


@lru_cache(maxsize=256)
def _header(path: Path, _modified_ns: int) -> Page:
    """Read the header of one page; the time of its last change is part of the cache's key."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["PAGE"]:
            return _evaluate(node.value, path.name)
    raise ValueError(f"{path.name} has no header: PAGE = Page({_arguments()})")


def _evaluate(call: ast.expr, name: str) -> Page:
    """Build the `Page` that a header's call describes, from literals alone."""
    try:
        if not isinstance(call, ast.Call) or call.args:
            raise ValueError("it is not a call with named arguments")
        return Page(**{str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords})
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: its header must be PAGE = Page({_arguments()}): {error}") from error


def _arguments() -> str:
    return ", ".join(f"{field.name}=…" for field in fields(Page))
