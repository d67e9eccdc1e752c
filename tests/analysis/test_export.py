"""The table in its three forms says the same, and its columns add up."""

import csv
import io
import json

import pytest

from cnnviz.analysis import analyze, export, overview


@pytest.mark.parametrize("name", [line.name for line in overview()][:20])
def test_columns_add_up_to_the_totals(name: str) -> None:
    lines = list(csv.DictReader(io.StringIO(export.to_csv(analyze(name)))))
    *rows, total = lines
    late = {row.name for row in analyze(name).rows if row.training_only}
    assert total["layer"] == "total"
    assert int(total["parameters"]) == sum(int(row["parameters"]) for row in rows)
    for column in ("multiply-adds", "element-wise"):
        assert int(total[column]) == sum(int(row[column]) for row in rows if row["layer"] not in late)


def test_json_has_what_is_promised() -> None:
    document = json.loads(json.dumps(export.to_json(analyze("lenet5"), batch=4)))
    totals = {
        "total_params",
        "trainable_params",
        "conv_params",
        "fc_params",
        "norm_params",
        "other_params",
        "macs",
    }
    assert totals | {"model", "input_size", "layers"} <= document.keys()
    layer = document["layers"][0]
    promised = {"name", "type", "input_shape", "output_shape", "params", "macs", "receptive_field", "formula"}
    assert promised <= layer.keys()
    assert (layer["input_shape"], layer["output_shape"]) == ([1, 28, 28], [6, 28, 28])
    assert layer["receptive_field"] == {"size": [5, 5], "jump": [1, 1], "start": [-2, -2]}
    assert sum(layer["params_share"] for layer in document["layers"]) == pytest.approx(1, abs=1e-4)
    assert sum(layer["macs_share"] for layer in document["layers"]) == pytest.approx(1, abs=1e-4)
    assert layer["activation_bytes"] == 4 * 6 * 28 * 28 * 4
    assert document["layers"][-1]["receptive_field"] == "whole input"


def test_markdown_is_a_table_with_a_line_a_row() -> None:
    lines = export.to_markdown(analyze("lenet5")).splitlines()
    assert len(lines) == 2 + 12 + 1
    assert len({line.count("|") for line in lines}) == 1
    assert "| 61,706 |" in lines[-1]
