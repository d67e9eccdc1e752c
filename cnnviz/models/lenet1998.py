"""What LeNet-5 of 1998 fixes by hand: which maps C3 sees, and the pictures its outputs aim at.

No torch here, so that both can be drawn at once.
"""

from __future__ import annotations

C3_CONNECTIONS: tuple[tuple[int, ...], ...] = (
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5),
    (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5),
    (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)  # fmt: skip
"""For each of C3's 16 maps, the maps of S2 that it sees (LeCun et al., 1998, table I). "Contiguous" is meant
around the circle: 5 and 0 are neighbours."""

_DRAWN = """
.#####. ...#... .#####. .#####. #....#. ####### ..####. ####### .#####. .#####.
##...## ..##... ##...## ##...## #....#. #...... .##.... .....## ##...## ##...##
#.....# .###... #.....# #.....# #....#. #...... ##..... .....#. #.....# #.....#
#.....# ...#... ......# ......# #....#. #...... #...... ....##. #.....# #.....#
#.....# ...#... .....## .....## #....#. #####.. #.####. ....#.. ##...## ##...##
#.....# ...#... ....##. ..####. #....#. ....##. ###..## ...##.. .#####. .######
#.....# ...#... ...##.. .....## ####### .....## ##....# ...#... .#####. ......#
#.....# ...#... ..##... ......# .....#. ......# #.....# ..##... ##...## ......#
#.....# ...#... .##.... ......# .....#. ......# #.....# ..#.... #.....# .....##
#.....# ...#... ##..... #.....# .....#. #.....# #.....# .##.... #.....# ....##.
##...## ...#... #...... ##...## .....#. ##...## ##...## .#..... ##...## ..###..
.#####. .#####. ####### .#####. .....#. .#####. .#####. ##..... .#####. ###....
"""

DIGIT_ROWS, DIGIT_COLUMNS = 12, 7


def digit_bitmap(digit: int) -> tuple[tuple[int, ...], ...]:
    """The picture that stands for `digit`, 12 rows of 7 values, ink +1 and paper −1.

    The article of 1998 shows such pictures but does not print their values; these are drawn by us.
    """
    rows = [line.split()[digit] for line in _DRAWN.split("\n") if line]
    return tuple(tuple(1 if mark == "#" else -1 for mark in row) for row in rows)
