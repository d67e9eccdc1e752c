"""Layer lists as documents: what is written is read back; what cannot be read is answered in a sentence."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from cnnviz.models.layers import KINDS, Conv, Flatten, LayerList, Linear
from cnnviz.models.layers.layer_list import MAX_PARAMS, RESERVED_NAMES, module_from
from tests.models.test_layer_shapes import layers

names = st.none() | st.from_regex(r"[A-Za-z][A-Za-z0-9_\-]{0,9}", fullmatch=True).filter(
    lambda name: name not in RESERVED_NAMES
)
documents = st.builds(
    LayerList,
    name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9 _.\-]{0,20}", fullmatch=True),
    description=st.text(max_size=50),
    input=st.tuples(st.integers(1, 64), st.integers(1, 1024), st.integers(1, 1024)),
    classes=st.integers(1, 100_000),
    layers=st.lists(
        st.tuples(layers, names).map(lambda pair: pair[0].model_copy(update={"name": pair[1]})),
        max_size=6,
        unique_by=lambda layer: layer.name or id(layer),
    ).map(tuple),
)


@given(documents)
def test_what_is_written_is_read_back(document: LayerList) -> None:
    assert LayerList.read(document.write()) == document
    assert LayerList.read(document.write().encode()) == document


def test_a_written_document_is_short_and_says_its_format() -> None:
    document = LayerList(name="two", input=(1, 8, 8), layers=(Flatten(), Linear()))
    assert json.loads(document.write()) == {
        "format": "cnnviz-layers/1",
        "name": "two",
        "input": [1, 8, 8],
        "layers": [{"kind": "flatten"}, {"kind": "linear"}],
    }


PLAIN: dict[str, Any] = {"input": [3, 32, 32], "layers": [{"kind": "flatten"}, {"kind": "linear"}]}


def with_layer(**fields: Any) -> str:
    return json.dumps({**PLAIN, "layers": [fields]})


def but(**fields: Any) -> str:
    return json.dumps({**PLAIN, **fields})


HOSTILE: dict[str, tuple[str | bytes, str]] = {
    "nothing": ("", "not JSON"),
    "bytes that are no text": (b"\xff\xfe\x00", "not JSON"),
    "deep nesting": ("[" * 100_000, "recursion limit"),
    "deep nesting of objects": ('{"a":' * 5_000, "recursion limit"),
    "nesting that JSON allows": (
        but(layers=json.loads("[" * 90 + "]" * 90)),
        "at layer 1: input should be an object",
    ),
    "a list": ("[]", "input should be an object"),
    "a number of 5,000 digits": ('{"classes":' + "9" * 5_000 + "}", "number out of range"),
    "a number of 31 digits": (but(classes=10**30), "'classes': input should be less than or equal to 100000"),
    "infinity": ('{"input":[3,32,32],"classes":1e400}', "'classes': input should be a finite number"),
    "not a number": (
        '{"input":[3,32,32],"layers":[{"kind":"dropout","p":NaN}]}',
        "'p' of layer 1: input should be",
    ),
    "a bias that is no number": (with_layer(kind="conv", init={"bias": float("nan")}), "'bias' of layer 1"),
    "thousands of layers": (but(layers=[{"kind": "flatten"}] * 5_000), "at most 500 layers, not 5,000"),
    "megabytes": (" " * 2_000_000, "at most 1,000 kB long, not 2,000 kB"),
    "an unknown kind": (with_layer(kind="x" * 9_999), "at layer 1: there is no kind 'xxx"),
    "a kind that is a list": (
        with_layer(kind=["conv"]),
        "there is no kind ['conv']; the kinds are conv, pool",
    ),
    "no kind": (but(layers=[{}]), "'kind' is missing; the kinds are conv, pool"),
    "a layer that is a number": (but(layers=[3]), "at layer 1: input should be an object, not 3"),
    "an unknown field": (but(**{"y" * 9_999: 1}), "there is no such setting"),
    "an unknown setting": (
        with_layer(kind="conv", code="1"),
        "at 'code' of layer 1: there is no such setting",
    ),
    "a kernel of 0": (with_layer(kind="conv", kernel=0), "'kernel' of layer 1: input should be greater"),
    "half a kernel of 0": (
        with_layer(kind="conv", kernel=[3, 0]),
        "'kernel' of layer 1: input should be greater",
    ),
    "a kernel of three": (
        with_layer(kind="pool", kernel=[3, 3, 3]),
        "it should be a number or a pair of numbers",
    ),
    "a width of words": (
        with_layer(kind="linear", out="many"),
        "a number, or 'classes' in a fully connected",
    ),
    "a width of billions": (
        with_layer(kind="conv", out=10**9),
        "less than or equal to 65536, not 1000000000",
    ),
    "an unknown start": (
        with_layer(kind="conv", init={"weights": "x"}),
        "'weights' of layer 1: input should be",
    ),
    "one name twice": (
        but(layers=[{"kind": "flatten", "name": "a"}] * 2),
        "'a' stands at more than one layer",
    ),
    "a method's name": (with_layer(kind="flatten", name="forward"), "cannot be called 'forward'"),
    "a name with a dot": (with_layer(kind="flatten", name="a.b"), "it should be letters, digits, - and _"),
    "markup for a name": (but(name="<script>"), "at 'name': it should be letters, digits"),
    "another format": (but(format="cnnviz-layers/9"), "'format': input should be 'cnnviz-layers/1'"),
    "no input": ('{"layers":[]}', "'input': it is missing"),
    "two sides": (but(input=[3, 32]), "three numbers: channels, height and width"),
    "too many pixels": (but(input=[3, 32, 99_999]), "'input': input should be less than or equal to 1024"),
    "layers in an object": (but(layers={"a": 1}), "'layers': input should be a valid array"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_document_that_cannot_be_read_is_answered_in_one_sentence(what: str) -> None:
    text, part = HOSTILE[what]
    with pytest.raises(ValueError, match="layer list") as refused:
        LayerList.read(text)
    sentence = str(refused.value)
    assert part in sentence
    assert len(sentence) < 400
    assert sentence.endswith(".")
    assert "\n" not in sentence


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(sorted(KINDS)),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["kind", "kernel", "out", "init", "name", "p"]) | st.text(), inner)
    ),
)


@given(st.text() | st.binary() | json_values.map(json.dumps))
def test_anything_at_all_is_read_or_refused(text: str | bytes) -> None:
    with pytest.raises(ValueError, match="layer list"):
        LayerList.read(text)


@given(
    st.sampled_from(sorted(KINDS)),
    st.dictionaries(st.sampled_from(["kernel", "out", "init", "p"]), json_values),
)
def test_any_setting_at_all_is_read_or_refused(kind: str, settings: dict[str, Any]) -> None:
    text = json.dumps({"input": [3, 8, 8], "layers": [{"kind": kind, **settings}]})
    try:
        document = LayerList.read(text)
    except ValueError as error:
        refused = str(error)
    else:
        refused = ""
        assert document.layers[0].kind == kind
    assert not refused or "at layer 1" in refused or "of layer 1" in refused or "not JSON" in refused


@pytest.mark.parametrize(
    ("document", "part"),
    [
        (
            but(layers=[{"kind": "flatten"}, *[{"kind": "linear", "out": 65_536}] * 3, {"kind": "linear"}]),
            "Layer 'linear2': with it the list has 4,496,424,960 parameters; at most 2,000,000,000 are",
        ),
        (
            but(input=[64, 1024, 1024], layers=[{"kind": "conv", "out": 65_536, "kernel": 1}]),
            "values to keep",
        ),
        (but(layers=[{"kind": "resize", "size": 1024}] * 500), "values to keep for one image"),
        (
            but(
                input=[1, 1024, 1024],
                layers=[{"kind": "conv", "out": 1, "kernel": 1023, "padding": 511}] * 20,
            ),
            "multiply-adds for one image",
        ),
    ],
)
def test_what_no_machine_could_run_is_told_without_building_it(document: str, part: str) -> None:
    layers = LayerList.read(document)
    assert part in layers.problem()
    with pytest.raises(ValueError, match=part):
        module_from(layers)


def test_the_bound_on_parameters_is_on_the_sum() -> None:
    wide = Linear(out=40_000)
    document = LayerList(input=(1, 200, 200), layers=(Flatten(), wide, Linear()))
    assert 40_000**2 < MAX_PARAMS < 2 * 40_000**2
    assert not document.problem()
    assert (
        "are allowed" in document.model_copy(update={"layers": (Flatten(), wide, wide, Linear())}).problem()
    )


def test_no_name_hides_what_a_container_needs() -> None:
    assert {name for name in dir(nn.Sequential()) if not name.startswith("_")} <= RESERVED_NAMES


def test_layers_without_a_name_get_one_that_is_free() -> None:
    document = LayerList(input=(1, 8, 8), layers=(Conv(), Conv(name="conv1"), Conv(), Flatten(), Linear()))
    assert document.names() == ["conv2", "conv1", "conv3", "flatten1", "linear1"]


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ((), "The list is empty; add a first layer."),
        (
            (Conv(out=4),),
            "The list ends in 4×6×6, but a classifier ends in a vector of 10 classes; end with a "
            "fully connected layer of width 'classes'.",
        ),
        (
            (Flatten(), Linear(out=7)),
            "The list ends in 7, but a classifier ends in a vector of 10 classes; end "
            "with a fully connected layer of width 'classes'.",
        ),
        (
            (Flatten(), Conv()),
            "Layer 'conv1': Convolution needs maps (channels × height × width), but a vector of "
            "64 comes in; put it before the flatten layer.",
        ),
        (
            (Conv(kernel=9),),
            "Layer 'conv1': A 9×9 window does not fit maps of 8×8; a kernel of at "
            "most 8 or a padding of at least 1 would.",
        ),
    ],
)
def test_why_a_list_cannot_be_built(parts: tuple[Any, ...], sentence: str) -> None:
    assert LayerList(input=(1, 8, 8), layers=parts).problem() == sentence


def test_the_steps_after_a_misfit_have_no_shapes() -> None:
    steps = list(LayerList(input=(1, 8, 8), layers=(Conv(out=2), Linear(), Flatten())).steps())
    assert [step.output_shape for step in steps] == [(2, 6, 6), None, None]
    assert [bool(step.problem) for step in steps] == [False, True, False]
