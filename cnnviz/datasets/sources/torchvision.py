"""Benchmark data sets, downloaded and read through torchvision."""

from __future__ import annotations

from typing import Any

from cnnviz.datasets import download
from cnnviz.datasets.download import Kind
from cnnviz.datasets.registry import register

# Class names in the order of the labels, so that listing them reads no file.

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
STL10 = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
FASHION = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
CIFAR100 = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl",
    "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair",
    "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin",
    "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp",
    "lawn_mower", "leopard", "lion", "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain",
    "mouse", "mushroom", "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear", "pickup_truck",
    "pine_tree", "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road",
    "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake", "spider",
    "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone", "television",
    "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf",
    "woman", "worm",
)  # fmt: skip


DIGITS = tuple("0123456789")


def _add(class_name: str, kind: Kind, name: str, **facts: Any) -> None:
    register(name, source="torchvision", **facts)(download.loader(name, class_name, kind))


_add(
    "MNIST",
    download.MNIST,
    "mnist",
    title="MNIST",
    summary="70,000 handwritten digits in gray, centered: what LeNet was made for.",
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
    download.MNIST,
    "fashion-mnist",
    title="Fashion-MNIST",
    summary="70,000 images of clothes in MNIST's form, and harder.",
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
    download.CIFAR,
    "cifar10",
    title="CIFAR-10",
    summary="60,000 small color photographs of ten kinds of animals and vehicles.",
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
    download.CIFAR,
    "cifar100",
    title="CIFAR-100",
    summary="60,000 small color photographs of a hundred kinds, 600 of each.",
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
    download.SVHN,
    "svhn",
    title="SVHN",
    summary="99,289 digits cut from photographs of house numbers, with their neighbors at the edges.",
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
    download.STL,
    "stl10",
    title="STL-10",
    summary="13,000 color photographs of ten kinds, larger and with few to train on.",
    shape=(3, 96, 96),
    classes=STL10,
    train=5_000,
    test=8_000,
    origin="A. Coates, H. Lee, A. Ng, from ImageNet; fetched as torchvision does, unlabeled part and all.",
    licence="None is stated by its makers; the photographs come from ImageNet.",
    citation="Coates, Lee, Ng: An Analysis of Single Layer Networks in Unsupervised Feature Learning, 2011",
    download_bytes=2_640_397_119,
)
