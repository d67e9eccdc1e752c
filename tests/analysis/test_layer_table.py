"""The module graph: branches, joins, repeats, and no loose ends."""

import pytest

from cnnviz.analysis import Graph, analyze, overview

NAMES = [line.name for line in overview()]


@pytest.mark.parametrize("name", NAMES)
def test_every_box_lies_on_a_way_from_input_to_output(name: str) -> None:
    graph = analyze(name).graph
    assert [node.id for node in graph.nodes] == list(range(len(graph.nodes)))
    assert all(start < end or end == 1 for start, end in graph.edges)
    forward, backward = _reached(graph, 0, 0), _reached(graph, 1, 1)
    assert forward & backward == {node.id for node in graph.nodes}


def _reached(graph: Graph, start: int, end: int) -> set[int]:
    steps: dict[int, list[int]] = {}
    for edge in graph.edges:
        steps.setdefault(edge[end], []).append(edge[1 - end])
    seen, rest = set(), [start]
    while rest:
        node = rest.pop()
        if node not in seen:
            seen.add(node)
            rest.extend(steps.get(node, ()))
    return seen


@pytest.mark.parametrize("name", NAMES)
def test_rows_and_containers_are_known(name: str) -> None:
    result = analyze(name)
    rows = {row.name for row in result.rows}
    blocks = {block.name for block in result.graph.blocks}
    assert {node.row for node in result.graph.nodes} - {""} <= rows
    assert {node.container for node in result.graph.nodes} - {""} <= blocks
    assert all(block.repeat_of in blocks | {""} for block in result.graph.blocks)


@pytest.mark.parametrize("name", ["googlenet", "torchvision/googlenet", "googlenet-32", "inception-naive"])
def test_an_inception_block_has_four_branches_and_one_join(name: str) -> None:
    graph = analyze(name).graph
    joins = [node for node in graph.nodes if node.label == "concat"]
    assert len(joins) == 9
    for join in joins:
        before = [start for start, end in graph.edges if end == join.id]
        inside = {node.id for node in graph.nodes if node.container.startswith(join.container)}
        entries = {end for start, end in graph.edges if start not in inside and end in inside}
        sources = {start for start, end in graph.edges if start not in inside and end in inside}
        assert len(before) == 4
        assert len(entries) == 4
        assert len(sources) == 1
        assert join.output_shape[0] == sum(graph.nodes[i].output_shape[0] for i in before)


def test_a_residual_block_skips() -> None:
    graph = analyze("resnet18-32").graph
    joins = [node for node in graph.nodes if node.label == "add"]
    assert len(joins) == 8
    assert all(sum(end == join.id for _, end in graph.edges) == 2 for join in joins)


@pytest.mark.parametrize(
    ("name", "first", "repeats"),
    [
        ("torchvision/resnet50", "layer1.1", 2),
        ("torchvision/resnet50", "layer3.1", 5),
        ("torchvision/resnet18", "layer1.0", 2),
        ("torchvision/vit_b_16", "encoder.layers.encoder_layer_0", 12),
        ("torchvision/convnext_tiny", "features.5.0", 9),
    ],
)
def test_repeated_blocks_are_recognised(name: str, first: str, repeats: int) -> None:
    blocks = analyze(name).graph.blocks
    leader = next(block for block in blocks if block.name == first)
    assert (leader.repeats, leader.repeat_of) == (repeats, "")
    assert sum(block.repeat_of == first for block in blocks) == repeats - 1


def test_unequal_blocks_are_not_repeats() -> None:
    assert all(block.repeats == 1 for block in analyze("googlenet").graph.blocks)


def test_auxiliary_heads_hang_where_they_belong() -> None:
    graph = analyze("googlenet-aux").graph
    late = [node for node in graph.nodes if node.training_only]
    entries = {
        (graph.nodes[start].container, graph.nodes[end].container)
        for start, end in graph.edges
        if not graph.nodes[start].training_only and graph.nodes[end].training_only
    }
    assert {node.container for node in late} == {"aux1", "aux2"}
    assert entries == {("inception_4a", "aux1"), ("inception_4d", "aux2")}
