"""The commands of a job as files: in the package, and in the directory of a job."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

import pytest

from cloudq.adapters import job_tools
from cloudq.adapters.job_tools import COMMANDS, install_job_tools
from cloudq.domain.errors import WorkspaceProblem

ROOT = Path(__file__).parents[3]
SOURCES = Path(job_tools.__file__).parent


def test_a_job_gets_all_commands_to_run_and_nobody_else_does(tmp_path: Path) -> None:
    install_job_tools(tmp_path / "bin")

    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "bin").iterdir()}
    assert modes == dict.fromkeys(COMMANDS, 0o700) | {"cq_common.bash": 0o600}
    assert (tmp_path / "bin").stat().st_mode & 0o777 == 0o700


def test_they_can_be_installed_again_while_a_job_runs_them(tmp_path: Path) -> None:
    """A shell reads a script piece by piece while it runs: an open file must not change."""
    install_job_tools(tmp_path / "bin")
    with (tmp_path / "bin" / "cq_image").open() as running:
        (tmp_path / "bin" / "cq_image").write_text("old")
        install_job_tools(tmp_path / "bin")

        assert running.read() == "old"
    assert (tmp_path / "bin" / "cq_image").read_bytes() == (SOURCES / "cq_image").read_bytes()


def test_where_they_cannot_be_written_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "bin").touch()

    with pytest.raises(WorkspaceProblem, match="the job's commands"):
        install_job_tools(tmp_path / "bin")


def test_all_of_them_are_in_the_package() -> None:
    """Files that are not configured in setuptools exist in development, but are missing from the wheel."""
    globs = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"][
        "cloudq"
    ]
    packed = {path for glob in globs for path in (ROOT / "cloudq").glob(glob)}

    assert {path for path in SOURCES.iterdir() if path.is_file() and path.suffix != ".py"} <= packed


@pytest.mark.parametrize("command", COMMANDS)
def test_each_is_a_script_that_can_be_run_from_the_sources_too(command: str) -> None:
    path = SOURCES / command

    assert path.read_text().startswith("#!/bin/bash\n")
    assert os.access(path, os.X_OK)


def test_every_variable_and_exit_status_is_in_the_reference() -> None:
    page = (ROOT / "docs" / "job-tools.md").read_text(encoding="utf-8")
    code = "\n".join(path.read_text() for path in SOURCES.iterdir() if path.is_file())
    variables = set(re.findall(r"CLOUDQ_[A-Z_]+[A-Z]", code))

    assert variables - {"CLOUDQ_IMAGE_LOCK_STALE_S"} <= set(re.findall(r"CLOUDQ_[A-Z_]+[A-Z]", page))
    for status in (2, 125, 127):
        assert f"| {status} |" in page
