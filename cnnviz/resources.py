"""Paths of the files that ship beside the package: app script, pages, checkpoints, glossary, lesson plan.

In the repository they lie at the root; in a wheel, pyproject.toml maps the same tree to `cnnviz/packaged`.
"""

from pathlib import Path

_PACKAGED = Path(__file__).with_name("packaged")

ROOT = _PACKAGED if _PACKAGED.is_dir() else Path(__file__).parents[1]
"""Folder with app.py, pages/, checkpoints/ and .streamlit/config.toml."""
APP = ROOT / "app.py"
CHECKPOINTS = ROOT / "checkpoints"
GLOSSARY = ROOT / "docs" / "glossary.md"
LESSON = ROOT / "docs" / "lesson.md"
