"""Check the GPU path point by point in about a minute: `python -m benchmarks.gpu --selftest [--device cpu]`.

Nothing is read: images are drawn. Each check trains or steps some small network and returns, in words, what
it saw; what it expects and does not find is an `AssertionError`. Checks that a processor can make run there
too, which is how they are themselves tested; the others say that they want a GPU, and do not count as passed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from cnnviz.datasets import Dataset, Part
from cnnviz.models.layers import Activation, BatchNorm, Conv, Dropout, Flatten, GlobalPool, LayerList, Linear
from cnnviz.training import Recipe
from cnnviz.training.cuda_graphs import should_capture
from cnnviz.training.metrics import NonFiniteLossError, evaluate
from cnnviz.training.run_logger import InMemoryLogger, peak_flops
from cnnviz.training.setup import TooLittleMemoryError, build_training
from cnnviz.training.trainer import LAST, Trainer

SIDE = 32
CLASSES = ("red", "green", "blue", "dark")
CLOSE = 2e-2
"""Relative, of a weight tensor's norm: TF32 has ten bits, and fifty steps add up what they round."""
NETWORK = LayerList(
    input=(3, SIDE, SIDE),
    layers=(
        Conv(name="conv1", out=16, kernel=3, padding=1),
        BatchNorm(name="norm1"),
        Activation(name="relu1"),
        Conv(name="conv2", out=32, kernel=3, padding=1, stride=2),
        Activation(name="relu2"),
        GlobalPool(name="pool"),
        Flatten(name="flatten"),
        Linear(name="fc", out="classes"),
    ),
)
RECIPE = Recipe(layers=NETWORK, epochs=4, batch_size=64, lr=0.1, validation=0, seed=1)


@dataclass(frozen=True)
class Check:
    """One point: its name, what makes it, and whether it wants a GPU."""

    name: str
    make: Callable[[torch.device], str]
    gpu: bool


@dataclass(frozen=True)
class Outcome:
    """How a check ended: `pass`, `fail` or `not made`, in words, and in how many seconds."""

    name: str
    outcome: str
    words: str
    seconds: float


CHECKS: list[Check] = []


def check(name: str, *, gpu: bool = False) -> Callable[[Callable[[torch.device], str]], Callable[..., str]]:
    """Register a check under the sentence that it proves."""

    def add(make: Callable[[torch.device], str]) -> Callable[..., str]:
        CHECKS.append(Check(name, make, gpu))
        return make

    return add


def selftest(device: torch.device) -> Iterator[Outcome]:
    """Make every check on a device, one after another; none keeps the next from being made."""
    for check in CHECKS:
        start = time.perf_counter()
        if check.gpu and device.type != "cuda":
            yield Outcome(check.name, "not made", "it wants a GPU", 0.0)
            continue
        try:
            words, outcome = check.make(device), "pass"
        except Exception as error:
            lines = str(error).strip().splitlines()
            words, outcome = f"{type(error).__name__}: {lines[0] if lines else ''}", "fail"
        if device.type == "cuda":
            torch.cuda.empty_cache()
        yield Outcome(check.name, outcome, words, time.perf_counter() - start)


# What is trained: four colors under noise.


def drawn(count: int, seed: int = 0, side: int = SIDE) -> Part:
    """Images `(count, 3, side, side)` whose label is the channel that is brightest, or none."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % len(CLASSES)
    images = random.integers(0, 120, (count, 3, side, side)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        if label < 3:
            image[label] += 90
    return Part(images, labels.astype(np.int64))


def dataset(count: int = 640, side: int = SIDE) -> Dataset:
    """`count` drawn images to learn from, 128 others to be judged by."""
    return Dataset(
        "drawn", "Drawn", CLASSES, drawn(count, 0, side), drawn(128, 1, side), "d" * 64, (), Path()
    )


def trainer(
    device: torch.device,
    data: Dataset | None = None,
    folder: Path | None = None,
    *,
    graphed: bool = True,
    **changes: Any,
) -> tuple[Trainer, InMemoryLogger]:
    """A run on the device; `graphed=False` launches its steps one kernel at a time."""
    recipe = RECIPE.changed({"device": "gpu" if device.type == "cuda" else device.type, **changes})
    ready, log = build_training(recipe, data or dataset(), device), InMemoryLogger()
    macs = ready.macs if graphed else 0
    return (
        Trainer(
            ready.recipe, ready.model, ready.data_module, ready.side, log, folder, macs, data_report=False
        ),
        log,
    )


def steps(run: Trainer, count: int) -> None:
    """Make `count` steps by themselves: ending a run drains what was measured, and waits for that."""
    run.model.train()
    for _ in range(count):
        run._train_step(run.rate(), record_layers=False)


def notes(log: InMemoryLogger) -> str:
    """What the engine said of itself."""
    return " ".join(value["note"] for _, kind, value in log.records if kind == "engine" and "note" in value)


def furthest(one: nn.Module, other: nn.Module) -> float:
    """The largest difference of a tensor of weights, relative to its norm."""
    theirs = other.state_dict()
    return max(
        float(
            (value.cpu().float() - theirs[name].cpu().float()).norm() / value.cpu().float().norm().clamp(1e-6)
        )
        for name, value in one.state_dict().items()
        if value.is_floating_point()
    )


# The checks.


@check("A network learns, in fp32 and in bf16, and images a second, memory and MFU are figures")
def learns(device: torch.device) -> str:
    found = []
    for precision in ("fp32", "bf16") if device.type == "cuda" else ("fp32",):
        run, log = trainer(device, precision=precision)
        assert run.run()
        accuracy = log.last("test/accuracy")
        assert accuracy > 0.9, f"{precision}: {accuracy:.1%} of the test images after {run.step} steps"
        for name in ("images_per_second", "memory_bytes"):
            assert log.last(name) > 0, f"{precision}: {name} is {log.last(name)}"
        found.append(f"{precision} {accuracy:.1%}")
    return ", ".join(found)


@check("Twenty steps on the device and on the CPU make the same weights, as far as TF32 goes")
def equals_cpu(device: torch.device) -> str:
    here, there = trainer(device)[0], trainer(torch.device("cpu"))[0]
    there.model.load_state_dict({name: value.cpu() for name, value in here.model.state_dict().items()})
    steps(here, 20)
    steps(there, 20)
    worst = furthest(here.model, there.model)
    assert worst < CLOSE, f"they differ by {worst:.2g}"
    return f"they differ by {worst:.2g} at the most"


@check("Evaluation on the device gives the CPU's answers")
def evaluates(device: torch.device) -> str:
    run = trainer(device)[0]
    steps(run, 20)
    here = evaluate(run.model, run.data_module.test, run.transform)
    other = trainer(torch.device("cpu"))[0]
    other.model.load_state_dict({name: value.cpu() for name, value in run.model.state_dict().items()})
    there = evaluate(other.model, other.data_module.test, other.transform)
    assert abs(here.accuracy - there.accuracy) <= 2 / 128, f"{here.accuracy:.3f} here, {there.accuracy:.3f}"
    return f"{here.accuracy:.1%} and {there.accuracy:.1%} right"


@check("What was stopped goes on from its checkpoint to the same weights")
def resumes(device: torch.device) -> str:
    with TemporaryDirectory() as folder:
        whole, _ = trainer(device)
        whole.run()
        part, _ = trainer(device, folder=Path(folder))
        part.run(lambda: part.step < 15)
        other, _ = trainer(device, folder=Path(folder))
        other.restore(Path(folder) / LAST)
        assert other.step == 15
        other.run()
    worst = furthest(whole.model, other.model)
    assert worst < CLOSE, f"they differ by {worst:.2g}"
    return f"they differ by {worst:.2g} at the most"


@check("A loss that is no number names the layer where it began")
def locates(device: torch.device) -> str:
    run, _ = trainer(device)
    steps(run, 15)
    with torch.no_grad():
        dict(run.model.named_parameters())["conv2.weight"][0, 0, 0, 0] = float("nan")
    try:
        run.run()
    except NonFiniteLossError as error:
        words = str(error)
    else:
        raise AssertionError("the run went on")
    assert "weights of 'conv2'" in words, words
    return words


@check("No statistic is taken in 64 bits on the device", gpu=True)
def no_double(device: torch.device) -> str:
    class Doubles(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __init__(self) -> None:
            super().__init__()  # type: ignore[no-untyped-call]
            self.found: set[str] = set()

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = func(*args, **(kwargs or {}))
            for value in out if isinstance(out, tuple | list) else (out,):
                if isinstance(value, Tensor) and value.dtype == torch.float64 and value.device == device:
                    self.found.add(str(func))
            return out

    run, _ = trainer(device, graphed=False)
    with Doubles() as mode:
        run.run()
    assert not mode.found, f"64 bits in {', '.join(sorted(mode.found)[:4])}"
    return f"none in {run.step} steps, looks and evaluations"


@check("A quiet step waits for nothing", gpu=True)
def never_waits(device: torch.device) -> str:
    variants: dict[str, dict[str, Any]] = {
        "plain": {},
        "bf16": {"precision": "bf16"},
        "crop and flip": {"pad_crop": 4, "flip": "random", "cutout": 8},
        "Adam, clipped, mixed": {"optimiser": "adam", "lr": 1e-3, "clip_norm": 1.0, "mixup": 0.2},
        "one-cycle, weighted": {"schedule": "one-cycle", "class_weights": "balanced"},
    }
    for name, changes in variants.items():
        run, _ = trainer(device, dataset(64 * 40), **changes)
        steps(run, 25)
        torch.cuda.set_sync_debug_mode("error")
        try:
            steps(run, 10)
        except RuntimeError as error:
            raise AssertionError(f"{name}: {str(error).splitlines()[0]}") from None
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return f"ten steps each: {', '.join(variants)}"


@check("Steps are replayed from a CUDA graph, and make the weights of steps that are launched", gpu=True)
def replays(device: torch.device) -> str:
    graphed, log = trainer(device)
    assert should_capture(graphed.pace.macs, RECIPE.batch_size)
    launched, _ = trainer(device, graphed=False)
    launched.model.load_state_dict(graphed.model.state_dict())
    steps(graphed, 40)
    steps(launched, 40)
    assert "replayed from a CUDA graph" in notes(log), notes(log) or "nothing was said of a graph"
    worst = furthest(graphed.model, launched.model)
    assert worst < CLOSE, f"they differ by {worst:.2g}"
    return f"after 40 steps they differ by {worst:.2g} at the most"


@check("After a replay the gradients are that step's, and there is one set of them", gpu=True)
def gradients(device: torch.device) -> str:
    run, _ = trainer(device, lr=0.0, weight_decay=0.0)  # Weights stay: each batch has its gradient.
    steps(run, 20)
    before = torch.cuda.memory_allocated(device)
    for _ in range(10):
        steps(run, 1)
        images, labels = run._batch()
        run._plain(images, labels)  # An eager step in between leaves gradients of its own.
    steps(run, 1)
    replayed = [parameter.grad.clone() for parameter in run.model.parameters() if parameter.grad is not None]
    run.step -= 1
    images, labels = run._batch()
    run._plain(images, labels)
    eager = [parameter.grad for parameter in run.model.parameters() if parameter.grad is not None]
    worst = max(
        float((one - other).norm() / other.norm().clamp(1e-6))
        for one, other in zip(replayed, eager, strict=True)
    )
    assert worst < CLOSE, f"they differ by {worst:.2g}"
    weights = sum(parameter.numel() * 4 for parameter in run.model.parameters())
    grown = torch.cuda.memory_allocated(device) - before
    assert grown < 4 * weights + 2**20, f"memory grew by {grown:,} bytes beside {weights:,} of weights"
    return f"they differ by {worst:.2g}; memory grew by {grown:,} bytes"


@check("Another thread may use the GPU while a step is recorded", gpu=True)
def records_beside_others(device: torch.device) -> str:
    over = threading.Event()

    def use() -> None:
        while not over.is_set():
            torch.ones(256, device=device).sum().item()
            torch.cuda.mem_get_info(device)

    thread = threading.Thread(target=use)
    thread.start()
    try:
        run, log = trainer(device)
        steps(run, 20)
    finally:
        over.set()
        thread.join()
    assert "replayed from a CUDA graph" in notes(log), notes(log)
    return notes(log)


@check("A batch that does not fit is answered with one that does", gpu=True)
def says_what_fits(device: torch.device) -> str:
    free, _ = torch.cuda.mem_get_info(device)
    with ballast(device, max(0, free - 3 * 2**30)):
        data = dataset(4096, 64)
        try:
            trainer(device, data, batch_size=4096, layers=wide(), graphed=False)[0].run()
        except TooLittleMemoryError as error:
            words = str(error)
        else:
            raise AssertionError("4,096 images of 64×64 fitted into 3 GiB")
        fits = int(words.rpartition("a batch of ")[2].split()[0])
        torch.cuda.empty_cache()
        run, _ = trainer(device, data, batch_size=fits, layers=wide(), graphed=False)
        steps(run, 2)
        torch.cuda.synchronize(device)
    return words


def wide() -> LayerList:
    """A network whose activations are large."""
    return LayerList(
        input=(3, 64, 64),
        layers=(
            Conv(name="conv1", out=96, kernel=3, padding=1),
            Activation(name="relu1"),
            Conv(name="conv2", out=96, kernel=3, padding=1),
            Activation(name="relu2"),
            Dropout(name="dropout", p=0.1),
            GlobalPool(name="pool"),
            Flatten(name="flatten"),
            Linear(name="fc", out="classes"),
        ),
    )


@contextmanager
def ballast(device: torch.device, size: int) -> Iterator[None]:
    """Hold bytes of the device, so that little is left."""
    held = torch.empty(size, dtype=torch.uint8, device=device)
    try:
        yield
    finally:
        del held
        torch.cuda.empty_cache()


@check("A run that has ended leaves no memory behind", gpu=True)
def leaves_nothing(device: torch.device) -> str:
    def once() -> None:
        trainer(device)[0].run()

    once()
    torch.cuda.synchronize(device)
    before = torch.cuda.memory_allocated(device)
    once()
    torch.cuda.synchronize(device)
    left = torch.cuda.memory_allocated(device) - before
    assert left <= 2**20, f"{left:,} bytes are left"
    return f"{max(left, 0):,} bytes are left after a second run"


@check("Products of fp32 are taken in TF32, as MFU counts them, and the peak is known at once", gpu=True)
def counts_tf32(device: torch.device) -> str:
    trainer(device)
    assert torch.get_float32_matmul_precision() == "high", torch.get_float32_matmul_precision()
    start = time.perf_counter()
    peak = peak_flops(device, "fp32", 1)
    seconds = time.perf_counter() - start
    assert seconds < 3, f"the peak took {seconds:.1f} s"
    return f"{peak.flops / 1e12:.0f} TFLOP/s ({peak.basis}), after {seconds:.2f} s"


@check("A compiled run compiles its step once, whatever the size of the last batch", gpu=True)
def compiles_once(device: torch.device) -> str:
    import torch._dynamo.utils

    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    run, _ = trainer(device, dataset(640 + 8), compile=True, epochs=2)
    run.run()
    graphs = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    assert graphs <= 2, f"{graphs} graphs were compiled"  # one, and one more where a hook splits it
    return f"{graphs} graph{'' if graphs == 1 else 's'}"


def render(outcomes: list[Outcome]) -> str:
    """The outcomes as lines, and how many of which there are."""
    lines = [
        f"{outcome.outcome:<8} {outcome.seconds:5.1f} s  {outcome.name}: {outcome.words}"
        for outcome in outcomes
    ]
    counts = {
        word: sum(outcome.outcome == word for outcome in outcomes) for word in ("pass", "fail", "not made")
    }
    return "\n".join([*lines, ", ".join(f"{count} {word}" for word, count in counts.items())])
