"""Page registry: every file in pages/ with a `PAGE = Page(...)` header is a page."""

import ast
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

NOT_PAGES = frozenset({"__init__", "navigation"})
"""Stems of files in pages/ that are not pages."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """Header of a page. Its arguments are literals, so that it can be read without running the page.

    Attributes:
        title: Title in the navigation bar, in the browser tab and as the heading.
        icon: A Material symbol, `":material/name:"` (their font ships with Streamlit).
        order: Position in the navigation bar; the page with the lowest is the home page.
        blurb: One sentence on what the page shows.
        group: Menu of the navigation bar; empty for a page outside of menus.
        heading: Heading of the page in place of the title; the title if empty.
    """

    title: str
    icon: str
    order: int
    blurb: str
    group: str = ""
    heading: str = ""

    def __post_init__(self) -> None:
        """Raise `ValueError` for values that the navigation bar cannot show."""
        if not self.title.strip() or not self.blurb.strip():
            raise ValueError("a page needs a title and a blurb")
        if not (self.icon.startswith(":material/") and self.icon.endswith(":")):
            raise ValueError(f"a page's icon is ':material/name:', not {self.icon!r}")


def find_pages(folder: Path) -> dict[str, Page]:
    """Return the pages in `folder` by name (the file's stem and URL path), in the order of the bar.

    Raises:
        ValueError: A file has no valid header, or two pages have the same order.
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
    """Read the header of a page; the modification time is part of the cache key."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["PAGE"]:
            return _evaluate(node.value, path.name)
    raise ValueError(f"{path.name} has no header: PAGE = Page({_arguments()})")


def _evaluate(call: ast.expr, name: str) -> Page:
    """Build the `Page` of a header call from its literals."""
    try:
        if not isinstance(call, ast.Call) or call.args:
            raise ValueError("it is not a call with named arguments")
        return Page(**{str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords})
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: its header must be PAGE = Page({_arguments()}): {error}") from error


def _arguments() -> str:
    return ", ".join(f"{field.name}=…" for field in fields(Page))
