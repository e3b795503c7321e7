"""The commands that jobs call, the same on every system: ``docs/job-tools.md`` is their reference."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from cloudq.adapters.filesystem import as_workspace_problem, make_private_dir, replace_file

COMMANDS = ("abci_cs_cp", "cq_container_run", "cq_image")
_SOURCED = ("cq_common.bash",)
_EXECUTABLE = 0o700
_READABLE = 0o600


def install_job_tools(directory: Path) -> None:
    """Copy the commands into *directory*, which is created and belongs at the front of a job's PATH.

    The directory must be directly inside the control directory of the job: the images that the job
    uses are released once the directory is gone while the parent of its parent exists. Repeating the
    call is safe, even while a job runs the commands. Raises `WorkspaceProblem`.
    """
    with as_workspace_problem(f"write the job's commands to {directory}"):
        make_private_dir(directory)
        for names, mode in ((_SOURCED, _READABLE), (COMMANDS, _EXECUTABLE)):
            for name in names:
                replace_file(directory / name, (files(__package__) / name).read_bytes(), mode)
