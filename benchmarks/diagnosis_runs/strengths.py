"""How strongly each cause is planted in each part of the bench."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.diagnosis_runs.networks import Plan
from cnnviz.models.layers import Init
from cnnviz.training.recipe import Scale


@dataclass(frozen=True)
class Strengths:
    """Of one part. Rates are multiples of the healthy setup's, except where they say that they are not."""

    deeper: int
    """Convolutions more, where a network must be deep for its start to matter."""
    small: Init
    large: Init
    drowned: tuple[str, float]
    """A layer, and the bias that leaves its ReLU no chance."""
    scale: Scale
    high: float
    high_adam: float
    """Adam's rate itself."""
    infinite: float
    """The rate itself of plain SGD."""
    low: float
    begun: int
    """Training images of a run of one epoch that has too few steps."""
    ended: tuple[float, float]
    """What each epoch multiplies the rate by, and the first rate."""
    large_batch: int
    small_batch: int
    decay: float
    decay_adamw: float
    """AdamW's: it is multiplied by the rate alone and not by a gradient's size."""
    dropout: float
    judged_dropout: float
    """Of a network that is judged in training mode."""
    by_heart: int
    """Training images that are too few."""
    unchanged: int
    """Training images that are too few unless they are changed in every epoch."""
    leaked: tuple[int, float]
    """Training images, and the part of the test images that they take the place of."""
    wide: Plan
    narrow: Plan
    noisy: float
    unbalanced: tuple[int, int]
    """One image in so many is left of each class but the first so many."""
    missing: tuple[int, ...]
    enlarged: int
    """The side that images are reduced to before they are enlarged again."""
    pairs: tuple[str, ...]
    """Which plants of two causes."""


_FIRST_PAIRS = ("dropout+classes-missing", "rate-too-low+classes-unbalanced", "labels-noisy+weight-decay")
_OTHER_PAIRS = ("rate-too-low+classes-missing", "labels-noisy+dropout", "input-scale+classes-unbalanced")
_LAST_PAIRS = ("dropout+classes-missing", "labels-noisy+dropout", "rate-too-low+classes-unbalanced")

TUNE = Strengths(
    deeper=4, small=Init(weights="normal", std=0.01, bias=1.0),
    large=Init(weights="normal", std=0.4, bias=0.0),
    drowned=("conv2", -15), scale="raw",
    high=20, high_adam=0.2, infinite=300, low=1 / 1000, begun=320, ended=(0.02, 1 / 4),
    large_batch=4096, small_batch=1, decay=0.3, decay_adamw=10, dropout=0.9, judged_dropout=0.75,
    by_heart=60, unchanged=200, leaked=(120, 1.0),
    wide=Plan("wide", (), (1024,)), narrow=Plan("tiny", ((1, 3, True), (1, 3, True), (2, 3, True))),
    noisy=0.5, unbalanced=(50, 2), missing=(3, 6, 8), enlarged=4, pairs=_FIRST_PAIRS,
)  # fmt: skip
TEST = Strengths(
    deeper=3, small=Init(weights="normal", std=0.005, bias=0.5),
    large=Init(weights="normal", std=0.5, bias=0.0),
    drowned=("conv2", -20), scale="raw",
    high=30, high_adam=0.3, infinite=500, low=1 / 2000, begun=400, ended=(0.01, 1 / 4),
    large_batch=2048, small_batch=2, decay=0.5, decay_adamw=10, dropout=0.95, judged_dropout=0.75,
    by_heart=80, unchanged=150, leaked=(150, 0.8),
    wide=Plan("wide", (), (1024,)), narrow=Plan("tiny", ((1, 3, True), (1, 3, True), (2, 3, True))),
    noisy=0.6, unbalanced=(50, 2), missing=(3, 6, 8), enlarged=5, pairs=_FIRST_PAIRS,
)  # fmt: skip
BLIND = Strengths(
    deeper=5, small=Init(weights="normal", std=0.003, bias=0.2),
    large=Init(weights="normal", std=0.35, bias=0.0),
    drowned=("conv1", -10), scale="raw-minus-mean",
    high=25, high_adam=0.1, infinite=400, low=1 / 1500, begun=240, ended=(0.005, 1 / 3),
    large_batch=1024, small_batch=3, decay=0.2, decay_adamw=9, dropout=0.93, judged_dropout=0.8,
    by_heart=70, unchanged=120, leaked=(90, 0.9),
    wide=Plan("flat", (), (768,)), narrow=Plan("thin", ((1, 5, True), (2, 3, True)), (3,)),
    noisy=0.55, unbalanced=(40, 3), missing=(1, 4, 7, 9), enlarged=2, pairs=_OTHER_PAIRS,
)  # fmt: skip
BLIND_2 = Strengths(
    deeper=4, small=Init(weights="normal", std=0.008, bias=-0.3),
    large=Init(weights="normal", std=0.6, bias=0.0),
    drowned=("conv2", -12), scale="raw",
    high=40, high_adam=0.5, infinite=800, low=1 / 700, begun=280, ended=(0.03, 1 / 5),
    large_batch=1500, small_batch=2, decay=0.8, decay_adamw=8, dropout=0.96, judged_dropout=0.85,
    by_heart=30, unchanged=100, leaked=(50, 0.95),
    wide=Plan("flat", (), (512, 512)), narrow=Plan("thin", ((2, 3, True), (1, 3, True)), (4,)),
    noisy=0.65, unbalanced=(60, 4), missing=(0, 5), enlarged=3, pairs=_OTHER_PAIRS,
)  # fmt: skip
BLIND_3 = Strengths(
    deeper=3, small=Init(weights="normal", std=0.004, bias=0.1),
    large=Init(weights="normal", std=0.45, bias=0.0),
    drowned=("conv2", -18), scale="raw-minus-mean",
    high=35, high_adam=0.15, infinite=600, low=1 / 1200, begun=200, ended=(0.02, 1 / 4),
    large_batch=1200, small_batch=1, decay=0.4, decay_adamw=9, dropout=0.94, judged_dropout=0.8,
    by_heart=50, unchanged=110, leaked=(70, 0.9),
    wide=Plan("flat", (), (640,)), narrow=Plan("thin", ((2, 5, True), (2, 3, True)), (3,)),
    noisy=0.6, unbalanced=(45, 3), missing=(2, 5, 8), enlarged=3, pairs=_OTHER_PAIRS,
)  # fmt: skip
BLIND_4 = Strengths(
    deeper=4, small=Init(weights="normal", std=0.006, bias=0.3),
    large=Init(weights="normal", std=0.55, bias=0.0),
    drowned=("conv2", -14), scale="raw",
    high=45, high_adam=0.08, infinite=700, low=1 / 900, begun=220, ended=(0.015, 1 / 3),
    large_batch=900, small_batch=2, decay=0.6, decay_adamw=7, dropout=0.92, judged_dropout=0.75,
    by_heart=40, unchanged=90, leaked=(60, 0.85),
    wide=Plan("flat", (), (896,)), narrow=Plan("thin", ((1, 3, "average"), (2, 3, True)), (3,)),
    noisy=0.58, unbalanced=(35, 2), missing=(1, 6, 7), enlarged=4, pairs=_LAST_PAIRS,
)  # fmt: skip
BLIND_5 = Strengths(
    deeper=5, small=Init(weights="normal", std=0.007, bias=0.4),
    large=Init(weights="normal", std=0.48, bias=0.0),
    drowned=("conv2", -16), scale="raw-minus-mean",
    high=28, high_adam=0.25, infinite=900, low=1 / 1600, begun=260, ended=(0.01, 1 / 5),
    large_batch=1100, small_batch=2, decay=0.45, decay_adamw=8, dropout=0.91, judged_dropout=0.7,
    by_heart=75, unchanged=130, leaked=(100, 0.95),
    wide=Plan("flat", (), (700,)), narrow=Plan("thin", ((2, 3, True), (2, 3, "average")), (2,)),
    noisy=0.52, unbalanced=(55, 3), missing=(0, 3, 8), enlarged=3, pairs=_OTHER_PAIRS,
)  # fmt: skip
BLIND_6 = Strengths(
    deeper=4, small=Init(weights="normal", std=0.0035, bias=-0.1),
    large=Init(weights="normal", std=0.52, bias=0.0),
    drowned=("conv1", -13), scale="raw",
    high=32, high_adam=0.18, infinite=750, low=1 / 1100, begun=300, ended=(0.012, 1 / 4),
    large_batch=1000, small_batch=1, decay=0.35, decay_adamw=9.5, dropout=0.945, judged_dropout=0.72,
    by_heart=45, unchanged=95, leaked=(85, 0.92),
    wide=Plan("flat", (), (800,)), narrow=Plan("thin", ((1, 3, True), (1, 3, "average")), (3,)),
    noisy=0.57, unbalanced=(48, 2), missing=(2, 4, 9), enlarged=3,
    pairs=("rate-too-low+classes-missing", "labels-noisy+dropout", "input-scale+classes-unbalanced"),
)  # fmt: skip
BLIND_7 = Strengths(
    deeper=3, small=Init(weights="normal", std=0.0045, bias=0.25),
    large=Init(weights="normal", std=0.42, bias=0.0),
    drowned=("conv1", -17), scale="raw-minus-mean",
    high=22, high_adam=0.12, infinite=650, low=1 / 1400, begun=250, ended=(0.018, 1 / 3),
    large_batch=1300, small_batch=2, decay=0.55, decay_adamw=7.5, dropout=0.955, judged_dropout=0.78,
    by_heart=55, unchanged=105, leaked=(65, 0.88),
    wide=Plan("flat", (), (400, 400)), narrow=Plan("thin", ((2, 3, True), (1, 5, True)), (2,)),
    noisy=0.62, unbalanced=(38, 3), missing=(0, 1, 6, 7), enlarged=2,
    pairs=("dropout+classes-missing", "rate-too-low+classes-unbalanced", "labels-noisy+weight-decay"),
)  # fmt: skip
BLIND_8 = Strengths(
    deeper=4, small=Init(weights="normal", std=0.0055, bias=0.15),
    large=Init(weights="normal", std=0.5, bias=0.0),
    drowned=("conv1", -11), scale="raw",
    high=27, high_adam=0.14, infinite=550, low=1 / 1300, begun=230, ended=(0.008, 1 / 4),
    large_batch=850, small_batch=2, decay=0.5, decay_adamw=8.5, dropout=0.935, judged_dropout=0.74,
    by_heart=65, unchanged=115, leaked=(75, 0.9),
    wide=Plan("flat", (), (900,)), narrow=Plan("thin", ((1, 3, True), (2, 3, "average")), (2,)),
    noisy=0.54, unbalanced=(42, 3), missing=(1, 5, 9), enlarged=3,
    pairs=("dropout+classes-missing", "rate-too-low+classes-unbalanced"),
)  # fmt: skip
BLIND_9 = Strengths(
    deeper=4, small=Init(weights="normal", std=0.0042, bias=0.35),
    large=Init(weights="normal", std=0.46, bias=0.0),
    drowned=("conv1", -12), scale="raw-minus-mean",
    high=24, high_adam=0.16, infinite=850, low=1 / 1250, begun=210, ended=(0.014, 1 / 3),
    large_batch=950, small_batch=2, decay=0.65, decay_adamw=9.2, dropout=0.948, judged_dropout=0.76,
    by_heart=35, unchanged=85, leaked=(55, 0.93),
    wide=Plan("flat", (), (600, 300)), narrow=Plan("thin", ((1, 5, True), (1, 3, True)), (3,)),
    noisy=0.56, unbalanced=(44, 2), missing=(0, 4, 6), enlarged=4,
    pairs=("rate-too-low+classes-missing", "labels-noisy+dropout"),
)  # fmt: skip
BLIND_10 = Strengths(
    deeper=5, small=Init(weights="normal", std=0.0048, bias=0.2),
    large=Init(weights="normal", std=0.5, bias=0.1),
    drowned=("conv1", -19), scale="raw",
    high=26, high_adam=0.13, infinite=950, low=1 / 1350, begun=190, ended=(0.016, 1 / 4),
    large_batch=1050, small_batch=1, decay=0.7, decay_adamw=8.8, dropout=0.942, judged_dropout=0.73,
    by_heart=42, unchanged=125, leaked=(58, 0.94),
    wide=Plan("flat", (), (500, 250)), narrow=Plan("thin", ((2, 3, True), (1, 3, True)), (2,)),
    noisy=0.53, unbalanced=(36, 2), missing=(3, 5, 9), enlarged=3,
    pairs=("input-scale+classes-unbalanced", "dropout+classes-missing"),
)  # fmt: skip
