"""Parse the output of Slurm's commands; unreadable output does not count as an answer.

Every query runs with times in UTC and with array expressions of any length (`QUERY_ENVIRONMENT`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from attrs import define, field, frozen

from cloudq.adapters.schedulers.slurm.states import CANCELED_BY
from cloudq.domain.errors import InvalidInput, SchedulerUnavailable
from cloudq.domain.jobs.job_shell import STAY
from cloudq.domain.names import ClaimTag

QUERY_ENVIRONMENT: Mapping[str, str] = {
    "LC_ALL": "C",
    "SLURM_BITSTR_LEN": "0",
    "SLURM_TIME_FORMAT": "standard",
    "TZ": "UTC0",
}

_MARK = "cq"
SQUEUE_FORMAT = f"{_MARK}|%i|%T|%V|%r|%o"
"""No job names, because they may contain anything. The command comes last for the same reason."""

WORK_DIR_FORMAT = f"{_MARK}|%F|%Z"

SINFO_FORMAT = f"{_MARK}|%P|%C"
"""The default partition has a star; CPUs are printed as allocated/idle/other/total."""

SACCT_FIELDS = ("JobID", "State", "ExitCode", "Submit")
SUBMIT_LINE = "SubmitLine"
"""A field that sacct has had since Slurm 21.08."""

SINFO = ("sinfo", "--noheader", f"--format={SINFO_FORMAT}")
SHOW_JOB = ("scontrol", "--all", "--oneliner", "show", "job")
NEEDED = "cloudq needs Slurm 17.11 or newer"
ANY_ID = "999999"
"""An arbitrary job id for probes: it does not matter whether the job exists."""
PROBES = (
    # The options before --version must be known; nothing is submitted.
    ("sbatch", "--parsable", "--array=1", "--job-name=probe", "--chdir=/", "--output=/dev/null",
     "--error=/dev/null", "--open-mode=append", "--version"),
    ("scancel", "--version"),
    SINFO,
)  # fmt: skip
"""The commands as the adapter uses them, in harmless calls."""

_ARRAY_ID = re.compile(r"([0-9]{1,10})(?:_(?:([0-9]{1,10})|\[([^\]]*)\]?))?(?:\+[0-9]+)?")
_SPAN = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9})(?::([0-9]{1,9}))?)?")
_TAG_IN_PATH = re.compile(r"/([0-9a-f]{8}\.[1-9][0-9]{0,5})/[^/]*$")
_EXIT_CODE = re.compile(r"([0-9]{1,3}):([0-9]{1,3})")
_SHOWN_JOB = re.compile(
    r"JobId=([0-9]+)(?: ArrayJobId=([0-9]+))?(?: ArrayTaskId=([0-9]+))? .*?"
    r" JobState=[A-Z_]+ Reason=\S* (?:[A-Za-z]+=\S* )*?ExitCode=([0-9]+:[0-9]+)",
    re.ASCII,
)
"""Names and comments around it may contain anything; some versions have more fields in between."""
_NEXT_SACCT_ROW = re.compile(r"\n(?=[0-9][^|\n]*\|[^|\n]*\|[0-9]+:[0-9]+\|)")
"""A line break between two rows; the options of a submit line may contain others."""
_SIGNALS_OF_SCRIPTS = range(2, 32)
_IDLE_CPUS = re.compile(rf"{_MARK}\|([^|]*?)(\*?)\|[0-9]+/([0-9]{{1,9}})/[0-9]+/[0-9]+")
_MAX_TASKS_OF_A_SPAN = 4_000_000


@frozen
class TaskRow:
    """One line of an answer: a task, or several tasks in the same state."""

    state: str
    reason: str = ""
    submitted: str = ""
    exit_code: int | None = None


@define
class JobRows:
    """The rows of an answer about one scheduler job; a plain job has the single task None."""

    tag: ClaimTag | None
    submitted: str
    tasks: dict[int | None, TaskRow] = field(factory=dict)
    is_cut: bool = False
    """Whether some tasks are not named, because Slurm truncates long lists."""


def squeue_argv(owner: str) -> tuple[str, ...]:
    """Return the query for all jobs of *owner*, including those in partitions that a site has hidden.

    It does not use ``--me``, which squeue lacks before 20.02, and which some sites' replacements for
    squeue lack, too.
    """
    return (
        "squeue", "--all", f"--user={owner}", "--noheader", "--states=all", f"--format={SQUEUE_FORMAT}",
    )  # fmt: skip


def sacct_argv(*, with_line: bool) -> tuple[str, ...]:
    """Return the accounting query, to which the caller adds the jobs that it asks for."""
    fields = (*SACCT_FIELDS, SUBMIT_LINE) if with_line else SACCT_FIELDS
    return (
        "sacct", "--allocations", "--noheader", "--parsable2", "--duplicates",
        f"--format={','.join(fields)}",
    )  # fmt: skip


def parse_tasks(shown: str) -> tuple[str, tuple[int | None, ...]] | None:
    """Return the scheduler job id and tasks of an id such as ``5``, ``5_7`` or ``5_[1-3,7%2]``."""
    match = _ARRAY_ID.fullmatch(shown)
    if match is None:
        return None
    scheduler_job_id, task, expression = match.groups()
    if expression is not None:
        return scheduler_job_id, tuple(_expand(expression))
    return scheduler_job_id, (None if task is None else int(task),)


def _expand(expression: str) -> Iterator[int]:
    """Yield the task ids of ``1-3,7,9-21:4%2``; those that were truncated (``...``) are unknown."""
    for part in expression.partition("%")[0].split(","):
        match = _SPAN.fullmatch(part)
        if match is not None:
            first, last, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
            yield from range(first, min(last, first + _MAX_TASKS_OF_A_SPAN) + 1, max(1, step))


def _lines(text: str) -> list[str]:
    """Split *text* only at line feeds: `str.splitlines` would also split a path at other separators."""
    return text.removesuffix("\n").split("\n") if text else []


def tag_of(command: str) -> ClaimTag | None:
    """Return the claim whose job shell *command* is: its directory has the name of the claim."""
    match = _TAG_IN_PATH.search(command.removesuffix(f" {STAY}"))
    try:
        return ClaimTag.parse(match[1]) if match else None
    except InvalidInput:
        return None


def parse_squeue(text: str) -> dict[str, JobRows]:
    """Parse all jobs in an answer in `SQUEUE_FORMAT`. Raises `SchedulerUnavailable` for anything else."""
    jobs: dict[str, JobRows] = {}
    for line in _lines(text):
        fields = line.split("|", 5)
        if fields[0] != _MARK and jobs:
            continue  # the rest of a command with a line break in it
        id_and_tasks = parse_tasks(fields[1]) if fields[0] == _MARK and len(fields) == 6 else None
        if id_and_tasks is None:
            raise SchedulerUnavailable(f"squeue printed something other than jobs: {line[:200]!r}")
        _, _, state, submitted, reason, command = fields
        row = TaskRow(state, "" if reason == "None" else reason, submitted)
        _add(jobs, id_and_tasks, row, tag_of(command))
        jobs[id_and_tasks[0]].is_cut |= "..." in fields[1]
    return jobs


def parse_work_dirs(text: str) -> dict[str, str]:
    """Parse work directories by scheduler job id (`WORK_DIR_FORMAT`). Raises `SchedulerUnavailable`."""
    directories: dict[str, str] = {}
    for line in _lines(text):
        mark, _, tail = line.partition("|")
        scheduler_job_id, _, directory = tail.partition("|")
        if mark != _MARK and directories:
            continue  # the rest of a directory with a line break in it
        if mark != _MARK or parse_tasks(scheduler_job_id) is None:
            raise SchedulerUnavailable(f"squeue printed something other than jobs: {line[:200]!r}")
        directories[scheduler_job_id] = directory
    return directories


def parse_sacct(text: str, *, with_line: bool) -> dict[str, JobRows]:
    """Parse all jobs in an answer with `SACCT_FIELDS`; if an id was used twice, the newer job counts."""
    jobs: dict[str, JobRows] = {}
    count = len(SACCT_FIELDS) + with_line
    for line in _NEXT_SACCT_ROW.split(text.removesuffix("\n")) if text else ():
        fields = line.split("|", count - 1)
        id_and_tasks = parse_tasks(fields[0])
        if len(fields) != count:
            raise SchedulerUnavailable(f"sacct printed something other than jobs: {line[:200]!r}")
        if id_and_tasks is None:
            continue  # a step
        state = CANCELED_BY.sub("CANCELLED", fields[1])
        row = TaskRow(state, "", fields[3], exit_code(fields[2]))
        _add(jobs, id_and_tasks, row, tag_of(fields[4]) if with_line else None)
    return jobs


def _add(
    jobs: dict[str, JobRows],
    id_and_tasks: tuple[str, tuple[int | None, ...]],
    row: TaskRow,
    tag: ClaimTag | None,
) -> None:
    scheduler_job_id, tasks = id_and_tasks
    job = jobs.get(scheduler_job_id)
    if job is None or (job.tag != tag and row.submitted > job.submitted):
        job = jobs[scheduler_job_id] = JobRows(tag, row.submitted)
    elif job.tag != tag:
        return  # an older job with the same id
    for task in tasks:
        if task not in job.tasks or row.submitted >= job.tasks[task].submitted:
            job.tasks[task] = row


def parse_shown_jobs(text: str) -> dict[int | None, int]:
    """Parse the exit codes by task in an answer of ``scontrol --oneliner show job ID``."""
    codes: dict[int | None, int] = {}
    for line in _lines(text):
        match = _SHOWN_JOB.match(line)
        code = exit_code(match[4]) if match else None
        if match and code is not None:
            codes[None if match[3] is None else int(match[3])] = code
    return codes


def exit_code(text: str) -> int | None:
    """Convert ``3:0`` to 3 and ``0:9`` to 137, as a shell would; None if no script ends like this.

    Slurm itself writes ``0:1`` for jobs that it could not run, and signals outside the usual range of
    Linux.
    """
    match = _EXIT_CODE.fullmatch(text)
    if match is None:
        return None
    code, number = int(match[1]), int(match[2])
    if number:
        return 128 + number if number in _SIGNALS_OF_SCRIPTS else None
    return code


@frozen
class ClusterLimits:
    """The settings that ``scontrol show config`` prints."""

    max_array_size: int = 1001
    """One more than the highest task id."""
    min_job_age_s: float = 300.0
    """How long Slurm remembers a job after it has ended; 0: forever."""
    has_accounting: bool = False
    has_submit_line: bool = False
    name: str = ""
    """The name of the cluster."""


def parse_config(text: str) -> ClusterLimits:
    """Parse the settings. Raises `SchedulerUnavailable` if *text* is not a configuration."""
    settings = {
        name.strip(): value.strip()
        for name, separator, value in (line.partition("=") for line in text.splitlines())
        if separator
    }
    if "MaxArraySize" not in settings:
        raise SchedulerUnavailable(f"scontrol printed something other than a configuration: {text[:200]!r}")
    version = [_leading_number(part) for part in settings.get("SLURM_VERSION", "").split(".")[:2]]
    return ClusterLimits(
        max_array_size=_leading_number(settings["MaxArraySize"]),
        min_job_age_s=float(_leading_number(settings.get("MinJobAge", "300"))),
        has_accounting="slurmdbd" in settings.get("AccountingStorageType", ""),
        has_submit_line=version >= [21, 8],
        name=settings.get("ClusterName", ""),
    )


def _leading_number(text: str) -> int:
    match = re.match(r"[0-9]{1,9}", text)
    return int(match[0]) if match else 0


def parse_sinfo(text: str) -> int:
    """Return the idle CPUs of the default partition, or of all partitions if there is no default.

    Raises `SchedulerUnavailable` if *text* shows no partition.
    """
    lines = [match for line in text.splitlines() if (match := _IDLE_CPUS.fullmatch(line.strip()))]
    if not lines:
        raise SchedulerUnavailable("sinfo shows no partition")
    default = [match for match in lines if match[2]]
    return sum(int(match[3]) for match in default or lines)
