"""Accuracies in percent of the loops of `independent-6`, run without cnnviz: one run each, on one seed.

`python -m benchmarks.watched.independent6.measured [--only TEXT]` prints them. Where several are reported it
is the last; of `springs-squared-error` it is the part of the variance that is explained, and of
`tags-multi-label` the part of single tags.
"""

from __future__ import annotations

import argparse
import time
from typing import Any, cast

import torch

from benchmarks.watched.independent6.nets_and_sets import MEASURES, PART, REPORTED
from benchmarks.watched.tasks import CASES, Bench
from benchmarks.watched.unwatched import UnwatchedBench

CORRECT = {
    "wines-log-softmax-layer": 97.2,
    "moons-logit-and-bce": 98.7,
    "moons-sigmoid-and-bce-loss": 98.7,
    "moons-two-outputs-full-batch": 95.0,
    "tags-multi-label": 96.7,
    "springs-squared-error": 98.8,
    "springs-in-order-of-size": 91.3,
    "crops-class-weights": 98.6,
    "crops-weighted-sampler": 99.2,
    "crops-focal": 99.8,
    "lamps-mixup": 99.6,
    "glyphs-cutmix": 100.0,
    "soils-weight-for-each-row": 98.8,
    "soils-half-without-labels": 98.6,
    "soils-two-passes-that-agree": 98.8,
    "glyphs-taught-by-a-larger-net": 99.7,
    "lamps-two-questions": 98.4,
    "wines-gradient-penalty": 98.6,
    "glyphs-siamese": 95.7,
    "soils-gradient-reversal": 99.8,
    "glyphs-autoencoder-then-classes": 99.7,
    "lamps-contrastive-then-probe": 99.6,
    "glyphs-backbone-frozen": 100.0,
    "lamps-thawed-from-the-top": 99.6,
    "notes-vectors-kept": 98.3,
    "glyphs-tuned-slowly-from-good-weights": 100.0,
    "soils-dropout-kept-for-judging": 99.7,
    "lamps-easy-ones-first": 99.6,
    "glyphs-hardest-half": 98.7,
    "notes-truncated-in-time": 98.0,
    "soils-checkpointed": 98.8,
    "wines-functional-call": 95.8,
    "lamps-weight-and-spectral-norm": 98.8,
    "lamps-two-at-a-time": 100.0,
    "lamps-judged-within-epochs": 99.2,
    "glyphs-discriminator-with-classes": 90.7,
    "glyphs-clipped-by-norm": 97.3,
    "notes-clipped-by-value": 98.0,
    "lamps-last-group-is-smaller": 99.6,
    "soils-four-small-batches": 98.8,
    "glyphs-one-cycle": 99.7,
    "lamps-warm-restarts": 99.4,
    "notes-warm-up-and-padding": 98.0,
    "glyphs-smoothed-no-decay-for-norms": 100.0,
    "lamps-sgd-below-adam-above": 99.6,
    "wines-lbfgs": 95.8,
    "glyphs-sharpness-aware": 98.3,
    "soils-lookahead": 99.8,
    "lamps-moving-average": 99.6,
    "glyphs-swa": 99.7,
    "wines-best-weights-restored": 95.8,
    "lamps-autocast": 100.0,
    "soils-scaler-that-is-off": 99.7,
    "lamps-gradient-noise": 99.2,
    "soils-one-epoch-gradients-set-to-none": 99.5,
    "wines-gradients-by-autograd-grad": 97.2,
}


def main() -> None:
    """Run them and print what they report, and by themselves what those reach that judge nothing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="only loops whose name has this in it")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for case in CASES:
        if case.part != PART or asked.only not in case.name:
            continue
        REPORTED.clear()
        MEASURES.clear()
        began = time.process_time()
        case.loop(cast(Bench, cast(Any, UnwatchedBench())))
        took = time.process_time() - began
        found = REPORTED or [measure() for measure in MEASURES]
        course = " ".join(f"{100 * score:.1f}" for score in found[-5:])
        print(f'    "{case.name}": {100 * found[-1]:.1f},  # {took:.1f} s: {course}', flush=True)


if __name__ == "__main__":
    import benchmarks.watched.independent6  # noqa: F401 loops register themselves

    main()
