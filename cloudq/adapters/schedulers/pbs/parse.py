"""What ``qstat -f`` prints, as text or as JSON, read into values; what cannot be read is no answer."""

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
"""What a tag begins with: qstat prints a bare 12345678.10 as the number 12345678.1 in JSON."""

Attributes = Mapping[str, str]
"""Of one job; a resource's name is ``Resource_List.walltime``."""


def is_local_id(text: str) -> bool:
    """Whether *text* is a whole job id such as ``12.pbs1`` or, for an array, ``12[].pbs1``."""
    return _LOCAL_ID.fullmatch(text) is not None


def is_array(local_id: str) -> bool:
    """Whether it is the id of an array as a whole."""
    return "[]." in local_id


def sequence_number(local_id: str) -> int:
    """``12[].pbs1`` → 12."""
    match = _SHOWN_ID.fullmatch(local_id)
    return int(match[1]) if match else -1


def server_of(local_id: str) -> str:
    """``12[].pbs1`` → ``pbs1``."""
    return local_id.partition(".")[2]


@frozen
class TaskRow:
    """One job that is no array, or one task of an array, or an array as a whole."""

    state: str
    comment: str = ""
    """Of a task that is not `is_own`: the array's."""
    exit_status: int | None = None
    substate: int | None = None
    used_s: int | None = None
    limit_s: int | None = None
    holds: str = ""
    """The letters of ``Hold_Types``: u (user), o (operator), s (system), p (bad password)."""
    depends: str = ""
    """The jobs it waits for, as in ``-W depend=``, without those that wait for it (``before…``)."""
    has_run: bool = True
    """Whether PBS kept anything of a run."""
    is_own: bool = True
    """Whether more than the state is the task's: rows of waiting and deleted tasks are the array's."""


@define
class JobRows:
    """All that an answer tells of one local job; a job that is no array has the one task None."""

    tag: ClaimTag | None = None
    tasks: dict[int | None, TaskRow] = field(factory=dict)
    whole: TaskRow | None = None
    """The array's own row."""
    waiting: frozenset[int] = frozenset()
    """Its tasks that have not begun, as its own row tells them."""
    submitted: frozenset[int] = frozenset()
    submit_dir: str = ""


def parse_qstat(text: str, owner: str) -> dict[str, JobRows] | None:
    """All of *owner*'s jobs in an answer, by local id; None if it is no answer of ``qstat -f``."""
    found = _from_text(text)
    if found is None:
        found = _from_json(text)
    if found is None:
        return None
    jobs: dict[str, JobRows] = {}
    for shown, attributes in found:
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
        # An array of one task, which PBS has not.
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
    """The claim that the job was submitted for, also by an older agent, which did not mark it."""
    text = _variable(attributes, TAG_VARIABLE)
    if not text.startswith(TAG_MARK):
        text = _as_submitted(text, attributes.get("Submit_arguments", ""))
    with suppress(InvalidInput):
        return ClaimTag.parse(text.removeprefix(TAG_MARK))
    return None


def _as_submitted(text: str, arguments: str) -> str:
    """A tag without its mark as qsub was given it, where JSON may have made a number of it."""
    match = _TAG_ARGUMENT.search(arguments)
    with suppress(ValueError):  # no number: as it was written
        return match[1] if match and float(match[1]) == float(text) else text
    return text


def _variable(attributes: Attributes, name: str) -> str:
    """One variable of the job; a comma inside a value has a backslash before it."""
    alone = attributes.get(f"Variable_List.{name}")
    if alone is not None:
        return alone
    match = re.search(_VARIABLE.format(name), attributes.get("Variable_List", ""))
    return match[1] if match else ""


def _indices(text: str) -> frozenset[int]:
    """``1-3,7,9-21:4`` as task ids; what cannot be read (``-``: none are left) is none."""
    with suppress(InvalidInput):
        return frozenset(ArrayRange.parse(text, lowest=0))
    return frozenset()


def _number(text: str) -> int | None:
    return int(text) if _NUMBER.fullmatch(text.strip()) else None


def _seconds(text: str) -> int | None:
    """``01:00:05``, ``10:00`` or ``90``."""
    match = _CLOCK.fullmatch(text.strip())
    if match is None:
        return None
    first, second, last = (int(part) if part else None for part in match.groups())
    minutes = first if second is None else (first or 0) * 60 + second
    return (minutes or 0) * 60 + (last or 0)


# The two forms ------------------------------------------------------------------------------------


def _from_text(text: str) -> list[tuple[str, Attributes]] | None:
    """``Job Id:`` and indented lines, long values folded with a tab or whole (``-w``).

    Folded, a value with a line break can look like attributes: a job that has one twice is left out.
    """
    jobs: dict[str, dict[str, str]] = {}
    doubtful: set[str] = set()
    shown = name = ""
    for line in text.split("\n"):  # no other character ends a line: values may hold any of them
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
    return [(each, attributes) for each, attributes in jobs.items() if each not in doubtful]


def _from_json(text: str) -> list[tuple[str, Attributes]] | None:
    told = read_json(text)
    jobs = told.get("Jobs", {}) if told is not None else None
    if not isinstance(jobs, dict) or not all(isinstance(each, dict) for each in jobs.values()):
        return None
    return [(shown, dict(_flat(attributes))) for shown, attributes in jobs.items()]


def _flat(attributes: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in attributes.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{inner}", str(each)) for inner, each in value.items())
        else:
            yield name, str(value)
