"""A mosaic shows every value at the place that it says."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cnnviz.interpret import InterpretError
from cnnviz.interpret.colormaps import (
    DIVERGING,
    NONFINITE,
    SEQUENTIAL,
    STEPS,
    apply_colormap,
    gradient_stops,
    srgb_to_oklab,
)
from cnnviz.interpret.mosaic import ORDERS, Floats, flag_channels, limits, mosaic, order_channels, pack_maps


def random_maps(shape: tuple[int, int, int], seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 7), st.integers(1, 7)),
    order=st.sampled_from(ORDERS),
    zoom=st.integers(1, 3),
    gap=st.integers(0, 2),
    side=st.integers(2, 8),
    columns=st.none() | st.integers(1, 9),
)
def test_every_pixel_is_the_value_it_says(
    shape: tuple[int, int, int], order: str, zoom: int, gap: int, side: int, columns: int | None
) -> None:
    maps = random_maps(shape)
    shown = mosaic(maps, order_channels(maps, order), "map", zoom=zoom, gap=gap, side=side, columns=columns)  # type: ignore[arg-type]
    seen = set()
    for row in range(shown.pixels.shape[0]):
        for column in range(shown.pixels.shape[1]):
            place = shown.locate(row, column)
            if place is None:
                continue
            channel = place[0]
            expected = apply_colormap(
                maps[place][None],
                shown.low[channel],
                shown.high[channel],
                DIVERGING["light"] if shown.diverging else SEQUENTIAL,
            )
            assert (shown.pixels[row, column] == expected[0]).all()
            seen.add(place)
            top, left, bottom, right = shown.box(channel)
            assert top <= row < bottom
            assert left <= column < right
    assert {channel for channel, _, _ in seen} == set(range(shape[0]))
    assert len(seen) == shape[0] * len(range(0, shape[1], shown.step)) * len(range(0, shape[2], shown.step))


def test_outside_and_gaps_are_nowhere() -> None:
    shown = mosaic(random_maps((3, 4, 4)), columns=2, gap=1)
    assert shown.pixels.shape == (9, 9, 3)
    assert shown.locate(4, 0) is None
    assert shown.locate(5, 5) is None
    assert shown.locate(-1, 0) is None
    assert shown.locate(0, 9) is None
    assert shown.locate(8, 3) == (2, 3, 3)


def test_ranges_of_map_layer_and_network() -> None:
    maps = np.stack([np.full((2, 2), 1), np.arange(4).reshape(2, 2)]).astype(np.float32)
    assert [values.tolist() for values in limits(maps, "map")] == [[1, 0], [1, 3]]
    assert [values.tolist() for values in limits(maps, "layer")] == [[0, 0], [3, 3]]
    assert [values.tolist() for values in limits(maps, "network", (-2, 9))] == [[-2, -2], [9, 9]]
    with pytest.raises(InterpretError, match="smallest and largest"):
        limits(maps, "network")
    with pytest.raises(InterpretError, match="map, layer or network"):
        limits(maps, "all")  # type: ignore[arg-type]


def test_negative_values_diverge_from_zero_in_the_middle() -> None:
    maps = np.array([[[-1, 0, 4]]], dtype=np.float32)
    shown = mosaic(maps, zoom=1)
    assert shown.diverging
    assert (shown.low[0], shown.high[0]) == (-4, 4)
    assert shown.pixels[0, 1].tolist() == [255, 255, 255]
    assert mosaic(maps, theme="dark").pixels[0, 1].tolist() == [0, 0, 0]
    assert not mosaic(np.abs(maps)).diverging
    assert mosaic(np.abs(maps), scale="diverging").diverging


def test_orders() -> None:
    base = random_maps((1, 5, 5))[0]
    noise = random_maps((1, 5, 5), 1)[0]
    maps = np.stack([base, 3 * noise, np.zeros_like(base), base * 2 + 1, noise + 0.1]).astype(np.float32)
    assert order_channels(maps).tolist() == [0, 1, 2, 3, 4]
    assert order_channels(maps, "activity").tolist() == np.argsort(-np.abs(maps).mean((1, 2))).tolist()
    assert order_channels(maps, "spread").tolist() == np.argsort(-maps.std((1, 2))).tolist()
    alike = order_channels(maps, "similarity").tolist()
    assert alike[-1] == 2
    assert abs(alike.index(0) - alike.index(3)) == 1
    assert abs(alike.index(1) - alike.index(4)) == 1
    with pytest.raises(InterpretError, match="index, activity, spread or similarity"):
        order_channels(maps, "size")  # type: ignore[arg-type]


@pytest.mark.parametrize("order", ORDERS)
def test_orders_of_few_constant_or_broken_maps(order: str) -> None:
    for maps in (np.zeros((3, 2, 2)), np.ones((1, 1, 1)), np.full((4, 2, 2), np.nan)):
        assert sorted(order_channels(maps.astype(np.float32), order).tolist()) == list(range(len(maps)))  # type: ignore[arg-type]


def test_what_is_not_a_number_has_a_colour_of_its_own() -> None:
    maps = np.array([[[np.nan, 1, np.inf]]], dtype=np.float32)
    shown = mosaic(maps)
    assert shown.pixels[0, 0].tolist() == list(NONFINITE)
    assert shown.pixels[0, 2].tolist() == list(NONFINITE)
    assert (shown.low[0], shown.high[0]) == (1, 1)
    assert flag_channels(maps).broken == (0,)


def test_lightness_rises_evenly_and_falls_evenly_from_zero() -> None:
    lightness = srgb_to_oklab(SEQUENTIAL)[:, 0]
    steps = np.diff(lightness)
    assert steps.min() > -0.002
    assert np.abs(lightness - np.linspace(lightness[0], lightness[-1], STEPS)).max() < 0.01
    for theme, sign in (("light", 1), ("dark", -1)):
        table = srgb_to_oklab(DIVERGING[theme])[:, 0] * sign  # type: ignore[index]
        assert table[STEPS // 2] == table.max()
        assert (np.diff(table[: STEPS // 2]) > -0.003).all()
        assert (np.diff(table[STEPS // 2 :]) < 0.003).all()
    assert len(gradient_stops(SEQUENTIAL)) == 9


def test_marks() -> None:
    high = np.full((2, 2), 1.7)
    maps = np.stack([np.zeros((2, 2)), -np.ones((2, 2)), high, high * [[1, -1], [1, -1]], high * 0.5])
    result = flag_channels(maps.astype(np.float32), "ScaledTanh")
    assert (result.dead, result.never_positive, result.saturated, result.broken) == ((0,), (1,), (2, 3), ())
    assert flag_channels(maps.astype(np.float32), "ReLU").saturated == ()
    assert flag_channels(np.full((1, 2, 2), 0.001, np.float32), "Sigmoid").saturated == ()


def test_buffers_are_as_exact_as_the_limit_allows() -> None:
    maps = random_maps((3, 8, 8))
    whole, half, some = pack_maps(maps), pack_maps(maps, 400), pack_maps(maps, 100)
    assert (np.frombuffer(whole.data, "<f4").reshape(whole.shape) == maps).all()
    assert (half.kind, half.step) == ("float16", 1)
    assert np.frombuffer(half.data, "<f2").reshape(half.shape) == pytest.approx(maps, rel=1e-3, abs=1e-6)
    assert np.frombuffer(some.data, "<f2").reshape(some.shape) == pytest.approx(
        maps[:, :: some.step, :: some.step], rel=1e-3, abs=1e-6
    )
    assert len(some.data) <= 100
    assert pack_maps(maps * 1e6, 400).kind == "float32"


def test_the_file_is_the_picture() -> None:
    shown = mosaic(random_maps((5, 6, 6)), zoom=2)
    assert (np.asarray(Image.open(io.BytesIO(shown.png()))) == shown.pixels).all()


def test_no_maps_are_refused() -> None:
    with pytest.raises(InterpretError, match="takes maps"):
        mosaic(np.zeros((0, 3, 3), np.float32))
