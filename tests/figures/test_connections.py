"""The connection table of LeNet's C3 is the paper's."""

from collections import Counter
from xml.etree import ElementTree

from cnnviz.figures.architecture import connections_svg, connections_words
from cnnviz.models.families.lenet import C3_CONNECTIONS

NAMESPACE = "{http://www.w3.org/2000/svg}"


def test_one_cell_for_each_pair_and_as_many_filled_as_c3_has_kernels() -> None:
    root = ElementTree.fromstring(connections_svg(C3_CONNECTIONS, 6, "words"))
    cells = Counter(cell.attrib["class"] for cell in root.findall(f"{NAMESPACE}rect"))
    assert sum(cells.values()) == 16 * 6
    assert cells["seen"] == 60 == (1516 - 16) // 25


def test_words_count_what_the_paper_counts() -> None:
    assert connections_words(C3_CONNECTIONS, 6) == "Of 16 maps over 6 inputs, 6 see 3, 9 see 4, 1 see 6."
