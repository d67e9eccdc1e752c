"""Watch a training loop in which optimizer.zero_grad() is missing, and print what is found.

    python examples/watch_a_loop.py

It takes seconds, offline: a small network on the digits of scikit-learn. The run stands on the
pages of the app too (`cnnviz app`).
"""

import torch
from sklearn.datasets import load_digits
from torch import nn

import cnnviz

images, labels = load_digits(return_X_y=True)
images = torch.tensor(images, dtype=torch.float32).view(-1, 1, 8, 8) / 16
labels = torch.tensor(labels)

torch.manual_seed(0)
model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16 * 16, 10)
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
run = cnnviz.watch(model, optimizer, name="zero_grad is missing", dataset="digits")  # the one new line

for _ in range(2):
    model.train()
    order = torch.randperm(1500)
    for start in range(0, 1500 - 32, 32):
        chosen = order[start : start + 32]
        loss = nn.functional.cross_entropy(model(images[chosen]), labels[chosen])
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        run.evaluate(model(images[1500:]), labels[1500:])

print(run.diagnose())
run.finish()
