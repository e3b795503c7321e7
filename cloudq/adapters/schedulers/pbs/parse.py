"""Parse the output of ``qstat -f``, as text or as JSON; unreadable output does not count as an answer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from attrs import define, evolve, field, frozen

from cloudq.adapters.schedulers.pbs.json_text import read_json
from cloudq.domain.errors import InvalidInput
from cloudq.domain.names import ClaimTag
from cloudq.domain.scripts.array_range import ArrayRange

TAG_VARIABLE = "CLOUDQ_TAG"
TASK_VARIABLE = "CLOUDQ_TASK"
OUTPUT_VARIABLE = "CLOUDQ_OUTPUT"

_SERVER = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
_SHOWN_ID = re.compile(rf"([0-9]{{1,12}})(?:(\[)([0-9]{{1,9}})?\])?\.({_SERVER})")
_LOCAL_ID = re.compile(rf"[0-9]{{1,12}}(?:\[\])?\.{_SERVER}")
_NUMBER = re.compile(r"-?[0-9]{1,9}")
_CLOCK = re.compile(r"(?:([0-9]{1,6}):)?(?:([0-9]{1,6}):)?([0-9]{1,9})(?:\.[0-9]*)?")
_OF_A_RUN = ("stime", "run_count", "Exit_status", "resources_used.walltime")
_JOB_LINE = re.compile(r"Job Id: (\S+)\s*")
_ATTRIBUTE_LINE = re.compile(r"    ([A-Za-z_][A-Za-z0-9_.-]*) = (.*)")
_VARIABLE = r"(?:^|(?<!\\)(?:\\\\)*,){}=([^,]*)"
_TAG_ARGUMENT = re.compile(r"CLOUDQ_TAG=([0-9a-f]{8}\.[0-9]{1,6})(?![0-9])")

TAG_MARK = "t"
"""The prefix of a tag: in JSON, qstat prints a bare 12345678.10 as the number 12345678.1."""

Attributes = Mapping[str, str]
"""The attributes of one job; the name of a resource is ``Resource_List.walltime`` and the like."""


def is_scheduler_job_id(text: str) -> bool:
    """Return whether *text* is a complete job id such as ``12.pbs1`` or, for an array, ``12[].pbs1``."""
    return _LOCAL_ID.fullmatch(text) is not None


def is_array(scheduler_job_id: str) -> bool:
    """Return whether *scheduler_job_id* is the id of a whole array."""
    return "[]." in scheduler_job_id


def sequence_number(scheduler_job_id: str) -> int:
    """Return the number in a scheduler job id: 12 for ``12[].pbs1``, -1 if there is none."""
    match = _SHOWN_ID.fullmatch(scheduler_job_id)
    return int(match[1]) if match else -1


def server_of(scheduler_job_id: str) -> str:
    """Return the server in a scheduler job id: ``pbs1`` for ``12[].pbs1``."""
    return scheduler_job_id.partition(".")[2]


@frozen
class TaskRow:
    """A plain job, one task of an array, or a whole array."""

    state: str
    comment: str = ""
    """The comment of the row; that of the array if `is_own` is false."""
    exit_status: int | None = None
    substate: int | None = None
    used_s: int | None = None
    limit_s: int | None = None
    holds: str = ""
    """The letters of ``Hold_Types``: u (user), o (operator), s (system), p (bad password)."""
    depends: str = ""
    """The jobs that it waits for, as in ``-W depend=``, without the jobs that wait for it (``before…``)."""
    has_run: bool = True
    """Whether PBS kept any data of a run."""
    is_own: bool = True
    """Whether all values are the task's; of a waiting or deleted task, all but the state are the array's."""


@define
class JobRows:
    """The rows of an answer about one scheduler job; a plain job has the single task None."""

    tag: ClaimTag | None = None
    tasks: dict[int | None, TaskRow] = field(factory=dict)
    whole: TaskRow | None = None
    """The row of the array as a whole."""
    waiting: frozenset[int] = frozenset()
    """The tasks that have not begun, according to the row of the array."""
    submitted: frozenset[int] = frozenset()
    submit_dir: str = ""


def parse_qstat(text: str, owner: str) -> dict[str, JobRows] | None:
    """Parse all jobs of *owner*, by scheduler job id; None if *text* is not the output of ``qstat -f``."""
    entries = _from_text(text)
    if entries is None:
        entries = _from_json(text)
    if entries is None:
        return None
    jobs: dict[str, JobRows] = {}
    for shown, attributes in entries:
        match = _SHOWN_ID.fullmatch(shown)
        state = attributes.get("job_state", "")
        if match is None or not state:
            return None
        if attributes.get("Job_Owner", owner).partition("@")[0] == owner:
            _add(jobs, match, attributes)
    return jobs


def _add(jobs: dict[str, JobRows], match: re.Match[str], attributes: Attributes) -> None:
    number, bracket, index, server = match.groups()
    job = jobs.setdefault(f"{number}{'[]' if bracket else ''}.{server}", JobRows())
    job.tag = job.tag or _tag(attributes)
    job.submit_dir = job.submit_dir or _variable(attributes, "PBS_O_WORKDIR")
    row = _row(attributes)
    if index is not None:
        job.tasks[int(index)] = evolve(row, is_own="array_index" in attributes)
    elif bracket:
        job.whole = row
        job.waiting = _indices(attributes.get("array_indices_remaining", ""))
        job.submitted = _indices(attributes.get("array_indices_submitted", ""))
    else:
        # PBS has no array of one task: it is a plain job with this variable.
        task = _variable(attributes, TASK_VARIABLE)
        job.tasks[int(task) if task.isdigit() and len(task) < 10 else None] = row


def _row(attributes: Attributes) -> TaskRow:
    return TaskRow(
        state=attributes["job_state"],
        comment=" ".join(attributes.get("comment", "").split()),
        exit_status=_number(attributes.get("Exit_status", "")),
        substate=_number(attributes.get("substate", "")),
        used_s=_seconds(attributes.get("resources_used.walltime", "")),
        limit_s=_seconds(attributes.get("Resource_List.walltime", "")),
        holds=attributes.get("Hold_Types", "").strip().replace("n", ""),
        depends=",".join(
            part for part in attributes.get("depend", "").split(",") if not part.startswith("before")
        ),
        has_run=any(name in attributes for name in _OF_A_RUN),
    )


def _tag(attributes: Attributes) -> ClaimTag | None:
    """Return the claim that the job was submitted for, also by an older agent, which added no prefix."""
    text = _variable(attributes, TAG_VARIABLE)
    if not text.startswith(TAG_MARK):
        text = _as_submitted(text, attributes.get("Submit_arguments", ""))
    with suppress(InvalidInput):
        return ClaimTag.parse(text.removeprefix(TAG_MARK))
    return None


def _as_submitted(text: str, arguments: str) -> str:
    """Restore a tag without a prefix from qsub's arguments, because JSON may have made it a number."""
    match = _TAG_ARGUMENT.search(arguments)
    with suppress(ValueError):  # not a number, so JSON left it unchanged
        return match[1] if match and float(match[1]) == float(text) else text
    return text


def _variable(attributes: Attributes, name: str) -> str:
    """Return one variable of the job; a comma inside a value is escaped with a backslash."""
    alone = attributes.get(f"Variable_List.{name}")
    if alone is not None:
        return alone
    match = re.search(_VARIABLE.format(name), attributes.get("Variable_List", ""))
    return match[1] if match else ""


def _indices(text: str) -> frozenset[int]:
    """Parse task ids such as ``1-3,7,9-21:4``; unreadable text (``-``: none are left) gives no ids."""
    with suppress(InvalidInput):
        return frozenset(ArrayRange.parse(text, lowest=0))
    return frozenset()


def _number(text: str) -> int | None:
    return int(text) if _NUMBER.fullmatch(text.strip()) else None


def _seconds(text: str) -> int | None:
    """Convert ``01:00:05``, ``10:00`` or ``90`` to seconds."""
    match = _CLOCK.fullmatch(text.strip())
    if match is None:
        return None
    first, second, last = (int(part) if part else None for part in match.groups())
    minutes = first if second is None else (first or 0) * 60 + second
    return (minutes or 0) * 60 + (last or 0)


# The two forms ------------------------------------------------------------------------------------


def _from_text(text: str) -> list[tuple[str, Attributes]] | None:
    """Read ``Job Id:`` lines and indented attributes, with long values folded at a tab or whole (``-w``).

    In folded output, a value with a line break can look like attributes: a job in which an attribute
    occurs twice is left out.
    """
    jobs: dict[str, dict[str, str]] = {}
    doubtful: set[str] = set()
    shown = name = ""
    for line in text.split("\n"):  # only "\n" ends a line: values may contain other separators
        head, attribute = _JOB_LINE.fullmatch(line), _ATTRIBUTE_LINE.fullmatch(line)
        if head:
            shown, name = head[1], ""
            doubtful.update({shown} & jobs.keys())
            jobs.setdefault(shown, {})
        elif not line.strip():
            continue
        elif not shown:
            return None
        elif attribute:
            name = attribute[1]
            doubtful.update({shown} if name in jobs[shown] else ())
            jobs[shown][name] = attribute[2]
        elif line.startswith("\t") and name in jobs[shown]:
            jobs[shown][name] += line[1:]
        # Anything else is the rest of a value with a line break in it.
    return [(job_id, attributes) for job_id, attributes in jobs.items() if job_id not in doubtful]


def _from_json(text: str) -> list[tuple[str, Attributes]] | None:
    answer = read_json(text)
    jobs = answer.get("Jobs", {}) if answer is not None else None
    if not isinstance(jobs, dict) or not all(isinstance(attributes, dict) for attributes in jobs.values()):
        return None
    return [(shown, dict(_flat(attributes))) for shown, attributes in jobs.items()]


def _flat(attributes: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in attributes.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{inner}", str(inner_value)) for inner, inner_value in value.items())
        else:
            yield name, str(value)
