"""Facts of a data set as lines of text."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from cnnviz.datasets import Dataset, DatasetSpec
from cnnviz.datasets.summary import Summary
from cnnviz.figures import measures, numbers


def facts_html(facts: Sequence[tuple[str, str]]) -> str:
    """Names and values, a line each; empty values are left out."""
    lines = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts if value)
    return f'<dl class="facts">{lines}</dl>'


def provenance(spec: DatasetSpec, ready: Dataset) -> list[tuple[str, str]]:
    """Where a data set comes from, and what was done to it."""
    return [
        *((("How it is split" if number == 0 else ""), note) for number, note in enumerate(ready.notes)),
        ("From", spec.origin),
        ("Licence", spec.licence),
        ("Described in", spec.citation),
        ("Fingerprint", ready.fingerprint),
    ]


def balance(found: Summary, classes: Sequence[str]) -> str:
    """How even the classes of the training part are, in a sentence."""
    counts = found.train_counts
    least, most = int(counts.argmin()), int(counts.argmax())
    if counts[least] == counts[most]:
        return f"Every class has {numbers.exact(int(counts[most]))} training images: an even set."
    ratio = f"{numbers.significant(counts[most] / counts[least], 2)} times" if counts[least] else "all of"
    verdict = (
        "nearly even"
        if counts[least] and counts[most] / counts[least] < 1.5
        else "uneven: a network that always answers with the largest looks better than it is"
    )
    return (
        f"The largest class ({classes[most]}, {counts[most]:,}) has {ratio} the training images of the "
        f"smallest ({classes[least]}, {counts[least]:,}): {verdict}."
    )


def headline_figures(spec: DatasetSpec, ready: Dataset) -> list[tuple[str, str, str]]:
    """Each headline as (value, what it is, the exact figure in words)."""
    total = len(ready.train) + len(ready.test)
    channels, height, width = ready.shape
    decoded = total * channels * height * width
    colour = "grey" if channels == 1 else "colour"
    return [
        (numbers.exact(total), "images", f"{len(ready.train):,} to train and {len(ready.test):,} to test"),
        (numbers.exact(len(ready.classes)), "classes", ", ".join(ready.classes[:40])),
        (f"{height}×{width}", f"pixels, {colour}", f"{numbers.shape(ready.shape)}: channels, height, width"),
        (numbers.exact(len(ready.train)), "to train", spec.split),
        (numbers.exact(len(ready.test)), "to test", spec.split),
        (
            measures.size(decoded),
            "as it streams" if ready.streams else "decoded",
            f"{decoded:,} bytes, one a channel of a pixel",
        ),
    ]
