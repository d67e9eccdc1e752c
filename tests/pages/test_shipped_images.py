"""The test images that ship, on Feature maps: no view is empty without a network."""

from tests.pages.runner import components, figures, html, open_page, said

SHIPPED = {"weights": "checkpoint:lenet5-mnist", "layer": "conv2"}


def test_no_tab_is_empty_offline_for_the_network_that_ships() -> None:
    app = open_page("features", view="excites", **SHIPPED)
    assert "This needs" not in said(app)
    assert components(app).count("cnnviz.pictures") >= 3
    app = open_page("features", view="space", **SHIPPED)
    assert "500 test images" in said(app)
    assert figures(app)


def test_where_no_images_ship_the_finished_figures_do() -> None:
    network = {"weights": "checkpoint:small-googlenet-cifar10", "layer": "inception_5b"}
    app = open_page("features", view="excites", **network)
    assert "Worked out on 1,000 test images of CIFAR-10 (JPEG)" in said(app)
    assert html(app).count("<li><b>") == 9
    assert "This needs" not in said(app)
    app = open_page("features", view="space", **network)
    assert "1,000 test images by PCA" in said(app)
    assert figures(app)
    assert "This needs" in said(
        open_page("features", view="excites", **network | {"layer": "inception_3a.branch1.conv"})
    )


def test_a_shipped_test_image_is_known_by_an_address_of_its_own() -> None:
    app = open_page("features", picture="shipped:7", **SHIPPED)
    assert not app.warning
    assert "500 test images of MNIST ship with cnnviz (CC BY-SA 3.0); 10,000 there are in all." in said(app)
    assert "not prepared" in said(open_page("features", picture="test:7", **SHIPPED))
    assert "There are 500 test images" in said(open_page("features", picture="shipped:500", **SHIPPED))
