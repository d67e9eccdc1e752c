"""Generator of the precomputed analyses: `python -m cnnviz.analysis.precompute`, or `make facts`."""

from __future__ import annotations

import gzip
from dataclasses import asdict

import orjson

from cnnviz import models
from cnnviz.analysis.core import of_spec
from cnnviz.analysis.precomputed import OVERVIEW, SOURCES, Overview, encode, path_of
from cnnviz.analysis.types import Analysis, depth


def write_all() -> None:
    """Analyze every registered model with default options and write the files."""
    lines = []
    for spec in models.specs().values():
        if spec.source not in SOURCES:
            continue
        analysis = of_spec(spec, spec.classes, spec.input_shape, spec.options())
        path = path_of(spec.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(orjson.dumps(encode(analysis)), mtime=0))
        lines.append(asdict(summarise(analysis, spec)))
    OVERVIEW.write_bytes(orjson.dumps(lines, option=orjson.OPT_INDENT_2) + b"\n")


def summarise(analysis: Analysis, spec: models.ModelSpec) -> Overview:
    """Return the overview of one model."""
    accuracy = next((p for p in spec.published if p.what == "accuracy"), None)
    return Overview(
        name=spec.name,
        title=spec.title,
        family=spec.family,
        year=spec.year,
        source=spec.source,
        params=analysis.total_params,
        macs=analysis.macs,
        conv_params=analysis.conv_params,
        fc_params=analysis.fc_params,
        norm_params=analysis.norm_params,
        other_params=analysis.other_params,
        depth=depth(analysis),
        layers=len(analysis.rows),
        accuracy=accuracy.value if accuracy else None,
        accuracy_on=accuracy.on if accuracy else "",
        input_shape=spec.input_shape,
        classes=spec.classes,
    )


if __name__ == "__main__":
    write_all()
