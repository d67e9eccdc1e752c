"""Watch a Lightning module by one callback: it says that the loss gets probabilities where it takes logits.

    python examples/watch_lightning.py

It takes some ten seconds and needs `pip install lightning`. The run is in the app too, on Train and Runs.
"""

import torch
from lightning.pytorch import LightningModule, Trainer
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import cnnviz

digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16
labels = torch.tensor(digits.target)


class Digits(LightningModule):
    """A small network, trained as many write it."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 10), nn.Softmax(dim=1)
        )

    def training_step(self, batch, number):
        """The loss of a batch."""
        return functional.cross_entropy(self.net(batch[0]), batch[1])  # nn.Softmax is too much

    def validation_step(self, batch, number):
        """The loss of images that are not learned from."""
        functional.cross_entropy(self.net(batch[0]), batch[1])

    def configure_optimizers(self):
        """The optimizer."""
        return torch.optim.Adam(self.parameters(), 1e-3)


watch = cnnviz.watch.lightning(name="digits, by Lightning", classes=[str(n) for n in range(10)])
trainer = Trainer(
    max_epochs=3, accelerator="cpu", callbacks=[watch], logger=False, enable_checkpointing=False,
    enable_progress_bar=False, enable_model_summary=False,
)  # fmt: skip
train = TensorDataset(images[:1400], labels[:1400])
test = TensorDataset(images[1400:], labels[1400:])
trainer.fit(Digits(), DataLoader(train, batch_size=32, shuffle=True), DataLoader(test, batch_size=200))
print(watch.run.diagnose())
