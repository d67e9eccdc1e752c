"""Branches of inception blocks: what each gives and costs, and what the answer is without it."""

import functools
import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.models import googlenet

from cnnviz import models
from cnnviz.analysis import Analysis, analyze
from cnnviz.datasets import Step
from cnnviz.interpret import InterpretError, StoppedError, UnknownLayerError, branches
from cnnviz.interpret.cache import split_batches


@functools.cache
def ours() -> tuple[nn.Module, Analysis, Tensor]:
    torch.manual_seed(0)
    return models.build("small-googlenet-32").eval(), analyze("small-googlenet-32"), torch.randn(6, 3, 32, 32)


@functools.cache
def theirs() -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    model = googlenet(weights=None, num_classes=5, aux_logits=True, init_weights=False).eval()
    return model, torch.randn(2, 3, 224, 224)


def test_blocks_of_ours_and_of_torchvisions() -> None:
    article = branches.blocks(models.build("googlenet").eval(), analyze("googlenet"))
    assert [block.name for block in article][::4] == ["inception_3a", "inception_4c", "inception_5b"]
    first = article[0]
    assert [b.channels for b in first.branches] == [64, 128, 32, 32]
    assert [b.kernel for b in first.branches] == [1, 3, 5, 1]
    assert sum(b.params for b in first.branches) == 163_696
    assert first.branch_of(64).title == "3×3"
    assert first.branch_of(255).title == "pool"
    other = branches.blocks(models.build("torchvision/googlenet").eval(), analyze("torchvision/googlenet"))
    assert [b.channels for b in other[0].branches] == [64, 128, 32, 32]
    assert [b.kernel for b in other[0].branches] == [1, 3, 3, 1]
    assert branches.blocks(models.build("lenet5").eval(), analyze("lenet5")) == ()


def test_naive_blocks_keep_what_the_pooling_gives() -> None:
    from cnnviz.models.modules import NaiveInception

    model = nn.Sequential(NaiveInception(3, 4, 5, 6)).eval()
    (block,) = branches.blocks(model, analyze(model, (3, 8, 8)))
    assert [(b.channels, b.kernel) for b in block.branches] == [(4, 1), (5, 3), (6, 5), (3, 0)]


def test_blocks_are_found_while_another_thread_imports_torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision.models.googlenet", ModuleType("half imported"))
    model, analysis, _ = ours()
    assert branches.blocks(model, analysis)[0].branches


def test_the_concatenation_is_the_branches() -> None:
    model, analysis, images = ours()
    for block in branches.blocks(model, analysis)[::4]:
        activations = branches.record_block(model, images[:1], block)
        assert (np.concatenate([one.maps for one in activations.branches]) == activations.output).all()
        assert sum(one.share for one in activations.branches) == pytest.approx(1)
        assert activations.input.shape[0] == analysis.row(f"{block.name}.branch1.conv").input_shape[0]
        for one in activations.branches:
            part = activations.output[one.branch.first : one.branch.first + one.branch.channels]
            assert one.zeros == (part == 0).mean()


def test_a_dropped_branch_is_zeros_in_the_concatenation() -> None:
    model, analysis, images = ours()
    block = branches.blocks(model, analysis)[0]
    plain = branches.ablate_branches(model, images, [])
    assert torch.equal(plain, model(images).detach())
    changed = branches.ablate_branches(model, images, [block.branches[1].name])

    first, width = block.branches[1].first, block.branches[1].channels
    parts = dict(model.named_children())
    x = images
    with torch.no_grad():
        for name, part in parts.items():
            x = part(x)
            if name == block.name:
                x[:, first : first + width] = 0
    assert torch.equal(changed, x)
    with pytest.raises(UnknownLayerError):
        branches.ablate_branches(model, images, ["inception_3a.branch9"])


def test_activity_by_class_is_the_mean_over_its_images() -> None:
    model, analysis, images = ours()
    result = branches.blocks(model, analysis)[:2]
    labels = torch.tensor([0, 0, 2, 2, 2, 0])
    steps: list[Step] = []
    table = branches.activity_by_class(model, result, split_batches(images, labels, 4), 3, 6, steps.append)
    assert table.shape == (2, 4, 3)
    assert np.isnan(table[:, :, 1]).all()
    for row, block in enumerate(result):
        looks = [branches.record_block(model, images[i : i + 1], block).branches for i in (2, 3, 4)]
        expected = np.mean([[one.activity for one in look] for look in looks], axis=0)
        assert table[row, :, 2] == pytest.approx(expected, rel=1e-5)
    assert [(step.done, step.total) for step in steps] == [(0, 6), (4, 6), (6, 6)]


def test_going_through_a_data_set_can_be_stopped() -> None:
    model, analysis, images = ours()
    result = branches.blocks(model, analysis)[:1]
    batches = split_batches(images, torch.zeros(6, dtype=torch.int64), 2)
    with pytest.raises(StoppedError, match="after 0 images"):
        branches.activity_by_class(model, result, batches, 3, stop=lambda: True)
    with pytest.raises(InterpretError, match="no images"):
        branches.activity_by_class(model, result, [], 3)
    with pytest.raises(InterpretError, match="no inception blocks"):
        branches.activity_by_class(model, (), batches, 3)
    with pytest.raises(InterpretError, match="label is 7"):
        branches.activity_by_class(model, result, split_batches(images, torch.full((6,), 7)), 3)


def test_auxiliary_classifiers_of_ours_say_in_evaluation_what_they_would_in_training() -> None:
    torch.manual_seed(0)
    model = models.build("googlenet-aux", input_size=193, options={"dropout": 0}).eval()
    for part in model.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    images = torch.randn(2, 3, 193, 193)
    classifier_outputs = branches.classifier_outputs(model, images)
    assert [(answer.name, answer.after) for answer in classifier_outputs] == [
        ("aux1", "inception_4a"), ("aux2", "inception_4d"), ("", ""),
    ]  # fmt: skip
    with torch.no_grad():
        trained = model.train()(images)
    model.eval()
    for answer, logits in zip(classifier_outputs, (trained.aux1, trained.aux2, trained.logits), strict=True):
        assert answer.probabilities == pytest.approx(torch.softmax(logits, 1).numpy(), abs=1e-6)


def test_auxiliary_classifiers_of_torchvisions() -> None:
    model, images = theirs()
    classifier_outputs = branches.classifier_outputs(model, images)
    assert [answer.after for answer in classifier_outputs] == ["inception4a", "inception4d", ""]
    assert all(answer.probabilities.sum(1) == pytest.approx(1) for answer in classifier_outputs)
    assert len(branches.classifier_outputs(*ours()[::2])) == 1


def test_blocks_by_name() -> None:
    blocks = branches.blocks(*ours()[:2])
    assert branches.find_block(blocks, "inception_4b") is blocks[3]
    with pytest.raises(UnknownLayerError, match="inception_4b"):
        branches.find_block(blocks, "inception_4bb")
    with pytest.raises(UnknownLayerError, match="no inception blocks"):
        branches.find_block((), "x")
