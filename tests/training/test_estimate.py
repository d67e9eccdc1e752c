"""What is promised before a run starts, against arithmetic by hand and against what was measured."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cnnviz import datasets, tracking
from cnnviz.tracking import Database, MetricWriter, Status
from cnnviz.training import Recipe
from cnnviz.training import estimate as estimates
from cnnviz.training.estimate import CPU_MACS, device_name, estimate, may_have_gpu

LENET = Recipe(
    model="lenet5", dataset="mnist", epochs=2, validation=0, momentum=0, device="cpu", batch_size=100
)


@pytest.fixture
def database() -> Iterator[Database]:
    with tracking.connect() as opened:
        yield opened


def timed(
    database: Database,
    recipe: Recipe,
    speed: float,
    device: str = "cpu",
    status: Status = Status.FINISHED,
) -> int:
    run = tracking.create_run(
        database,
        recipe.model_dump(mode="json"),
        model=recipe.model,
        dataset=recipe.dataset,
        seed=0,
        device=device,
    )
    lease = tracking.claim(database, device)
    assert lease is not None
    tracking.begin(database, lease)
    with MetricWriter(database, lease) as writer:
        writer.log("images_per_second", speed, 20)
    tracking.end(database, lease, status)
    return run.id


def test_without_a_run_it_is_a_guess(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    result = estimate(database, LENET)
    work = 2 * 416_520 * (3 * 60_000 + 10_000)
    assert result.seconds == pytest.approx(max(work / (2 * CPU_MACS), 1200 * 1e-3))
    assert "no run on cpu" in result.basis


def test_the_same_network_takes_what_it_took(database: Database) -> None:
    number = timed(database, LENET, 20_000)
    result = estimate(database, LENET.changed({"epochs": 10}))
    assert result.seconds == pytest.approx(10 * (60_000 + 10_000 / 3) / 20_000)
    assert f"run {number}" in result.basis


def test_a_run_that_failed_tells_no_speed(database: Database) -> None:
    number = timed(database, LENET, 20_000)
    timed(database, LENET, 300, status=Status.FAILED)
    assert f"run {number}" in estimate(database, LENET).basis


def test_another_network_is_carried_over_from_the_nearest_on_this_device(database: Database) -> None:
    colour = Recipe(model="small-alexnet", dataset="cifar10", epochs=1, validation=0, device="cpu")
    timed(database, LENET, 20_000)
    near = timed(database, colour, 100)
    timed(database, colour, 50_000, device="cuda:0")
    from cnnviz import analysis

    ratio = analysis.analyze("alexnet-cifar10").macs / analysis.analyze("small-alexnet").macs
    result = estimate(database, colour.changed({"model": "alexnet-cifar10"}))
    assert result.seconds == pytest.approx(ratio * (50_000 + 10_000 / 3) / 100)
    assert f"run {near} (small-alexnet)" in result.basis


def test_sizes(database: Database) -> None:
    weights, pixels = 61_706 * 4, 70_000 * 784
    plain = estimate(database, LENET)
    assert plain.disk_bytes == weights + pixels
    adam = estimate(database, LENET.changed({"optimiser": "adam", "validation": 0.1}))
    assert adam.disk_bytes == 2 * 3 * weights + pixels
    small, large = (estimate(database, LENET.changed({"batch_size": n})) for n in (1, 101))
    values = (large.memory_bytes - small.memory_bytes) / 100 / 8
    assert values == 784 + 2 * (4704 + 1600) + (1176 + 400) + 2 * (120 + 84) + 10


def test_what_is_there_takes_no_more_disk_and_what_is_unknown_no_time(database: Database) -> None:
    recipe = Recipe(dataset="digits", device="cpu", limit=100)
    before = estimate(database, recipe)
    images = len(datasets.load("digits").train) + len(datasets.load("digits").test)
    assert before.disk_bytes - estimate(database, recipe).disk_bytes == images * 784
    assert estimate(database, recipe.changed({"dataset": "someone/something"})).seconds is None


def test_a_run_that_nobody_can_read_any_more_is_passed_over(database: Database) -> None:
    timed(database, LENET.model_copy(update={"model": "gone"}), 1)
    assert "no run on cpu" in estimate(database, LENET).basis


def test_a_registered_network_needs_no_torch() -> None:
    code = (
        "import sys; from cnnviz import tracking; from cnnviz.training import Recipe\n"
        "from cnnviz.training.estimate import estimate\n"
        "estimate(tracking.connect(), Recipe(device='cpu')); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("files", "visible", "platform", "expected"),
    [
        ([], None, "linux", False),
        (["null", "nvidiactl", "nvidia-uvm", "nvidia-caps"], None, "linux", False),
        (["nvidia0"], None, "linux", True),
        (["nvidia3", "nvidiactl"], None, "linux", True),
        (["dxg"], None, "linux", True),
        (["nvhost-gpu"], None, "linux", True),
        (["kfd"], None, "linux", True),
        (["nvidia0"], "", "linux", False),
        (["nvidia0"], "-1", "linux", False),
        (["nvidia0"], "-1,0", "linux", False),
        (["nvidia3"], "3", "linux", True),
        (["nvidia0"], "GPU-8932f937", "linux", True),
        ([], None, "win32", True),
        ([], "-1", "win32", False),
        ([], None, "darwin", False),
    ],
)
def test_a_gpu_is_looked_for_wherever_its_driver_may_be(
    tmp_path: Path, files: list[str], visible: str | None, platform: str, expected: bool
) -> None:
    for name in files:
        (tmp_path / name).touch()
    environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert may_have_gpu(tmp_path, environment, platform) is expected


def test_where_devices_cannot_be_listed_torch_is_asked(tmp_path: Path) -> None:
    assert may_have_gpu(tmp_path / "missing", {}, "linux")


@pytest.mark.parametrize("there", [False, True])
def test_torch_names_the_device_only_where_there_may_be_a_gpu(
    monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    monkeypatch.setattr(estimates, "may_have_gpu", lambda: there)
    monkeypatch.setattr("cnnviz.training.setup.device_of", lambda recipe: "cuda:0")
    assert device_name(Recipe(device="auto")) == ("cuda:0" if there else "cpu")
    assert device_name(Recipe(device="cuda")) == "cuda:0"
    assert device_name(Recipe(device="cuda:1")) == "cuda:1"
