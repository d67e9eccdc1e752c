"""What the documents show: links lead somewhere, pictures are there, addresses open, figures are counted."""

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from cnnviz import models
from cnnviz.analysis import analyze
from cnnviz.analysis.core import analyze_fitting
from cnnviz.analysis.types import Analysis
from cnnviz.figures import numbers
from cnnviz.ui.pages import compare
from cnnviz.ui.shared import url_state
from cnnviz.ui.shared.layout import find_pages
from tests.browser.pictures import FOLDER, MOVING, PICTURES, Picture, strided

ROOT = Path(__file__).parents[1]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
MAX_BYTES = 2_700_000
"""All pictures together: every clone carries them, and every version of them."""


def without_code(path: Path) -> str:
    return re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)


def targets(path: Path) -> list[str]:
    """Where the document's links and pictures lead, other sites left out."""
    links = re.findall(r"\]\(([^)\s]+)\)", without_code(path))
    return [target for target in links if not urlsplit(target).scheme]


def anchors(path: Path) -> set[str]:
    """What `#…` can name in a document, by GitHub's rule."""
    headings = re.findall(r"^#+ (.+)$", without_code(path), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def addresses() -> list[str]:
    """The addresses in the app that the guide asks the reader to open."""
    return re.findall(r"`(/\w+\?[^`]+)`", (ROOT / "docs" / "guide.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in targets(path):
        name, _, anchor = unquote(target).partition("#")
        there = path.parent / name if name else path
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


def test_pictures_are_all_made_and_all_shown() -> None:
    made = {f"{picture.name}.png" for picture in PICTURES} | {f"{MOVING}.webp"}
    kept = {path.name for path in FOLDER.iterdir()}
    shown = {Path(target).name for path in DOCUMENTS for target in targets(path) if "pictures/" in target}
    assert made == kept == shown


def test_pictures_stay_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= MAX_BYTES


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_pictures_say_what_is_on_them(path: Path) -> None:
    assert all(alt.strip() for alt in re.findall(r"!\[([^\]]*)\]\(", without_code(path)))


def test_there_are_addresses_to_open() -> None:
    assert len(addresses()) > 15


def check_address(address: str) -> None:
    """Check that a page of that name is there and knows the model and the layer."""
    page, parameters = urlsplit(address).path.strip("/"), dict(parse_qsl(urlsplit(address).query))
    assert page in find_pages(ROOT / "pages")
    text: list[str] = []
    selection = url_state.read(parameters)
    if "models" in parameters:
        assert len(compare.read(parameters, selection, text).entries) > 1
    assert not [*selection.problems, *text]
    if selection.layer is not None:
        assert analyze(selection.spec.name).row(selection.layer).name == selection.layer


@pytest.mark.parametrize("address", addresses())
def test_addresses_open_what_they_say(address: str) -> None:
    check_address(address)


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_pictures_are_taken_of_pages_that_are_there(picture: Picture) -> None:
    """That what is waited for is drawn there, the slow `tests/browser/test_pictures.py` checks."""
    check_address(f"/{picture.path or 'start'}")


def test_the_readme_begins_with_the_moving_digit() -> None:
    first = next(target for target in targets(ROOT / "README.md") if "pictures/" in target)
    assert Path(first).name == f"{MOVING}.webp"


BRANCHES = ("branch1.conv", "branch3.conv", "branch5.conv", "branch_pool.conv")


def of(name: str) -> Analysis:
    return analyze(name)


def share(part: int, whole: int) -> str:
    return numbers.percent(part / whole)


def strided_small_alexnet() -> Analysis:
    document = models.layer_list("small-alexnet")
    assert document is not None
    return analyze_fitting(strided(document))


FIGURES: dict[str, Callable[[], list[str]]] = {
    "README.md": lambda: [
        f"{numbers.short(of('torchvision/vgg16').total_params)} parameters and takes "
        f"{numbers.short(of('torchvision/vgg16').macs)} multiply-adds an image, GoogLeNet has "
        f"{numbers.short(of('torchvision/googlenet').total_params)} and takes "
        f"{numbers.short(of('torchvision/googlenet').macs)}",
        f"{share(of('alexnet-cifar10').fc_params, of('alexnet-cifar10').total_params)} of its parameters",
        f"{share(of('alexnet-cifar10').macs_of('conv'), of('alexnet-cifar10').macs)} of its arithmetic",
        f"all {len([n for n in models.names() if n.startswith('torchvision/')])} classification models",
        f"arithmetic from {numbers.macs(of('small-alexnet').macs).split()[0]} to "
        f"{numbers.macs(strided_small_alexnet().macs)}, and its parameters from "
        f"{numbers.short(of('small-alexnet').total_params)} to "
        f"{numbers.short(strided_small_alexnet().total_params)}",
        f"{numbers.macs(of('googlenet-32').macs).split()[0]} against "
        f"{numbers.macs(of('alexnet-cifar10').macs)}; ResNet-18 does with "
        f"{numbers.macs(of('resnet18-32').macs)}",
    ],
    "docs/guide.md": lambda: [
        f"{numbers.short(of('torchvision/vgg16').total_params)} parameters can be compared with LeNet-5's "
        f"{numbers.short(of('lenet5-1998').total_params)}",
        f"{share(of('alexnet-cifar10').fc_params, of('alexnet-cifar10').total_params)} of the parameters are "
        f"fully connected, {share(of('alexnet-cifar10').macs_of('conv'), of('alexnet-cifar10').macs)} of the "
        "arithmetic is convolution",
        " + ".join(str(of("googlenet").row(f"inception_3a.{branch}").output_shape[0]) for branch in BRANCHES)
        + f" = {of('googlenet').row('inception_3a').output_shape[0]}",
        f"gives {numbers.percent(of('small-alexnet').conv_params / of('small-alexnet').total_params, 1)}",
        f"takes {sum(r.params for r in of('lenet5-1998').rows if r.name.startswith('c3')):,} parameters, "
        f"a full convolution {of('lenet5').row('conv2').params:,}",
        f"from {of('small-alexnet').row('fc1').params:,} parameters to "
        f"{strided_small_alexnet().row('fc1').params:,}",
        f"the {of('alexnet-cifar10').total_params:,}?",
        f"divide by {of('small-alexnet').total_params:,}",
        f"{of('inception-naive').row('inception_3a').output_shape[0]} maps instead of "
        f"{of('googlenet').row('inception_3a').output_shape[0]}",
    ],
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_what_is_counted(name: str) -> None:
    text = " ".join((ROOT / name).read_text(encoding="utf-8").split())
    missing = [figure for figure in FIGURES[name]() if figure not in text]
    assert not missing


def test_stride_two_in_conv2_takes_a_quarter_of_its_arithmetic() -> None:
    assert strided_small_alexnet().row("conv2").macs * 4 == of("small-alexnet").row("conv2").macs


def test_the_api_reference_has_every_public_package() -> None:
    """Public is what a package names in `__all__`; the site's build checks that each can be described."""
    public = {
        path.parent.name
        for path in (ROOT / "cnnviz").glob("*/__init__.py")
        if "__all__ = [" in path.read_text(encoding="utf-8")
    }
    pages = {path.stem for path in (ROOT / "docs" / "api").glob("*.md")} - {"index"}
    assert pages == public
    listed = (ROOT / "zensical.toml").read_text(encoding="utf-8")
    overview = (ROOT / "docs" / "api" / "index.md").read_text(encoding="utf-8")
    for name in public:
        assert f"::: cnnviz.{name}\n" in (ROOT / "docs" / "api" / f"{name}.md").read_text(encoding="utf-8")
        assert f'"api/{name}.md"' in listed
        assert f"]({name}.md)" in overview


def test_the_site_has_every_document() -> None:
    listed = (ROOT / "zensical.toml").read_text(encoding="utf-8")
    assert all(f'"{path.name}"' in listed for path in (ROOT / "docs").glob("*.md"))
