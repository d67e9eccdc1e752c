"""URL state of the Data page: data set, class, part, page, image, model and recipe.

A data set is given by name, never by path: a URL from someone else must not make this machine read files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import streamlit as st

from cnnviz import datasets, models, training
from cnnviz.datasets import Dataset, DatasetSpec
from cnnviz.datasets.summary import Summary
from cnnviz.figures import numbers
from cnnviz.models import Shape
from cnnviz.training import Recipe
from cnnviz.ui.shared import url_state
from cnnviz.ui.shared.url_state import SET, Selection, quoted

DEFAULT = "digits"
PLAIN = "plain"
"""Name in the URL of the recipe of all defaults."""
PARTS = {"train": "Training", "test": "Test"}


@dataclass(frozen=True)
class PageState:
    """URL state of the page. Numbers count from 0; class, image, model and recipe are optional."""

    spec: DatasetSpec
    label: str | None
    """Name of the selected class."""
    part: str
    page: int
    seed: int
    """Seed of the order of images."""
    draw: int
    """Seed of the random augmentations of the selected image."""
    image: int | None
    """Row of the selected image in the part."""
    model: Selection | None
    recipe: Recipe
    """The recipe with its changes."""
    recipe_name: str | None
    """None if the URL names none."""
    changed: Mapping[str, str]
    """Changed fields of the recipe, as text."""
    problems: tuple[str, ...]

    def input_shape(self, stored: Shape) -> Shape:
        """Return the model's input `(C, H, W)`: the selected model's, else the recipe's, else `stored`."""
        if self.model is not None:
            height, width = self.model.size or self.model.spec.input_shape[1:]
            return self.model.spec.input_shape[0], height, width
        if self.recipe_name in (None, PLAIN):
            return stored
        own = models.get(self.recipe.model).input_shape
        return (own[0], self.recipe.size, self.recipe.size) if self.recipe.size else own


def current() -> PageState:
    """Read the state from the page's URL; invalid parameters become problems."""
    given = st.query_params.to_dict()
    selection = url_state.current()
    problems = list(selection.problems)
    name, recipe, changed = _recipe(given, problems)
    spec = _spec(given.get("dataset"), recipe, problems)
    part, wrong = url_state.choice("part", tuple(PARTS), "train")
    return PageState(
        spec=spec,
        label=_label(given.get("class"), spec, problems),
        part=part,
        page=_number(given, "page", problems) or 0,
        seed=_number(given, "seed", problems) or 0,
        draw=_number(given, "draw", problems) or 0,
        image=_number(given, "image", problems),
        model=selection if "model" in given else None,
        recipe=recipe,
        recipe_name=name,
        changed=changed,
        problems=tuple([*problems, wrong] if wrong else problems),
    )


def _recipe(given: Mapping[str, str], problems: list[str]) -> tuple[str | None, Recipe, dict[str, str]]:
    """Return the named recipe with its changes; invalid changes become problems and are dropped."""
    name, recipe = given.get("recipe"), Recipe()
    if name not in (None, PLAIN):
        try:
            recipe = training.get(name)
        except ValueError:
            problems.append(f"There is no recipe {quoted(name)}; the plain one is shown instead.")
            name = None
    settings = {key.removeprefix(SET): text for key, text in given.items() if key.startswith(SET)}
    try:
        return name, recipe.changed(settings), settings
    except ValueError as error:
        problems.append(str(error))
    return name, recipe, {}


def _spec(name: str | None, recipe: Recipe, problems: list[str]) -> DatasetSpec:
    known = datasets.specs()
    if name is not None and name not in known:
        near = _nearest(name, known)
        problems.append(
            f"There is no data set {quoted(name)}{near}; {known[DEFAULT].title} is shown instead."
        )
        return known[DEFAULT]
    return known.get(name or recipe.dataset, known[DEFAULT])


def _nearest(name: str, known: Mapping[str, DatasetSpec]) -> str:
    from rapidfuzz import process

    near = process.extractOne(name, known.keys(), score_cutoff=60)
    return f" (did you mean {near[0]}?)" if near else ""


def _label(name: str | None, spec: DatasetSpec, problems: list[str]) -> str | None:
    if name is None or name in spec.classes:
        return name
    problems.append(f"{spec.title} has no class {quoted(name)}; all are shown.")
    return None


def _number(given: Mapping[str, str], name: str, problems: list[str]) -> int | None:
    text = given.get(name)
    if text is None or re.fullmatch(r"[0-9]{1,9}", text):
        return None if text is None else int(text)
    problems.append(f"{quoted(name)} cannot be {quoted(text)}, only a whole number from 0 on; it is ignored.")
    return None


def choose_data(name: str) -> None:
    """Select another data set, for use in callbacks; class, page and image are reset."""
    put(dataset=name, **{"class": None}, part=None, page=None, image=None)


def choose_class(name: str) -> None:
    """Select a class, or all of them for an empty `name`, for use in callbacks."""
    put(**{"class": name or None}, page=None, image=None)


def put(**changes: str | None) -> None:
    """Write to the URL, for use in callbacks. A model that is not in it is not added."""
    if "model" not in st.query_params:
        changes.setdefault("model", None)
    url_state.change(**changes)


# Facts of a data set.


def facts_html(facts: Sequence[tuple[str, str]]) -> str:
    """Return names and values as an HTML list; empty values are omitted."""
    lines = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts if value)
    return f'<dl class="facts">{lines}</dl>'


def provenance(spec: DatasetSpec, ready: Dataset) -> list[tuple[str, str]]:
    """Return where a data set comes from and how it was processed, as (name, value)."""
    return [
        *((("How it is split" if number == 0 else ""), note) for number, note in enumerate(ready.notes)),
        ("From", spec.origin),
        ("License", spec.licence),
        ("Described in", spec.citation),
        ("Fingerprint", f"{ready.fingerprint[:12]} … (all of it under Download)"),
    ]


def balance(summary: Summary, classes: Sequence[str]) -> str:
    """Describe the class balance of the training part in a sentence."""
    counts = summary.train_counts
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
    """Return the headline figures as (value, label, exact value in words)."""
    total = len(ready.train) + len(ready.test)
    channels, height, width = ready.shape
    decoded = total * channels * height * width
    color = "gray" if channels == 1 else "color"
    return [
        (numbers.exact(total), "images", f"{len(ready.train):,} to train and {len(ready.test):,} to test"),
        (numbers.exact(len(ready.classes)), "classes", ", ".join(ready.classes[:40])),
        (f"{height}×{width}", f"pixels, {color}", f"{numbers.shape(ready.shape)}: channels, height, width"),
        (numbers.exact(len(ready.train)), "to train", spec.split),
        (numbers.exact(len(ready.test)), "to test", spec.split),
        (
            numbers.size(decoded),
            "as it streams" if ready.streams else "decoded",
            f"{decoded:,} bytes, one a channel of a pixel",
        ),
    ]
