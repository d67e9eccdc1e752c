"""Images that the bench trains on, none of them with anything wrong."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.diagnosis_runs import drawn, folders, sketched
from benchmarks.diagnosis_runs.drawn import pixels
from benchmarks.diagnosis_runs.folders import images
from cnnviz import datasets
from cnnviz.datasets.dataset import convert_images
from cnnviz.datasets.spec import Arrays, Labels, Pixels
from cnnviz.models import Shape


def digits(folder: Path | None) -> Arrays:
    """The digits that come with scikit-learn: 1,438 and 359, 28×28."""
    return _whole(datasets.load("digits"))


def shapes(folder: Path | None) -> Arrays:
    """6,000 and 500 shapes of 28×28 from the app's own generator."""
    return _whole(datasets.load("shapes", {"size": 28, "train": 6_000, "test": 500, "seed": 11}))


def small_digits(folder: Path | None) -> Arrays:
    """The same digits, 12×12, dark on light, at the size at which they have detail and half as much again."""
    return _dark(adapted(digits(folder), (1, 12, 12)))


def cifar(folder: Path | None) -> Arrays:
    """4,000 and 1,000 images of CIFAR-10, reduced to 16×16."""
    return adapted(images(folder, "cifar10", folders.CIFAR), (3, 16, 16))


def photos(folder: Path | None) -> Arrays:
    """1,500 and 400 other images of CIFAR-10, reduced to 12×12."""
    return adapted(images(folder, "cifar10", folders.PHOTOS), (3, 12, 12))


def views(folder: Path | None) -> Arrays:
    """4,000 and 1,000 yet other images of CIFAR-10, reduced to 20×20."""
    return adapted(images(folder, "cifar10", folders.VIEWS), (3, 20, 20))


def mnist(folder: Path | None) -> Arrays:
    """1,500 and 400 images of MNIST, the middle 20×20, in which its digits lie."""
    return _middle(images(folder, "mnist", folders.MNIST))


def signs(folder: Path | None) -> Arrays:
    """1,500 and 400 other images of MNIST, 11×11, anywhere on 14×14, light ink of any color on dark."""
    return _painted(_middle(images(folder, "mnist", folders.SIGNS)), 11, 14)


def numerals(folder: Path | None) -> Arrays:
    """1,500 and 400 more images of MNIST, black on white, reduced to 16×16."""
    return _dark(adapted(images(folder, "mnist", folders.NUMERALS), (1, 16, 16)))


def stamps(folder: Path | None) -> Arrays:
    """1,500 and 400 that are in none of these, 10×10, anywhere on 12×12, dark ink of any color on light."""
    return _dark(_painted(_middle(images(folder, "mnist", folders.STAMPS)), 10, 12))


def faint(folder: Path | None) -> Arrays:
    """And as many others, 24×24, gray on lighter gray."""
    made = adapted(images(folder, "mnist", folders.FAINT), (1, 24, 24))
    train, test = (pixels(np.float64(180) - 0.4 * part) for part in (made.train_images, made.test_images))
    return replace(made, train_images=train, test_images=test)


def fashion(folder: Path | None) -> Arrays:
    """1,500 and 400 images of Fashion-MNIST, reduced to 14×14."""
    return adapted(images(folder, "fashion", folders.FASHION), (1, 14, 14))


def garments(folder: Path | None) -> Arrays:
    """1,500 and 400 others of Fashion-MNIST, 15×15, yellow to brown."""
    made = adapted(images(folder, "fashion", folders.GARMENTS), (3, 15, 15))
    tint = np.array([0.95, 0.75, 0.4])[:, None, None]
    train, test = (pixels(30 + tint * 0.85 * part) for part in (made.train_images, made.test_images))
    return replace(made, train_images=train, test_images=test)


def notes(folder: Path | None) -> Arrays:
    """1,500 and 400 of MNIST that no other part has, 13×13, anywhere on 16×16, light ink of any color."""
    return _painted(_middle(images(folder, "mnist", folders.NOTES)), 13, 16)


def coats(folder: Path | None) -> Arrays:
    """1,500 and 400 of Fashion-MNIST that no other part has, reduced to 24×24, on white."""
    return _dark(adapted(images(folder, "fashion", folders.COATS), (1, 24, 24)))


def boots(folder: Path | None) -> Arrays:
    """And as many others, 13×13, blue."""
    made = adapted(images(folder, "fashion", folders.BOOTS), (3, 13, 13))
    tint = np.array([0.3, 0.6, 0.9])[:, None, None]
    train, test = (pixels(np.float64(20) + tint * part) for part in (made.train_images, made.test_images))
    return replace(made, train_images=train, test_images=test)


def ciphers(folder: Path | None) -> Arrays:
    """800 and 400 of MNIST that no earlier part has, reduced to 14×14."""
    return adapted(images(folder, "mnist", folders.CIPHERS), (1, 14, 14))


def scrawls(folder: Path | None) -> Arrays:
    """As many others, 11×11, anywhere on 13×13, dark ink of any color on light."""
    return _dark(_painted(_middle(images(folder, "mnist", folders.SCRAWLS)), 11, 13))


def postcodes(folder: Path | None) -> Arrays:
    """And as many others of MNIST, as they are, in the middle of 32×32."""
    return _framed(images(folder, "mnist", folders.POSTCODES), 2)


def plates(folder: Path | None) -> Arrays:
    """And as many others, 32×32, black on white."""
    return _dark(_framed(images(folder, "mnist", folders.PLATES), 2))


def shirts(folder: Path | None) -> Arrays:
    """800 and 400 of Fashion-MNIST that no earlier part has, reduced to 12×12."""
    return adapted(images(folder, "fashion", folders.SHIRTS), (1, 12, 12))


def bags(folder: Path | None) -> Arrays:
    """As many others, 14×14, on white."""
    return _dark(adapted(images(folder, "fashion", folders.BAGS), (1, 14, 14)))


def sleeves(folder: Path | None) -> Arrays:
    """And as many others, 13×13, green to white."""
    made = adapted(images(folder, "fashion", folders.SLEEVES), (3, 13, 13))
    tint = np.array([0.6, 0.9, 0.7])[:, None, None]
    train, test = (pixels(np.float64(25) + tint * part) for part in (made.train_images, made.test_images))
    return replace(made, train_images=train, test_images=test)


def linens(folder: Path | None) -> Arrays:
    """500 and 300 of Fashion-MNIST that no earlier part has, 12×12, dark on paper with gray lines."""
    made = adapted(images(folder, "fashion", folders.LINENS), (1, 12, 12))
    lines = np.where(np.arange(12)[:, None] % 4 == 1, 60.0, 0.0)
    train, test = (
        pixels(235 - np.maximum(lines, 0.8 * part)) for part in (made.train_images, made.test_images)
    )
    return replace(made, train_images=train, test_images=test)


def socks(folder: Path | None) -> Arrays:
    """And as many others, reduced to 16×16, on a ground that grows lighter to the right."""
    made = adapted(images(folder, "fashion", folders.SOCKS), (1, 16, 16))
    ground = np.linspace(0, 90, 16)[None, :]
    train, test = (pixels(ground + 0.6 * part) for part in (made.train_images, made.test_images))
    return replace(made, train_images=train, test_images=test)


def knits(folder: Path | None) -> Arrays:
    """As many others, 12×12, washed out."""
    made = adapted(images(folder, "fashion", folders.KNITS), (1, 12, 12))
    train, test = (pixels(np.float64(110) + 0.45 * part) for part in (made.train_images, made.test_images))
    return replace(made, train_images=train, test_images=test)


def hats(folder: Path | None) -> Arrays:
    """And as many others, 16×16, violet."""
    made = adapted(images(folder, "fashion", folders.HATS), (3, 16, 16))
    tint = np.array([0.75, 0.35, 0.85])[:, None, None]
    train, test = (pixels(np.float64(15) + tint * part) for part in (made.train_images, made.test_images))
    return replace(made, train_images=train, test_images=test)


def cheques(folder: Path | None) -> Arrays:
    """600 and 300 of MNIST that no earlier part has, the middle, 12×12, dark on a gray that darkens."""
    made = adapted(_middle(images(folder, "mnist", folders.CHEQUES)), (1, 12, 12))
    ground = np.linspace(225, 165, 12)[:, None]
    train, test = (pixels(ground - 0.6 * part) for part in (made.train_images, made.test_images))
    return replace(made, train_images=train, test_images=test)


def tickets(folder: Path | None) -> Arrays:
    """As many others, the middle, 16×16, white on blue."""
    made = adapted(_middle(images(folder, "mnist", folders.TICKETS)), (3, 16, 16))
    ground = np.array([30.0, 60.0, 140.0])[:, None, None]
    train, test = (
        pixels(ground + (235 - ground) * (part / 255)) for part in (made.train_images, made.test_images)
    )
    return replace(made, train_images=train, test_images=test)


def jackets(folder: Path | None) -> Arrays:
    """600 and 300 of Fashion-MNIST that no earlier part has, 14×14, red, in a white frame."""
    made = adapted(images(folder, "fashion", folders.JACKETS), (3, 12, 12))
    tint = np.array([0.85, 0.45, 0.35])[:, None, None]
    around = ((0, 0), (0, 0), (1, 1), (1, 1))
    train, test = (
        np.pad(pixels(np.float64(30) + tint * part), around, constant_values=240)
        for part in (made.train_images, made.test_images)
    )
    return replace(made, train_images=train, test_images=test)


def dresses(folder: Path | None) -> Arrays:
    """As many others, reduced to 16×16, dark on light."""
    return _dark(adapted(images(folder, "fashion", folders.DRESSES), (1, 16, 16)))


def gratings(folder: Path | None) -> Arrays:
    """2,000 and 400 colored gratings of 16×16 in noise; the class is which way they run."""
    return Arrays(*drawn.gratings(2_000, seed=0), *drawn.gratings(400, seed=1))


def _drawn(
    make: Callable[[int, int], tuple[Pixels, Labels]], folder: Path | None, train: int = 1_500
) -> Arrays:
    """So many and 400 images of one of the kinds of `drawn` or `sketched`, in noise."""
    return Arrays(*make(train, 0), *make(400, 1))


SOURCES: dict[str, Callable[[Path | None], Arrays]] = {
    "digits": digits, "small-digits": small_digits, "cifar": cifar, "photos": photos, "mnist": mnist,
    "signs": signs, "fashion": fashion, "gratings": gratings, "numerals": numerals, "stamps": stamps,
    "faint": faint, "garments": garments, "views": views, "shapes": shapes, "notes": notes,
    "coats": coats, "boots": boots, "ciphers": ciphers, "scrawls": scrawls, "postcodes": postcodes,
    "plates": plates, "shirts": shirts, "bags": bags, "sleeves": sleeves, "linens": linens,
    "socks": socks, "knits": knits, "hats": hats, "cheques": cheques, "tickets": tickets,
    "jackets": jackets, "dresses": dresses,
    **{
        make.__name__: functools.partial(_drawn, make, train=800)
        for make in (
            sketched.letters, sketched.arrows, sketched.constellations, sketched.checks, sketched.flocks,
            sketched.fog, sketched.flags, sketched.runes, sketched.ripples,
        )
    },
    **{
        make.__name__: functools.partial(_drawn, make, train=500)
        for make in (sketched.tokens, sketched.weaves, sketched.cards, sketched.dials)
    },
    **{
        make.__name__: functools.partial(_drawn, make, train=600)
        for make in (sketched.lamps, sketched.signals, sketched.maps, sketched.buttons)
    },
    **{
        make.__name__: functools.partial(_drawn, make)
        for make in (drawn.glyphs, drawn.clocks, drawn.tiles, drawn.halos, drawn.pairs)
    },
    **{
        name: functools.partial(images, name=name.removeprefix("every-"), draw=draw)
        for name, draw in folders.EVERY.items()
    },
}  # fmt: skip
_FOLDERS = {
    "cifar": "cifar10", "photos": "cifar10", "views": "cifar10", "mnist": "mnist", "signs": "mnist",
    "numerals": "mnist", "stamps": "mnist", "faint": "mnist", "fashion": "fashion", "garments": "fashion",
    "notes": "mnist", "coats": "fashion", "boots": "fashion", "ciphers": "mnist", "scrawls": "mnist",
    "postcodes": "mnist", "plates": "mnist", "shirts": "fashion", "bags": "fashion", "sleeves": "fashion",
    "linens": "fashion", "socks": "fashion", "knits": "fashion", "hats": "fashion",
    "cheques": "mnist", "tickets": "mnist", "jackets": "fashion", "dresses": "fashion",
    **{name: name.removeprefix("every-") for name in folders.EVERY},
}  # fmt: skip


def there(name: str, folder: Path | None) -> bool:
    """Whether the source can be made: it needs no folder, or `folder` has it."""
    return name not in _FOLDERS or folders.there(_FOLDERS[name], folder)


@functools.cache
def source(name: str, folder: Path | None) -> Arrays:
    """One of `SOURCES`, made once; raises `FileNotFoundError` where it is not there."""
    return SOURCES[name](folder)


def adapted(arrays: Arrays, shape: Shape) -> Arrays:
    """With images of another shape `(C, H, W)`, made as a data set is fitted to a model."""
    import torch

    def fitted(images: Pixels) -> Pixels:
        return convert_images(torch.from_numpy(np.ascontiguousarray(images)), shape).numpy()

    return replace(arrays, train_images=fitted(arrays.train_images), test_images=fitted(arrays.test_images))


def _whole(data: datasets.Dataset) -> Arrays:
    return Arrays(data.train.images, data.train.labels, data.test.images, data.test.labels)


def _dark(arrays: Arrays) -> Arrays:
    return replace(arrays, train_images=255 - arrays.train_images, test_images=255 - arrays.test_images)


def _middle(arrays: Arrays) -> Arrays:
    cut = (slice(None), slice(None), slice(4, 24), slice(4, 24))
    return replace(arrays, train_images=arrays.train_images[cut], test_images=arrays.test_images[cut])


def _framed(arrays: Arrays, margin: int) -> Arrays:
    """With a black margin on each side."""
    around = ((0, 0), (0, 0), (margin, margin), (margin, margin))
    train, test = np.pad(arrays.train_images, around), np.pad(arrays.test_images, around)
    return replace(arrays, train_images=train, test_images=test)


def _painted(arrays: Arrays, small: int, side: int) -> Arrays:
    """Reduced to `small` × `small` and laid as ink anywhere on `side` × `side`."""
    made = adapted(arrays, (1, small, small))
    return replace(
        made,
        train_images=drawn.painted(made.train_images, side, seed=0),
        test_images=drawn.painted(made.test_images, side, seed=1),
    )
