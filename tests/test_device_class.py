"""Which devices of a machine a run gets, by the class that it asks for."""

from __future__ import annotations

import pytest

from cnnviz.device_class import choose, class_of, classes_of, describe, ranks

TWO_GPUS = ("cpu", "cuda:0", "cuda:1")


@pytest.mark.parametrize(
    ("wanted", "free", "chosen"),
    [
        ("any", ("cpu",), ("cpu",)),
        ("any", TWO_GPUS, ("cuda:0",)),
        ("any", ("cpu", "cuda:1"), ("cuda:1",)),
        ("cpu", TWO_GPUS, ("cpu",)),
        ("cpu:2", ("cpu",), ("cpu",)),
        ("gpu", ("cpu",), None),
        ("gpu", ("cpu", "mps"), ("mps",)),
        ("gpu:2", TWO_GPUS, ("cuda:0", "cuda:1")),
        ("gpu:2", ("cpu", "cuda:1"), None),
        ("gpu:4", TWO_GPUS, None),
        ("cuda:1", TWO_GPUS, ("cuda:1",)),
        ("cuda:7", TWO_GPUS, None),
    ],
)
def test_a_class_gets_devices_that_are_free(
    wanted: str, free: tuple[str, ...], chosen: tuple[str, ...] | None
) -> None:
    assert choose(wanted, free, TWO_GPUS if len(free) > 1 else free) == chosen


def test_any_device_is_no_cpu_where_there_is_a_gpu_that_is_taken() -> None:
    assert choose("any", ("cpu",), TWO_GPUS) is None


def test_a_recipe_s_device_has_a_class_and_a_device_serves_classes() -> None:
    assert [class_of(name) for name in ("auto", "cuda", "cuda:0", "cuda:3", "gpu:4", "cpu:1")] == [
        "any", "gpu", "gpu", "cuda:3", "gpu:4", "cpu",
    ]  # fmt: skip
    assert classes_of("cpu") == ("any", "cpu")
    assert classes_of("cuda:1") == ("any", "gpu", "cuda:1")
    assert classes_of("cuda:0,cuda:1") == ("gpu:2",)
    assert (ranks("gpu:4"), ranks("cpu:2"), ranks("cuda:3"), ranks("any")) == (4, 2, 1, 1)
    assert (describe(TWO_GPUS), describe(()), describe(("cpu", "mps"))) == (
        "CPU and 2 GPUs", "no device", "CPU and 1 GPU",
    )  # fmt: skip
