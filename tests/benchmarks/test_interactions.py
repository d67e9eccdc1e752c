"""What a table of interactions says of its aims."""

from benchmarks.interactions import FIELD, NAVIGATION, line, quantile


def test_the_quantile_that_an_aim_names_decides() -> None:
    seconds = [0.2] * 19 + [5.0]
    assert quantile(seconds, 0.5) == 0.2
    assert quantile([float(n) for n in range(101)], 0.95) == 95
    assert line(FIELD, seconds).endswith("20   median ≤ 0.3 s: reached")
    assert line(NAVIGATION, [0.5, 0.6, 3.0]).endswith("3   p95 ≤ 1 s: missed")
