"""Where recipes differ."""

from typing import Any

import pytest

from cnnviz.training.recipe import Recipe, differing, value_text


def dumped(**changes: Any) -> dict[str, Any]:
    return Recipe(name="untitled").changed(changes).model_dump(mode="json")


def test_only_what_differs_in_the_order_of_fields() -> None:
    result = differing([dumped(lr=0.1, seed=1), dumped(lr=0.1, seed=2, epochs=3), dumped(lr=0.2, seed=1)])
    assert [(part.field, part.values) for part in result] == [
        ("epochs", (10, 3, 10)),
        ("lr", (0.1, 0.1, 0.2)),
        ("seed", (1, 2, 1)),
    ]
    assert result[1].description == Recipe.model_fields["lr"].description


def test_names_are_no_difference_and_one_recipe_has_none() -> None:
    assert differing([dumped(name="a"), dumped(name="b", description="c")]) == []
    assert differing([dumped()]) == []
    assert differing([]) == []


def test_an_older_recipe_has_the_defaults_of_newer_fields() -> None:
    old = dumped()
    del old["compile"]
    assert differing([old, dumped()]) == []
    assert [part.field for part in differing([old | {"bygone": 1}, dumped()])] == ["bygone"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "—"),
        (True, "yes"),
        (False, "no"),
        (0, "0"),
        (0.0005, "0.0005"),
        (50_000, "50,000"),
        ("sgd", "sgd"),
        ({}, "—"),
        ({"activation": "tanh", "flip": True}, "activation tanh, flip yes"),
        ({"layers": [1, 2]}, "a list of 2 layers"),
    ],
)
def test_values_in_words(value: Any, text: str) -> None:
    assert value_text(value) == text
