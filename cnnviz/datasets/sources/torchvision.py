"""The usual benchmarks, fetched and read by way of torchvision."""

from __future__ import annotations

from typing import Any

from cnnviz.datasets import torchvision_files
from cnnviz.datasets.class_names import CIFAR10, CIFAR100, FASHION, STL10
from cnnviz.datasets.registry import register
from cnnviz.datasets.torchvision_files import Kind

DIGITS = tuple("0123456789")


def _add(class_name: str, kind: Kind, name: str, **facts: Any) -> None:
    register(name, source="torchvision", **facts)(torchvision_files.loader(name, class_name, kind))


_add(
    "MNIST",
    torchvision_files.MNIST,
    "mnist",
    title="MNIST",
    summary="70,000 handwritten digits in grey, centred: what LeNet was made for.",
    centered=True,
    shape=(1, 28, 28),
    classes=DIGITS,
    train=60_000,
    test=10_000,
    origin="Y. LeCun, C. Cortes, C. Burges, from NIST's digits; fetched as torchvision does.",
    licence="CC BY-SA 3.0",
    citation="LeCun et al.: Gradient-Based Learning Applied to Document Recognition, 1998",
    download_bytes=11_594_722,
)
_add(
    "FashionMNIST",
    torchvision_files.MNIST,
    "fashion-mnist",
    title="Fashion-MNIST",
    summary="70,000 pictures of clothes in MNIST's form, and harder.",
    shape=(1, 28, 28),
    classes=FASHION,
    train=60_000,
    test=10_000,
    origin="Zalando Research; fetched as torchvision does.",
    licence="MIT",
    citation="Xiao, Rasul, Vollgraf: Fashion-MNIST, 2017 (arXiv 1708.07747)",
    download_bytes=30_878_645,
)
_add(
    "CIFAR10",
    torchvision_files.CIFAR,
    "cifar10",
    title="CIFAR-10",
    summary="60,000 small colour photographs of ten kinds of animals and vehicles.",
    shape=(3, 32, 32),
    classes=CIFAR10,
    train=50_000,
    test=10_000,
    origin="A. Krizhevsky, V. Nair, G. Hinton, from the Tiny Images; fetched as torchvision does.",
    licence="None is stated by its makers.",
    citation="Krizhevsky: Learning Multiple Layers of Features from Tiny Images, 2009",
    download_bytes=170_498_071,
)
_add(
    "CIFAR100",
    torchvision_files.CIFAR,
    "cifar100",
    title="CIFAR-100",
    summary="60,000 small colour photographs of a hundred kinds, 600 of each.",
    shape=(3, 32, 32),
    classes=CIFAR100,
    train=50_000,
    test=10_000,
    origin="A. Krizhevsky, V. Nair, G. Hinton, from the Tiny Images; fetched as torchvision does.",
    licence="None is stated by its makers.",
    citation="Krizhevsky: Learning Multiple Layers of Features from Tiny Images, 2009",
    download_bytes=169_001_437,
)
_add(
    "SVHN",
    torchvision_files.SVHN,
    "svhn",
    title="SVHN",
    summary="99,289 digits cut from photographs of house numbers, with their neighbours at the edges.",
    shape=(3, 32, 32),
    classes=DIGITS,
    train=73_257,
    test=26_032,
    origin="Stanford University and Google; fetched as torchvision does, without the extra part.",
    licence="For non-commercial use only, say its makers.",
    citation="Netzer et al.: Reading Digits in Natural Images with Unsupervised Feature Learning, 2011",
    download_bytes=246_316_178,
)
_add(
    "STL10",
    torchvision_files.STL,
    "stl10",
    title="STL-10",
    summary="13,000 colour photographs of ten kinds, larger and with few to train on.",
    shape=(3, 96, 96),
    classes=STL10,
    train=5_000,
    test=8_000,
    origin="A. Coates, H. Lee, A. Ng, from ImageNet; fetched as torchvision does, unlabelled part and all.",
    licence="None is stated by its makers; the photographs come from ImageNet.",
    citation="Coates, Lee, Ng: An Analysis of Single Layer Networks in Unsupervised Feature Learning, 2011",
    download_bytes=2_640_397_119,
)
