"""Take a network of one's own from its file to a trained, explained and exported model.

    python examples/own_network.py [FOLDER]

It takes half a minute, offline: `own_network/net.py` on the digits of scikit-learn. What it does is what
these commands do. The runs are in the app too: cnnviz app --model examples/own_network/net.py:Net
"""

import subprocess
import sys
from pathlib import Path

FOLDER = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
NET = f"{Path(__file__).with_name('own_network')}/net.py:Net"


def cnnviz(*arguments: str) -> None:
    """Run a command and show it."""
    print(f"$ cnnviz {' '.join(arguments)}", flush=True)
    subprocess.run([sys.executable, "-m", "cnnviz", *arguments], check=True)


cnnviz("summary", NET, "--input-size", "1x28x28")
cnnviz("check", NET)
train = ("train", "--model", NET, "--option", "width=12", "--dataset", "digits", "--device", "cpu")
cnnviz(*train, "--epochs", "5")
# Fine-tuning begins so, with the first layer as it is and a lower rate for all but the last.
tuned = ("--start-from", "run:1", "--set", "freeze_until=conv1", "--set", "trunk_lr=0.1")
cnnviz(*train, "--epochs", "1", *tuned)
cnnviz("diagnose", "1")
cnnviz("export", "1", "--output", str(FOLDER / "exported.py"))

# Plain PyTorch from here on: a process that knows nothing of cnnviz.
program = "import torch, exported; print(exported.load()(torch.zeros(2, *exported.INPUT_SHAPE)).shape)"
subprocess.run([sys.executable, "-c", program], check=True, cwd=FOLDER)
