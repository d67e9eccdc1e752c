"""All loops of `independent-2`; see `independent2.data` for what they are.

Each fault does harm: `python -m benchmarks.watched.independent.harm --part independent-2` prints its accuracy
without cnnviz beside that of the script without it. For `rows-duplicates` (leakage) the harm is that the
figure flatters. `one-class` is allowed where nine of ten test images got the same answer when that was
printed, `unstable-training` where an earlier epoch had been far better.

Left out, since accuracy was not lower: softmax before cross-entropy and batch-normalized spectra learned in
evaluation mode or with running statistics that hardly move (`spectra`); branches in a plain dictionary, and a
last layer that the optimizer was not given (`segments`); softmax, negative logits, NLL of logits and of
probabilities, evaluation mode after the first test (`mosaics`); layers exchanged after the optimizer was
made, tanh on logits, NLL of probabilities, tests in training mode (`rows`); softmax over the batch, and
gradients that are never emptied under Adam and clipping (`curves`); evaluation mode from a first test on
(`blobs`); fifteen losses added up where batch normalization takes up the larger steps (`spectra`).
"""

from benchmarks.watched.independent2 import (  # noqa: F401 loops register themselves
    blobs,
    correct,
    curves,
    mosaics,
    rings,
    rows,
    schedules,
    segments,
    spectra,
    steps,
    textures,
)
