"""The layout of the module graph, as pure functions in a browser: nothing overlaps, everything leads on."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from cnnviz.analysis import analyze
from cnnviz.ui.components.networks import BUDGET, GRAPH, GRAPH_SCRIPTS, payload

MODELS = (
    "lenet5",
    "googlenet",
    "googlenet-aux",
    "torchvision/inception_v3",
    "torchvision/resnet50",
    "torchvision/densenet121",
    "torchvision/swin_t",
    "torchvision/efficientnet_v2_l",
)
WINDOWS = ((1200, 560), (330, 560))
LAY_OUT = """({ data, how, width, height }) => {
  const graph = readGraph(data);
  const first = firstSight(graph, data.budget, width, height);
  const all = graph.containers.map(({ id }) => id);
  const everything = { open: new Set(all), unfolded: new Set(graph.runs.keys()) };
  const state = how === "all" ? everything : first.state;
  const picture = layoutGraph(graph, state, first.limit);
  return { ...picture, names: graph.containers.map(({ name }) => name), scale: first.scale };
}"""


@pytest.fixture(scope="module")
def scripts(chromium: Browser) -> Iterator[Page]:
    """A page that holds the component's functions and nothing else."""
    page = chromium.new_page()
    parts = [(GRAPH / f"{name}.js").read_text(encoding="utf-8") for name in GRAPH_SCRIPTS if name != "main"]
    page.add_script_tag(content="\n".join(parts))
    yield page
    page.close()


def lay_out(page: Page, model: str, how: str = "first", window: tuple[int, int] = WINDOWS[0]) -> Any:
    data = payload(analyze(model).graph) | {"budget": BUDGET}
    width, height = window
    return page.evaluate(LAY_OUT, {"data": data, "how": how, "width": width, "height": height})


def apart(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Whether two boxes have no point in common."""
    beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
    return bool(beside or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"])


def inside(inner: dict[str, Any], outer: dict[str, Any]) -> bool:
    """Whether one box lies in another."""
    across = outer["x"] <= inner["x"] and inner["x"] + inner["w"] <= outer["x"] + outer["w"]
    return bool(across and outer["y"] <= inner["y"] and inner["y"] + inner["h"] <= outer["y"] + outer["h"])


@pytest.mark.parametrize("how", ["first", "all"])
@pytest.mark.parametrize("model", MODELS)
def test_boxes_lie_apart_and_inside_their_container(scripts: Page, model: str, how: str) -> None:
    items = lay_out(scripts, model, how)["items"]
    boxes = {item["id"]: item for item in items}
    siblings: dict[int, list[dict[str, Any]]] = {}
    for item in items:
        siblings.setdefault(item["parent"], []).append(item)
        if item["parent"] >= 0:
            assert inside(item, boxes[f"c{item['parent']}"]), item
    for level in siblings.values():
        for i, one in enumerate(level):
            assert all(apart(one, other) for other in level[i + 1 :]), one


@pytest.mark.parametrize("how", ["first", "all"])
@pytest.mark.parametrize("model", MODELS)
def test_lines_lead_from_rank_to_rank_and_end_at_boxes(scripts: Page, model: str, how: str) -> None:
    drawn = lay_out(scripts, model, how)
    boxes = {item["id"]: item for item in drawn["items"]}
    ends = 0
    for line in drawn["lines"]:
        start, end = boxes.get(line["from"]), boxes.get(line["to"])
        if start and end:
            assert start["rank"] < end["rank"]
        if end:
            x, y = line["points"][-1]
            assert y == pytest.approx(end["y"])
            assert end["x"] <= x <= end["x"] + end["w"]
            ends += 1
    assert ends >= len(boxes) - 1


@pytest.mark.parametrize("model", MODELS)
def test_with_everything_open_every_edge_is_there(scripts: Page, model: str) -> None:
    edges = analyze(model).graph.edges
    links = {tuple(link) for link in lay_out(scripts, model, "all")["links"]}
    assert links == {(f"n{start}", f"n{end}") for start, end in edges}


@pytest.mark.parametrize("window", WINDOWS, ids=["desktop", "phone"])
@pytest.mark.parametrize("model", MODELS)
def test_the_first_view_is_never_too_much(scripts: Page, model: str, window: tuple[int, int]) -> None:
    items = lay_out(scripts, model, window=window)["items"]
    assert 3 <= sum(item["type"] != "open" for item in items) <= BUDGET


@pytest.mark.parametrize("model", ["lenet5", "googlenet", "torchvision/resnet50"])
def test_the_first_view_fits_a_desktop_and_can_be_read(scripts: Page, model: str) -> None:
    drawn = lay_out(scripts, model)
    assert drawn["scale"] >= 0.72
    assert drawn["w"] * drawn["scale"] <= WINDOWS[0][0] + 1
    assert drawn["h"] * drawn["scale"] <= WINDOWS[0][1] + 1


@pytest.mark.parametrize("how", ["first", "all"])
def test_the_four_branches_stand_side_by_side_above_their_concatenation(scripts: Page, how: str) -> None:
    drawn = lay_out(scripts, "googlenet", how)
    names = {f"c{number}": name for number, name in enumerate(drawn["names"])}
    branches = {
        names[item["id"]].rpartition(".")[2]: item
        for item in drawn["items"]
        if names.get(item["id"], "").startswith("inception_3a.")
    }
    assert set(branches) == {"branch1", "branch3", "branch5", "branch_pool"}
    assert len({item["rank"] for item in branches.values()}) == 1
    columns = sorted((item["x"], item["x"] + item["w"]) for item in branches.values())
    assert all(end <= start for (_, end), (start, _) in pairwise(columns))
    (concat,) = [item for item in drawn["items"] if item["name"] == "inception_3a" and item["type"] == "node"]
    assert concat["y"] >= max(item["y"] + item["h"] for item in branches.values())
    into = [line for line in drawn["lines"] if line["to"] == concat["id"]]
    assert {line["from"] for line in into} == {item["id"] for item in branches.values()}


def test_a_row_of_equal_blocks_is_one_box_that_says_how_many(scripts: Page) -> None:
    items = lay_out(scripts, "torchvision/resnet50")["items"]
    repeats = {item["name"]: item["repeats"] for item in items if item["repeats"] > 1}
    assert repeats == {"layer1.1": 2, "layer2.1": 3, "layer3.1": 5, "layer4.1": 2}
    assert "layer3.3" not in {item["name"] for item in items}


def test_what_only_training_uses_is_marked(scripts: Page) -> None:
    items = lay_out(scripts, "googlenet-aux")["items"]
    assert {item["name"] for item in items if item["training"] and item["type"] == "closed"} == {
        "aux1",
        "aux2",
    }


@pytest.mark.parametrize("model", ["googlenet", "torchvision/resnet50", "torchvision/efficientnet_v2_l"])
def test_a_hidden_row_can_always_be_revealed(scripts: Page, model: str) -> None:
    data = payload(analyze(model).graph) | {"budget": BUDGET}
    hidden = scripts.evaluate(
        """data => {
          const graph = readGraph(data);
          const { state } = firstSight(graph, data.budget, 1200, 560);
          return graph.nodes.filter(({ row }) => row !== null).map(({ row }) => row).filter((row) => {
            const { levels } = visibleGraph(graph, revealRow(graph, state, row));
            const shown = new Set([...levels.values()].flatMap(({ ids }) => ids));
            return !graph.nodes.some((node) => node.row === row && shown.has(`n${node.id}`));
          });
        }""",
        data,
    )
    assert hidden == []


def test_positions_come_nearest_to_what_is_wanted(scripts: Page) -> None:
    assert scripts.evaluate("spread([0, 0], [10])") == [-5, 5]
    assert scripts.evaluate("spread([0, 30, 40], [10, 20])") == [0, 25, 45]
    assert scripts.evaluate("spread([0, 0], [10], [9, 1])") == [-1, 9]


def test_crossings_are_counted_and_undone(scripts: Page) -> None:
    assert scripts.evaluate("crossings([['a', 'b'], ['c', 'd']], [['a', 'd'], ['b', 'c']])") == 1
    layers = scripts.evaluate("untangle([['a', 'b'], ['c', 'd']], [['a', 'd'], ['b', 'c']])")
    assert layers in ([["a", "b"], ["d", "c"]], [["b", "a"], ["c", "d"]])


def test_a_container_that_is_left_and_entered_again_still_has_ranks(scripts: Page) -> None:
    ranked = scripts.evaluate("rankLevel(['a', 'b'], [['a', 'b'], ['b', 'a']])")
    assert ranked["layers"] == [["a"], ["b"]]
    assert any(route["back"] for route in ranked["routes"])
