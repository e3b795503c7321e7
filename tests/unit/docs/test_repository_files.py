"""The files that tools and forges read: they name what exists in the project."""

from __future__ import annotations

import configparser
import re
import tomllib
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def read_yaml(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def test_forge_checks_every_python_that_the_package_supports() -> None:
    job = read_yaml(".github/workflows/check.yml")["jobs"]["check"]
    pythons = re.findall(r"Python :: (\d\.\d+)", "\n".join(PROJECT["project"]["classifiers"]))

    assert job["strategy"]["matrix"]["python"] == pythons
    assert any(step.get("run") == "bash .ci/run" for step in job["steps"])


def test_forge_workflow_may_only_read() -> None:
    assert read_yaml(".github/workflows/check.yml")["permissions"] == {"contents": "read"}


def test_commit_hooks_run_commands_of_the_makefile() -> None:
    [repository] = read_yaml(".pre-commit-config.yaml")["repos"]
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)

    assert repository["repo"] == "local"
    assert {hook["entry"] for hook in repository["hooks"]} <= {f"make {target}" for target in targets}


def test_editors_wrap_code_where_the_linter_does() -> None:
    text = (ROOT / ".editorconfig").read_text(encoding="utf-8")
    editors = configparser.ConfigParser()
    editors.read_string("[top]\n" + text)

    assert editors.getint("*.py", "max_line_length") == PROJECT["tool"]["ruff"]["line-length"]
