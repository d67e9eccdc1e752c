"""Two architectures aligned: what must hold for any two, and cases whose answer a person knows."""

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnviz.analysis.diff import Change, Diff, diff_rows
from cnnviz.analysis.types import Kind, Row

TYPES: dict[str, Kind] = {
    "Conv2d": "conv",
    "Linear": "fc",
    "BatchNorm2d": "norm",
    "MaxPool2d": "pool",
    "AvgPool2d": "pool",
    "ReLU": "activation",
    "Tanh": "activation",
    "Flatten": "other",
    "Dropout": "other",
}


def row(type_: str, name: str = "", takes: int = 3, params: int = 0, **settings: object) -> Row:
    return Row(name, type_, TYPES[type_], (takes, 8, 8), (takes, 8, 8), {"in": takes, **settings}, params)


def conv(out: int, kernel: int = 3, takes: int = 3, name: str = "") -> Row:
    return row("Conv2d", name, takes, out * (takes * kernel**2 + 1), out=out, kernel=(kernel, kernel))


rows = st.builds(
    lambda type_, name, takes, setting: row(type_, name, takes, takes * setting, kernel=setting),
    st.sampled_from(list(TYPES)),
    st.text("abc", max_size=2),
    st.integers(1, 2),
    st.integers(1, 3),
)
networks = st.lists(rows, max_size=12).map(tuple)


def statuses(found: Diff) -> str:
    return "".join(
        {"same": "=", "changed": "~", "added": "+", "removed": "-"}[c.status] for c in found.changes
    )


@given(networks)
def test_a_network_is_the_same_as_itself(network: tuple[Row, ...]) -> None:
    assert [(c.status, c.a, c.b) for c in diff_rows(network, network).changes] == [
        ("same", row, row) for row in network
    ]


@given(networks)
def test_names_are_no_change(network: tuple[Row, ...]) -> None:
    numbers = count()
    renamed = tuple(
        Row(f"n{next(numbers)}", r.type, r.kind, r.input_shape, r.output_shape, r.settings, r.trainable)
        for r in network
    )
    assert diff_rows(network, renamed).differences == ()


@given(networks, networks)
def test_every_row_stands_once_in_its_order(a: tuple[Row, ...], b: tuple[Row, ...]) -> None:
    changes = diff_rows(a, b).changes
    # By identity: equal rows are not the same row.
    assert [id(c.a) for c in changes if c.a is not None] == [id(r) for r in a]
    assert [id(c.b) for c in changes if c.b is not None] == [id(r) for r in b]
    assert all((c.a is None, c.b is None) == (c.status == "added", c.status == "removed") for c in changes)


@given(networks, networks)
def test_swapping_the_sides_swaps_added_and_removed(a: tuple[Row, ...], b: tuple[Row, ...]) -> None:
    forth, back = diff_rows(a, b), diff_rows(b, a)
    assert forth.counts == {**back.counts, "added": back.counts["removed"], "removed": back.counts["added"]}
    paired = [(c.a, c.b) for c in forth.changes if c.a is not None and c.b is not None]
    assert paired == [(c.b, c.a) for c in back.changes if c.a is not None and c.b is not None]


@given(networks, networks)
def test_only_rows_of_one_kind_are_paired_and_a_change_is_told(
    a: tuple[Row, ...], b: tuple[Row, ...]
) -> None:
    for change in diff_rows(a, b).changes:
        if change.a is not None and change.b is not None:
            assert change.a.kind == change.b.kind
            assert change.a.kind != "other" or change.a.type == change.b.type
        assert bool(change.details) == (change.status == "changed")


@given(networks, st.integers(0, 12), rows)
def test_one_more_layer_is_one_added(network: tuple[Row, ...], place: int, new: Row) -> None:
    longer = (*network[:place], new, *network[place:])
    assert diff_rows(network, longer).counts == {
        "same": len(network), "changed": 0, "added": 1, "removed": 0,
    }  # fmt: skip


def test_settings_are_told_in_words() -> None:
    change = diff_rows([conv(96, 4)], [conv(64, 7)]).changes[0]
    assert (change.status, change.details) == ("changed", ("kernel 4 → 7", "maps 96 → 64"))


@pytest.mark.parametrize(
    ("before", "after", "details"),
    [
        (row("ReLU"), row("Tanh"), ("ReLU → Tanh",)),
        (row("Linear", out=4096), row("Linear", out=10), ("units 4,096 → 10",)),
        (row("Conv2d", kernel=(1, 7)), row("Conv2d", kernel=(7, 1)), ("kernel 1×7 → 7×1",)),
        (row("Conv2d", bias=True), row("Conv2d", bias=False), ("bias yes → no",)),
        (row("MaxPool2d"), row("MaxPool2d", padding=[1, 1]), ("padding 0 → 1",)),
        (row("Dropout", p=0.5), row("Dropout", p=0.25), ("p 0.5 → 0.25",)),
        (conv(32, takes=96), conv(32, takes=64), ("takes 96 → 64 maps",)),
        (row("BatchNorm2d", params=4), row("BatchNorm2d", params=0), ("parameters 4 → 0",)),
    ],
)
def test_each_kind_of_change(before: Row, after: Row, details: tuple[str, ...]) -> None:
    assert diff_rows([before], [after]).changes == (Change("changed", before, after, details),)


def test_a_window_given_as_one_number_is_the_same_as_given_as_two() -> None:
    assert statuses(diff_rows([row("MaxPool2d", kernel=3)], [row("MaxPool2d", kernel=[3, 3])])) == "="


def test_larger_maps_are_a_consequence() -> None:
    small = Row("r", "ReLU", "activation", (3, 8, 8), (3, 8, 8))
    large = Row("r", "ReLU", "activation", (64, 16, 16), (64, 16, 16))
    assert statuses(diff_rows([small], [large])) == "="


def test_an_inserted_pair_stays_together() -> None:
    relu = row("ReLU")
    before = [conv(64), relu, conv(128, takes=64), relu, row("Flatten")]
    after = [conv(64), relu, conv(99, 5, takes=64), relu, conv(128, takes=99), relu, row("Flatten")]
    assert statuses(diff_rows(before, after)) == "==++~=="


def test_a_layer_that_became_another_kind_is_one_less_and_one_more() -> None:
    assert sorted(statuses(diff_rows([row("MaxPool2d")], [conv(8)]))) == ["+", "-"]


def test_the_row_of_a_line_is_the_later_one() -> None:
    a, b = conv(8), conv(9)
    assert Change("changed", a, b).row is b
    assert Change("removed", a, None).row is a
