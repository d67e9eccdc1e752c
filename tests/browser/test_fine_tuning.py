"""Fine-tuning in a browser: a run's weights, other data with other classes, frozen layers, all from Train."""

import contextlib
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, TimeoutError, expect
from safetensors.torch import load_file
from torch import Tensor, equal

from cnnviz import tracking
from cnnviz.datasets import library
from cnnviz.tracking import Database
from tests.browser.conftest import Visit
from tests.browser.test_train import press, state
from tests.browser.waiting import TIMEOUT_MS, rerun, settle
from tests.datasets.making import classes, write

FIRST = "train?model=lenet5&dataset=digits&recipe=plain&set.epochs=1&set.limit=200&set.device=cpu"
NAMES = ("cat", "dog", "owl")
TRIES = 20


def unfold(page: Page, title: str, inside: str) -> None:
    """Open a fold until the list in it is seen: one clicked while the page is drawn may close again."""
    settle(page)
    fold = page.locator("details").filter(has=page.get_by_text(title, exact=True))
    for _ in range(TRIES):
        if fold.get_attribute("open") is None:
            fold.locator("summary").click()
        with contextlib.suppress(TimeoutError):
            fold.get_by_role("combobox", name=inside, exact=True).wait_for(timeout=TIMEOUT_MS / TRIES)
            return
    expect(fold.get_by_role("combobox", name=inside, exact=True)).to_be_visible()


def choose(page: Page, label: str, option: str) -> None:
    """Choose in a list; one that is opened while its fold still opens is closed by that, and opened again."""
    box = page.get_by_role("combobox", name=label, exact=True)
    wanted = page.get_by_role("option").filter(has_text=option).first
    with rerun(page):
        for _ in range(TRIES):
            box.press("ArrowDown")
            with contextlib.suppress(TimeoutError):
                wanted.click(timeout=TIMEOUT_MS / TRIES)
                return
        wanted.click()


def number(page: Page) -> int:
    expect(page).to_have_url(re.compile(r"run=\d+"))
    return int(re.findall(r"run=(\d+)", page.url)[0])


def weights(runs: Database, run_id: int) -> dict[str, Tensor]:
    run = tracking.get_run(runs, run_id)
    stored = load_file(tracking.run_folder(run.id, run.key) / "last.safetensors")
    return {name: value for name, value in stored.items() if name.startswith("model.")}


@pytest.fixture
def other(runs: Database, tmp_path: Path) -> str:
    """Data of one's own with three classes, known to the app that is looked at."""
    return library.save_user_dataset(write(tmp_path / "animals", classes(12, NAMES)), "animals").name


def test_a_run_is_fine_tuned_on_other_classes_with_frozen_layers(
    visit: Visit, runs: Database, other: str
) -> None:
    page = visit(FIRST)
    press(page, "Start")
    state(page, "finished")
    first = number(page)
    page = visit(f"train?model=lenet5&dataset={other}&recipe=plain&set.epochs=2&set.device=cpu")
    unfold(page, "Fine-tuning", "Start from")
    choose(page, "Start from", f"Run {first} · Digits")
    expect(page.get_by_text("parameters are trained.")).to_be_visible()
    choose(page, "Freeze up to", "conv2 · Conv2d")
    expect(page.get_by_text(re.compile(r"^2,572 of 61,\d\d\d parameters stay frozen\.$"))).to_be_visible()
    rate = page.get_by_role("textbox", name="Learning rate of the trunk")
    with rerun(page):
        rate.fill("0.5")
        rate.press("Enter")
    expect(page.get_by_text("0.5 × 0.05 = 0.025 for all but the last layer.")).to_be_visible()
    page.reload()
    settle(page)
    expect(page.get_by_text(f"Fine-tuning: from run {first}, frozen up to conv2")).to_be_visible()
    press(page, "Start")
    state(page, "finished")
    expect(page.locator(".run-about")).to_contain_text(
        f"began with the weights of run {first}, frozen up to conv2"
    )
    page.get_by_text("Layers of its network").click()
    table = page.locator(".own-layers")
    expect(table.get_by_role("row", name="conv2 Conv2d 2,416 frozen")).to_be_visible()
    expect(table.get_by_role("row", name=re.compile("^fc1 .*× 0.5"))).to_be_visible()
    expect(table).to_contain_text("2 of 5 layers with weights are frozen: 2,572 of")
    before, after = weights(runs, first), weights(runs, number(page))
    frozen = {name for name in before if name.startswith(("model.conv1.", "model.conv2."))}
    assert frozen
    assert all(equal(before[name], after[name]) for name in frozen)
    assert after["model.fc3.bias"].shape == (len(NAMES),), "the head is made for the data"
    assert not equal(before["model.fc1.weight"], after["model.fc1.weight"])
