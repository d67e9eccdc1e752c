"""Demonstrations run the code they show, and say what it did."""

import torch
from torch import nn

from cnnviz.experiments.demos import list_demos


def test_the_inplace_error_is_torchs_own_and_the_table_is_what_happened() -> None:
    demonstration = list_demos()["inplace-dropout"]
    shown = demonstration.run()
    outcome = {line[0]: line[1] for line in shown.lines}
    assert "modified by an inplace operation" in shown.message
    assert "is at version 1; expected version 0" in shown.message
    assert {name for name, what in shown.lines if what == "raises"} == {
        "ReLU, Dropout(inplace=True)",
        "ReLU(inplace=True), Dropout(inplace=True)",
        "ReLU, Flatten, Dropout(inplace=True)",
        "Tanh, Dropout(inplace=True)",
        "Sigmoid, Dropout(inplace=True)",
    }
    assert outcome["ReLU(inplace=True), Dropout"] == "runs"
    assert shown.conclusion.startswith("5 of 12 raise")


def test_the_code_that_is_shown_raises_and_the_mended_does_not() -> None:
    demonstration = list_demos()["inplace-dropout"]
    for code, raises in ((demonstration.code, True), (demonstration.mended, False)):
        network = eval(code, {"nn": nn})
        try:
            network(torch.randn(4, 8)).sum().backward()
            raised = False
        except RuntimeError:
            raised = True
        assert raised is raises


def test_weights_are_counted() -> None:
    """A convolution of 5×5 over 96 maps to 256 has 256·(96·25 + 1); batch norm a gain and a shift a map."""
    shown = list_demos()["weightless"].run()
    weights = {name: (learnt, buffers) for name, learnt, buffers in shown.lines}
    assert weights["Conv2d(96, 256, 5)"] == (f"{256 * (96 * 25 + 1):,}", "0")
    assert weights["BatchNorm2d(96)"] == ("192", "193")
    assert weights["MaxPool2d(3, 2)"] == weights["LocalResponseNorm(5)"] == ("0", "0")
    assert shown.conclusion.startswith("8 of these 12 have nothing to initialize: MaxPool2d(3, 2)")
