"""Paths: the folder of all user data, and the files that ship beside the package.

Those are the app script, pages, checkpoints, glossary and lesson plan. In the repository they lie at the
root; in a wheel, pyproject.toml maps the same tree to `cnnviz/packaged`.
"""

import os
from pathlib import Path

import platformdirs

_PACKAGED = Path(__file__).with_name("packaged")

ROOT = _PACKAGED if _PACKAGED.is_dir() else Path(__file__).parents[1]
"""Folder with app.py, pages/, checkpoints/ and .streamlit/config.toml."""
APP = ROOT / "app.py"
CHECKPOINTS = ROOT / "checkpoints"
GLOSSARY = ROOT / "docs" / "glossary.md"
LESSON = ROOT / "docs" / "lesson.md"


def home() -> Path:
    """Return the folder of all user data: `CNNVIZ_HOME`, or the platform's data folder."""
    return Path(os.environ.get("CNNVIZ_HOME") or platformdirs.user_data_path("cnnviz"))
