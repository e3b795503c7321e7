"""The commands that jobs call, the same on every system: ``docs/job-tools.md`` is their reference."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from cloudq.adapters.filesystem import make_private_dir, replace_file, told_as_workspace_problem

COMMANDS = ("abci_cs_cp", "cq_container_run", "cq_image")
_SOURCED = ("cq_common.bash",)
_EXECUTABLE = 0o700
_READABLE = 0o600


def install_job_tools(directory: Path) -> None:
    """Copy the commands into *directory*, which is made; to be put in front of a job's PATH.

    It lies directly in what is kept of one job: the images that the job uses are let go of once it
    is gone while its parent's parent is there. Repeating it is safe, also while a job runs the
    commands. Raises `WorkspaceProblem`.
    """
    with told_as_workspace_problem(f"write the job's commands to {directory}"):
        make_private_dir(directory)
        for names, mode in ((_SOURCED, _READABLE), (COMMANDS, _EXECUTABLE)):
            for name in names:
                replace_file(directory / name, (files(__package__) / name).read_bytes(), mode)
