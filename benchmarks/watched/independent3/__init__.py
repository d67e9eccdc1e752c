"""All loops of `independent-3`; see `independent3.data` for what they are.

Each fault was seen to do harm without cnnviz, beside the same script without it. For leakage the harm is
that the figure flatters (30 flowers alone: 0.58, 100 substances' samples: 0.63). Small, but plainly wrong:
a head alone in the optimizer (0.95 for 0.97) and weights made anew in every epoch (0.93 for 0.97) of
`digits-module`. `one-class` is allowed where nine of ten test samples got the same answer.

Left out, since accuracy was not lower: softmax before cross-entropy and pixels divided by 255 again with
batch normalization (`shapes-trainer`); softmax over the batch, sigmoid before cross-entropy (`digits-vit`);
hard tanh on logits (`digits-module`); softmax of tanh (`walks-gru`); evaluation mode from the start
(`tones`, `cancer`); sorted points, one batch of all points (`spirals`); dropout 0.95 and biases of -9 in
residual blocks (`scents`); batches of two (`glyphs-main`, `weaves`); NLL of square roots of probabilities,
dense layers of two million weights (`blooms`).
"""

from benchmarks.watched.independent3 import (  # noqa: F401 loops register themselves
    images,
    objectives,
    optimizers,
    phases,
    recipes,
    signals,
)
