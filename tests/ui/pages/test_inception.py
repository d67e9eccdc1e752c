"""Inception opens on a picture for which a branch decides the answer."""

from cnnviz.interpret import branches
from cnnviz.interpret.mosaic import Floats
from cnnviz.ui.pages.inception.branches import lead
from cnnviz.ui.shared.inspection import image_input, model_input
from cnnviz.ui.shared.inspection.predictions import prepared


def test_without_a_branch_the_bundled_picture_gets_another_answer() -> None:
    network = model_input.model_to_compare("checkpoint:small-googlenet-cifar10")
    assert network is not None
    picture = image_input.sample_image(image_input.default_sample(network.loaded))
    image = prepared(picture, network.loaded.preprocessing).tensor
    block = branches.blocks(network.loaded.model, network.analysis)[0]

    def logits(*names: str) -> Floats:
        values: Floats = branches.ablate_branches(network.loaded.model, image, names)[0].numpy()
        return values

    best = int(logits().argmax())
    leads = [lead(logits(branch.name), best) for branch in block.branches]
    assert lead(logits(), best) > 5, "sure of itself: a probability would not move"
    assert min(leads) < 0 < max(leads)
