"""Check the wheel as a stranger gets it: built, installed into an empty environment, used from elsewhere.

It needs no network: the build runs without isolation, and the new environment takes its dependencies from the
one that runs this script, by a .pth file. Run it by `make wheel-check`; it ends with 0, or says what failed.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.error
import urllib.request
import venv
import zipfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
SECONDS = 120
"""How long any of its steps may take."""
DRAWN = "h1, [data-testid=stException]"
NO_PAGES = {"__init__", "navigation", "start"}
"""Files of pages/ that are none, and the one at the root address."""


def main() -> None:
    """Run every step in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="cnnviz-wheel-") as name:
        folder = Path(name)
        python = install(build(folder), folder)
        elsewhere = folder / "elsewhere"
        elsewhere.mkdir()
        check_commands(python, elsewhere)
        check_app(python, elsewhere)
    print("wheel: passed")


def build(folder: Path) -> Path:
    """Build the wheel of this checkout, and return its path."""
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    _output(command, folder, dict(os.environ))
    (wheel,) = folder.glob("*.whl")
    print(f"wheel: {wheel.name}, {wheel.stat().st_size / 2**20:.1f} MiB")
    check_files(wheel)
    return wheel


def check_files(wheel: Path) -> None:
    """Require every file of the package in the wheel: a pattern of .gitignore once left out a folder."""
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    files = {path.relative_to(ROOT) for path in (ROOT / "cnnviz").rglob("*") if path.is_file()}
    missing = sorted(
        str(path) for path in files if "__pycache__" not in path.parts and str(path) not in packed
    )
    _require(not missing, f"the wheel lacks {len(missing)} files: {', '.join(missing[:5])}")


def install(wheel: Path, folder: Path) -> Path:
    """Install the wheel into an environment without pip, and return that environment's interpreter."""
    environment = folder / "environment"
    venv.create(environment, symlinks=True, with_pip=False)
    python = environment / "bin" / "python"
    packages = Path(
        _output([str(python), "-c", "import site; print(site.getsitepackages()[0])"], folder).strip()
    )
    paths = dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib"))
    (packages / "dependencies.pth").write_text("\n".join(paths) + "\n", encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python)]
    _output([*pip, "install", "--quiet", "--no-index", "--no-deps", str(wheel)], folder)
    return python


def check_commands(python: Path, elsewhere: Path) -> None:
    """Run the installed commands on what ships."""
    where = _output([str(python), "-c", "import cnnviz; print(cnnviz.__file__)"], elsewhere).strip()
    _require(Path(where).is_relative_to(python.parents[1]), f"cnnviz was imported from {where}")
    command = str(python.with_name("cnnviz"))
    _require("lenet5" in _output([command, "models"], elsewhere), "cnnviz models does not list lenet5")
    digit = Image.new("L", (28, 28))
    digit.paste(255, (13, 4, 16, 24))
    digit.save(elsewhere / "one.png")
    options = ["one.png", "--checkpoint", "lenet5-mnist", "--json"]
    (prediction,) = json.loads(_output([command, "predict", *options], elsewhere))
    first = prediction["predictions"][0]["class"]
    _require(first == "1", f"cnnviz predict takes the drawn 1 for {first}")
    _output([str(python), "-m", "cnnviz", "--version"], elsewhere)
    print("wheel: cnnviz models, cnnviz predict")


def check_app(python: Path, elsewhere: Path) -> None:
    """Start the installed app and draw every page in Chromium."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [str(python.with_name("cnnviz")), "app", "--port", str(port), "--address", "127.0.0.1"]
    command += ["--home", "home", "--", "--server.headless", "true"]
    log = elsewhere / "app.log"
    with log.open("wb") as output:
        app = subprocess.Popen(
            command, cwd=elsewhere, env=_environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        _await(f"{url}/_stcore/health", app, log)
        with urllib.request.urlopen(url, timeout=SECONDS) as answer:
            _require(answer.status == 200, f"the app's first page answers {answer.status}")
        _draw(url, log)
    finally:
        app.terminate()
        app.wait(SECONDS)
    print("wheel: cnnviz app")


def _draw(url: str, log: Path) -> None:
    """Draw every page in a browser: the server's own answer is empty, the content comes by a socket."""
    with sync_playwright() as playwright:
        chromium = os.environ.get("CNNVIZ_CHROMIUM") or shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        names = sorted({path.stem for path in (ROOT / "pages").glob("*.py")} - NO_PAGES)
        for name in ("", *names):
            page.goto(f"{url}/{name}")
            page.wait_for_selector(DRAWN, timeout=SECONDS * 1000)
            page.wait_for_selector("[data-test-script-state=notRunning]", timeout=SECONDS * 1000)
            exceptions = page.locator("[data-testid=stException]").all_inner_texts()
            _require(not exceptions, f"page '{name}' has an exception: {exceptions}\n{_read(log)}")
        print(f"wheel: {len(names)} pages are drawn without an exception")
        browser.close()


def _await(url: str, app: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        _require(app.poll() is None, f"the app ended with {app.returncode}: {_read(log)}")
        try:
            with urllib.request.urlopen(url, timeout=SECONDS):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise SystemExit(f"wheel: the app did not answer within {SECONDS} s: {_read(log)}")


def _environment() -> dict[str, str]:
    """This process's environment without what would lead back to the checkout."""
    return {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "CNNVIZ_HOME"}}


def _output(command: list[str], folder: Path, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment or _environment(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    _require(done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise SystemExit(f"wheel: failed: {otherwise}")


def _read(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")


if __name__ == "__main__":
    main()
