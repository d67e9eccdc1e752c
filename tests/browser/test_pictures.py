"""The pictures of README and guide can be taken: what each waits for and scrolls to is on its page today."""

import io

import pytest
from PIL import Image

from tests.browser.conftest import Visit
from tests.browser.pictures import PICTURES, Picture, take
from tests.browser.server import Server

OF_RUNS = {"train", "runs"}
"""Pictures that need runs of one's own."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "picture", [one for one in PICTURES if one.name not in OF_RUNS], ids=lambda picture: picture.name
)
def test_a_picture_is_taken(picture: Picture, visit: Visit, server: Server) -> None:
    page = visit(picture.path, picture.look)
    image = Image.open(io.BytesIO(take(page, server.url, picture)))
    assert image.size == (picture.look.width, picture.height or picture.look.height)
