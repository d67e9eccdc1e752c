"""What a diagnosis shows as proof, drawn: its plain pictures as Plotly's JSON, images as HTML."""

from cnnviz.figures.evidence.bars import bars
from cnnviz.figures.evidence.lines import lines
from cnnviz.figures.evidence.strip import strip
from cnnviz.figures.evidence.words import alt

__all__ = ["alt", "bars", "lines", "strip"]
