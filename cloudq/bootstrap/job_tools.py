"""The executables that meta jobs find on their PATH, and what those must know."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.resources import files

from cloudq.config import Config


def job_tools() -> Mapping[str, bytes]:
    """Every tool, and what they share, by file name."""
    directory = files("cloudq.adapters") / "job_tools"
    if not directory.is_dir():
        return {}
    return {file.name: file.read_bytes() for file in directory.iterdir() if _is_tool(file.name)}


def tool_environment(config: Config) -> Mapping[str, str]:
    """The variables that the tools read."""
    return {
        "CLOUDQ_CONTAINER_RUNTIME": "",
        "CLOUDQ_IMAGE_CACHE": str(config.home / "images"),
        "CLOUDQ_PYTHON": sys.executable,
        "CLOUDQ_CONFIG": str(config.path) if config.path else "",
    }


def _is_tool(name: str) -> bool:
    return not name.startswith("_") and not name.endswith(".py")
