"""Parse the output of Grid Engine's commands; unreadable output does not count as an answer.

Job lists are read field by field and not as XML: qstat escapes names badly, and the name of one job must
not hide all others.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping

from attrs import define, field, frozen

from cloudq.domain.errors import InvalidInput, SchedulerUnavailable
from cloudq.domain.names import ClaimTag

QUERY_ENVIRONMENT: Mapping[str, str] = {"LC_ALL": "C", "TZ": "UTC0"}
CONTEXT = "cloudq"
"""The context variable (``-ac``) by which a job is found again."""

_LIST_BEGINS = re.compile(r"<job_info\b")
_LIST_ENDS = re.compile(r"</job_info>\s*</job_info>\s*\Z")
_JOB = re.compile(r"<job_list\b[^>]*>(.*?)</job_list>", re.DOTALL)
_ID = re.compile(r"[0-9]{1,10}")
_FIELD = re.compile(r"<(JB_job_number|state|tasks)>([^<]*)</\1>")
_SPAN = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9})(?::([0-9]{1,9}))?)?")
_MAX_TASKS_OF_A_SPAN = 4_000_000


@define
class ListedJob:
    """The state letters of each task; a plain job has the single task None."""

    tasks: dict[int | None, str] = field(factory=dict)


def parse_list(text: str) -> dict[str, ListedJob]:
    """Parse all jobs in an answer of ``qstat -xml``. Raises `SchedulerUnavailable` for anything else."""
    if not (_LIST_BEGINS.search(text) and _LIST_ENDS.search(text)):
        raise SchedulerUnavailable(f"qstat printed something other than jobs: {text[:200]!r}")
    jobs: dict[str, ListedJob] = {}
    for block in _JOB.findall(text):
        fields = dict(_FIELD.findall(block))
        scheduler_job_id, state = fields.get("JB_job_number", "").strip(), fields.get("state", "").strip()
        if not _ID.fullmatch(scheduler_job_id) or not state:
            raise SchedulerUnavailable(f"qstat printed a job without an id or a state: {block[:200]!r}")
        tasks = jobs.setdefault(scheduler_job_id, ListedJob()).tasks
        tasks.update(dict.fromkeys(parse_tasks(fields.get("tasks", "")), state))
    return jobs


def parse_tasks(shown: str) -> Iterator[int | None]:
    """Yield the task ids of ``3``, ``1-9:2`` or ``3,7-9:1``; None for a plain job."""
    if not shown.strip():
        yield None
        return
    for part in shown.split(","):
        match = _SPAN.fullmatch(part.strip())
        if match is not None:
            first, last, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
            yield from range(first, min(last, first + _MAX_TASKS_OF_A_SPAN) + 1, max(1, step))


# qstat -j ----------------------------------------------------------------------------------------


@define
class JobDetails:
    """The details of a job that only ``qstat -j`` shows."""

    tag: ClaimTag | None = None
    errors: dict[int, str] = field(factory=dict)
    """The reasons why tasks (1 for a plain job) are in an error state."""
    work_dir: str = ""
    """The directory where it starts, else where it was submitted."""


_NUMBER = re.compile(r"job_number:\s+([0-9]{1,10})\s*")
_CONTEXT = re.compile(rf"context:\s+(?:.*,)?{CONTEXT}=([0-9a-f.]+)(?:,.*|\s*)")
_WORK_DIR = re.compile(r"(cwd|sge_o_workdir):\s+(/.*)")
_ERROR = re.compile(r"error reason\s+([0-9]{1,9}):\s*(?:[0-9/.-]+ [0-9:.]+ \[[0-9:]+\]: )?(.*)")
_NONE_OF_THEM = re.compile(r"following jobs do not exist", re.IGNORECASE)


def parse_details(text: str) -> dict[str, JobDetails]:
    """Parse what an answer of ``qstat -j`` shows about each job."""
    jobs: dict[str, JobDetails] = {}
    job = JobDetails()  # text before the first job number belongs to no job
    for line in text.splitlines():
        if match := _NUMBER.fullmatch(line):
            job = jobs.setdefault(match[1], JobDetails())
        elif match := _CONTEXT.fullmatch(line):
            job.tag = _tag(match[1])
        elif match := _WORK_DIR.fullmatch(line):
            job.work_dir = match[2] if match[1] == "cwd" else job.work_dir or match[2]
        elif match := _ERROR.fullmatch(line):
            job.errors.setdefault(int(match[1]), match[2].strip())
    return jobs


def is_only_about_unknown_jobs(text: str) -> bool:
    """Return whether ``qstat -j`` reported only that it knows none of the jobs."""
    return _NONE_OF_THEM.search(text) is not None


def _tag(text: str) -> ClaimTag | None:
    try:
        return ClaimTag.parse(text)
    except InvalidInput:
        return None


# qacct -------------------------------------------------------------------------------------------


@frozen
class Account:
    """The accounting record of one run of one task."""

    task: int | None
    failed: int
    words: str
    """The meaning of `failed`, in Grid Engine's words."""
    exit_status: int
    wallclock_s: float = 0.0
    cpu_s: float = 0.0
    max_memory: float = 0.0
    """Bytes."""
    requested: Mapping[str, str] = field(factory=dict)
    """The requested resources, as in ``-l``."""
    deleted_by: str = ""
    tag: ClaimTag | None = None
    """The claim; only some kinds of Grid Engine keep the submit command, which names it."""


_RULE = re.compile(r"^={20,}$", re.MULTILINE)
_CODE = re.compile(r"([0-9]{1,3})\s*(?::\s*(.*))?")
_LEADING = re.compile(r"[0-9]{1,9}")
_TASK = re.compile(r"[1-9][0-9]{0,8}")
_AMOUNT = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kKMGT]?)")
_UNITS = {"": 1.0, "k": 1e3, "K": 2.0**10, "M": 2.0**20, "G": 2.0**30, "T": 2.0**40}
_SUBMITTED_AS = re.compile(rf"-ac\s+{CONTEXT}=([0-9a-f.]+)")
_NOT_FOUND = re.compile(r"error: job id [0-9]+ not found")
_NO_ACCOUNTING = re.compile(r"no such file or directory|no jobs running since startup", re.IGNORECASE)


def parse_accounts(text: str, scheduler_job_id: str, owner: str) -> dict[int | None, Account]:
    """Parse the newest account of each task of *owner*'s job *scheduler_job_id* in an answer of ``qacct -j``.

    Raises `SchedulerUnavailable` if *text* holds no account.
    """
    accounts: dict[int | None, Account] = {}
    records = [dict(_pairs(part)) for part in _RULE.split(text)[1:]]
    if not any("jobnumber" in record for record in records):
        raise SchedulerUnavailable(f"qacct printed something other than accounts: {text[:200]!r}")
    for record in records:
        if record.get("jobnumber") == scheduler_job_id and record.get("owner", owner) == owner:
            account = _account(record)
            accounts[account.task] = account  # one is written at the end of each run: the last is the newest
    return accounts


def _pairs(record: str) -> Iterator[tuple[str, str]]:
    for line in record.splitlines():
        name, _, value = line.partition(" ")
        if name:
            yield name, value.strip()


def _account(record: Mapping[str, str]) -> Account:
    code, status = _CODE.match(record.get("failed", "")), _LEADING.match(record.get("exit_status", ""))
    if code is None or status is None:
        raise SchedulerUnavailable(f"qacct printed an account without an exit status: {dict(record)!r:.200}")
    task = record.get("taskid", "undefined")
    deleted_by = record.get("deleted_by", "NONE")
    submitted = _SUBMITTED_AS.search(record.get("submit_cmd", ""))
    return Account(
        task=int(task) if _TASK.fullmatch(task) else None,
        failed=int(code[1]),
        words=(code[2] or "").strip(),
        exit_status=int(status[0]),
        wallclock_s=amount(record.get("ru_wallclock", "")),
        cpu_s=amount(record.get("cpu", "")),
        max_memory=amount(record.get("maxvmem", "")),
        requested=_requested(record.get("category", "")),
        deleted_by="" if deleted_by in {"NONE", ""} else deleted_by,
        tag=_tag(submitted[1]) if submitted else None,
    )


def _requested(category: str) -> Mapping[str, str]:
    """Parse the resources in a category such as ``-U x -l h_rt=60,mem_free=2G -pe smp 2``."""
    words = category.split()
    lists = [following for word, following in itertools.pairwise(words) if word == "-l"]
    pairs = (item.partition("=") for item in ",".join(lists).split(","))
    return {name: value for name, _, value in pairs if name}


def amount(text: str) -> float:
    """Convert ``5s``, ``60`` or ``1:00:00`` to seconds, ``4.8M`` to bytes; 0 for anything else."""
    if re.fullmatch(r"[0-9]{0,9}:[0-9]{0,9}(?::[0-9]{0,9})?", text):
        total = 0
        for part in text.split(":"):
            total = total * 60 + int(part or 0)
        return float(total)
    match = _AMOUNT.match(text)
    return float(match[1]) * _UNITS[match[2]] if match else 0.0


def is_not_found(message: str) -> bool:
    """Return whether ``qacct`` knows no run of the job."""
    return _NOT_FOUND.search(message) is not None


def has_no_accounting(message: str) -> bool:
    """Return whether there is no accounting that ``qacct`` could read."""
    return _NO_ACCOUNTING.search(message) is not None


_CLUSTER_QUEUE = re.compile(r"\S+ +\S+(?: +[0-9]+){2} +([0-9]{1,9})(?: +[0-9]+){3} *")


def parse_free_slots(text: str) -> int:
    """Sum up the column AVAIL of ``qstat -g c``. Raises `SchedulerUnavailable` if there is none."""
    available = [int(match[1]) for line in text.splitlines() if (match := _CLUSTER_QUEUE.fullmatch(line))]
    if not available:
        raise SchedulerUnavailable("qstat -g c shows no queue")
    return sum(available)
