"""The job shell: the script that is submitted to a scheduler, around the user's unchanged script.

It ensures that the script starts at most once per claim and task (protocol 4.3), and records how it started
and ended (protocol 5.2). A submission is distinguished from others of its claim by its scheduler job id and
the number of the attempt: a scheduler that is reset reuses its ids, and an earlier submission may start
after a later one. This module has the values on which its text depends; the text is in
``cloudq/adapters/job_shell``.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from cloudq.domain.names import ClaimTag
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.domain.scripts.header import HeaderSyntax

BLOCKED = "none"
"""The content of a lock that keeps every submission from starting the script (protocol 4.7)."""

NOT_ITS_TURN = 113
"""The exit code of a submission that may not start the script, because another one holds the lock.

It is not 0: an agent that sees the scheduler's report but not the lock would take it for the script's own
exit code.
"""

TASK_ARGUMENTS = "arguments"
"""The file in the control directory whose line n has the arguments of task n, quoted for a shell."""

STAY = "stay"
"""The argument of a job shell if the user's own options determine where the script starts."""


@frozen
class ShellDialect:
    """The properties of one kind of scheduler that a job shell depends on."""

    header: HeaderSyntax
    """The syntax of the lines that are copied from the script."""
    scheduler_job_id: str
    """The shell word that gives the scheduler job id, the same for all tasks of an array."""
    task_id: str
    """The shell word that gives the task id, or nothing for a job that is not an array."""
    forward_signals: bool
    """Whether the scheduler signals only the job shell, not the processes of the script."""
    copies_output: bool = False
    """Whether the user's options may redirect the output, so that the job shell must copy it."""
    reserved_exit_codes: frozenset[int] = frozenset()
    """Exit codes with another meaning for the scheduler, such as "run it again". The shell of a meta job
    ends with 1 instead of them, while its record has the true code."""
    takes_output: str = ""
    """A shell word that is not empty if the user does not want the output elsewhere: then the job shell
    does not copy it, but writes it to its logs. For schedulers that write their files only at the end."""
    own_variables: tuple[str, ...] = ()
    """Environment variables that the submission set for the job shell alone: neither the script nor
    anything that it submits may have them."""


@frozen(kw_only=True)
class MetaSetting:
    """The environment that the shell of a meta job prepares before it starts the script."""

    environment: Mapping[str, str]
    """Variables to export; the names are cloudq's own, the values may be anything."""
    preamble: tuple[str, ...] = ()
    """Lines of shell code that the site wrote."""
    tools_dir: str = ""
    """The directory that is put in front of PATH; empty if there are no tools."""
    images: tuple[str, ...] = ()
    """URLs; the file name of each becomes CONTAINER_IMG0, 1, …"""


@frozen
class JobShellPlan:
    """The data of one job shell; all paths are absolute."""

    tag: ClaimTag
    control_dir: str
    work_dir: str
    script_path: str
    has_shebang: bool
    header_lines: tuple[str, ...] = ()
    interpreter: str = ""
    """The interpreter that runs the script, whatever its own first line names, if the user asked for one."""
    system: str = ""
    """The name of the system, which the script finds in SYSTEM."""
    array: ArrayRange | None = None
    """The tasks of an array job, which the script finds in ARY_TASK_ID, ARY_TASK_FIRST and so on."""
    meta: MetaSetting | None = None
    """The environment of a meta job's script; None for a local jobscript."""
    arguments: tuple[str, ...] = ()
    has_task_arguments: bool = False
    """Whether the file `TASK_ARGUMENTS` has a line with further arguments for each task."""
    environment: tuple[str, ...] = ()
    """Texts ``NAME=value``: variables to export before anything else is prepared."""


def record_name(kind: str, task: int | None) -> str:
    """Return the file name of a lock or record, such as ``lock.3`` or, for a plain job, ``exit``."""
    return kind if task is None else f"{kind}.{task}"
