"""Metadata of the distribution that stands in files of its own: what it depends on.

The requirements files are what `make` installs from, so they stay the one list; pyproject.toml names this.
"""

from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

EXTRAS = {
    "auth": "requirements-auth.txt",
    "cluster": "requirements-cluster.txt",
    "postgres": "requirements-postgres.txt",
    "onnx": "requirements-onnx.txt",
    "umap": "requirements-umap.txt",
    "dev": "requirements-dev.txt",
}


class RequirementsHook(MetadataHookInterface):
    """Read dependencies and extras from the requirements files."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Fill in the dynamic fields."""
        metadata["dependencies"] = self._requirements("requirements.txt")
        metadata["optional-dependencies"] = {
            extra: self._requirements(name) for extra, name in EXTRAS.items()
        }

    def _requirements(self, name: str) -> list[str]:
        lines = (Path(self.root) / name).read_text(encoding="utf-8").splitlines()
        stripped = (line.partition("#")[0].strip() for line in lines)
        return [line for line in stripped if line]
