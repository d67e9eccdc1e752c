"""Images of a finding, as HTML of our own."""

from __future__ import annotations

from html import escape

from cnnviz.diagnosis import Images


def strip(picture: Images) -> str:
    """The images beside one another, what is said of each below it."""
    return f'<div class="evidence-images">{"".join(_one(*image) for image in picture.images)}</div>'


def _one(png: str, line: str) -> str:
    said = escape(line)
    return (
        f'<figure><img src="data:image/png;base64,{escape(png)}" alt="{said}">'
        f"<figcaption>{said}</figcaption></figure>"
    )
