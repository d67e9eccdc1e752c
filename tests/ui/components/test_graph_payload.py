"""What the browser gets of a module graph."""

import json

import pytest

from cnnviz.analysis import analyze
from cnnviz.analysis.types import Block, Graph, Node
from cnnviz.ui.components.networks import GRAPH, GRAPH_SCRIPTS, container_names, payload, script, styles


def node(number: int, row: str, container: str = "") -> Node:
    return Node(number, row, row.rpartition(".")[2], "conv", container, (8, 4, 4))


def graph(*edges: tuple[int, int]) -> Graph:
    nodes = (node(0, ""), node(1, ""), node(2, "a.b.c", "a.b"), node(3, "a.d", "a"))
    return Graph(nodes, edges or ((0, 2), (2, 3), (3, 1)), (Block("a.b", "Pair", 2),))


def test_containers_come_after_those_around_them() -> None:
    assert container_names(graph()) == ["a", "a.b"]
    data = payload(graph())
    assert data["containers"] == [["a", "", -1, -1], ["a.b", "Pair", 0, -1]]
    assert [entry[3] for entry in data["nodes"]] == [-1, -1, 1, 0]
    assert data["nodes"][2] == ["a.b.c", "c", 0, 1, "8×4×4", 0]
    assert data["edges"] == [0, 2, 2, 3, 3, 1]


def test_repeats_point_to_the_first_of_their_row() -> None:
    analysis = analyze("torchvision/resnet50")
    data = payload(analysis.graph)
    names = [entry[0] for entry in data["containers"]]
    firsts = {entry[0]: names[entry[3]] for entry in data["containers"] if entry[3] >= 0}
    assert firsts["layer3.5"] == "layer3.1"
    assert "layer3.0" not in firsts


def test_equal_graphs_have_one_id_and_others_another() -> None:
    assert payload(graph())["id"] == payload(graph())["id"]
    assert payload(graph())["id"] != payload(graph((0, 2), (2, 1)))["id"]


def test_an_edge_that_leads_nowhere_is_refused() -> None:
    with pytest.raises(ValueError, match="not among its 4"):
        payload(graph((0, 9)))


def test_nodes_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="numbered"):
        payload(Graph((node(1, ""), node(0, "")), ()))


def test_the_largest_graph_stays_small_on_the_way() -> None:
    analysis = analyze("torchvision/efficientnet_v2_l")
    assert len(analysis.graph.nodes) > 1000
    assert len(json.dumps(payload(analysis.graph), ensure_ascii=False)) < 150_000


def test_every_script_is_part_of_the_component() -> None:
    assert {path.stem for path in GRAPH.glob("*.js")} == set(GRAPH_SCRIPTS)
    assert script().count("export default") == 1
    assert "--kind-conv" in styles()
    assert "http" not in script().replace("http://www.w3.org/2000/svg", "")
