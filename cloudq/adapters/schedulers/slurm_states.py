"""What each of Slurm's states means, and what each of sbatch's answers."""

from __future__ import annotations

import re
from collections.abc import Mapping

from attrs import frozen

from cloudq.domain.errors import SchedulerProblem, SubmitDeferred, SubmitRefused, SubmitUncertain
from cloudq.domain.job_state import JobState
from cloudq.domain.outcome import Life, SchedulerStatus

CANCELED_BY = re.compile(r"CANCELLED by .*")
"""How sacct says who did it."""


@frozen
class Meaning:
    """What a state says while the job is listed, and once it is not any more."""

    life: Life
    verdict: JobState | None = None
    reason: str = ""
    when_gone: JobState | None = None
    """The verdict once the job is listed no more, for states that may or may not be an end."""

    def status(self, exit_code: int | None, told: str) -> SchedulerStatus:
        """As the port says it; *told* is Slurm's own reason."""
        reason = self.reason
        if self.life is Life.QUEUED:
            reason = "; ".join(part for part in (reason, told) if part)
        if self.life is not Life.ENDED:
            return SchedulerStatus(self.life, reason=reason)
        code = 0 if self.verdict is JobState.DONE else exit_code
        return SchedulerStatus(self.life, self.verdict, code, reason)


def _ended(verdict: JobState, reason: str = "") -> Meaning:
    return Meaning(Life.ENDED, verdict, reason)


_PENDING = Meaning(Life.QUEUED)
_HELD = Meaning(Life.QUEUED, reason="held by the scheduler")
_RUNNING = Meaning(Life.RUNNING)
_SUSPENDED = Meaning(Life.RUNNING, reason="suspended")

STATES: Mapping[str, Meaning] = {
    "PENDING": _PENDING,
    "CONFIGURING": _PENDING,
    "POWER_UP_NODE": _PENDING,
    "REQUEUED": _PENDING,
    "REQUEUE_FED": _PENDING,
    "REQUEUE_HOLD": _HELD,
    "RESV_DEL_HOLD": _HELD,
    "SPECIAL_EXIT": _HELD,
    "RUNNING": _RUNNING,
    "RESIZING": _RUNNING,
    "SIGNALING": _RUNNING,
    "STAGE_OUT": _RUNNING,
    "STOPPED": _SUSPENDED,
    "SUSPENDED": _SUSPENDED,
    "COMPLETING": Meaning(Life.COMPLETING),
    "PREEMPTED": Meaning(Life.QUEUED, reason="preempted", when_gone=JobState.ERROR),
    "COMPLETED": _ended(JobState.DONE),
    "FAILED": _ended(JobState.ERROR),
    "CANCELLED": _ended(JobState.DELETED, "canceled"),
    "REVOKED": _ended(JobState.DELETED, "it ran on another cluster of the federation"),
    "TIMEOUT": _ended(JobState.TIMEOUT, "the scheduler ended it at its time limit"),
    "DEADLINE": _ended(JobState.TIMEOUT, "the scheduler ended it at its deadline"),
    "OUT_OF_MEMORY": _ended(JobState.ERROR, "out of memory"),
    "NODE_FAIL": _ended(JobState.ERROR, "a node failed"),
    "BOOT_FAIL": _ended(JobState.ERROR, "a node could not be started"),
}
"""Every state that decides something, by the name that ``squeue %T`` shows."""

KEEP_LAST = frozenset({"LAUNCH_FAILED", "RECONFIG_FAIL", "UPDATE_DB"})
"""States that say nothing of the job itself: what was known before stays."""


def status_once_gone(status: SchedulerStatus, state: str) -> SchedulerStatus | None:
    """What *state*, the last one listed, proves when the job is listed no more; None: nothing."""
    if status.life is Life.ENDED:
        return status
    meaning = STATES.get(state)
    if meaning is None or meaning.when_gone is None:
        return None
    return SchedulerStatus(Life.ENDED, meaning.when_gone, reason=meaning.reason)


_Problem = type[SchedulerProblem]

SBATCH_SAYS: tuple[tuple[re.Pattern[str], _Problem], ...] = tuple(
    (re.compile(words, re.IGNORECASE), problem)
    for words, problem in (
        # The request went out, or may have: it may be a job by now.
        (r"socket timed out|timed out on send/recv", SubmitUncertain),
        (r"unable to contact|communication connection|connect failure|connection (?:refused|reset)",
         SubmitUncertain),
        (r"zero bytes were transmitted|transport endpoint|message (?:send|receive) failure|broken pipe",
         SubmitUncertain),
        (r"controller in standby|protocol authentication|munge (?:encode|decode)|credential",
         SubmitUncertain),
        # More than any job may ever have: it will not get better.
        (r"max(?:wall|cpu|node|tres|mem|gres)\w*perjob|min(?:cpu|tres|gres)\w*perjob", SubmitRefused),
        # Too much at this moment.
        (r"(?:qos|assoc|part)\w*(?:submit|maxjobs|grp)\w*|job submit limit|accounting/qos policy",
         SubmitDeferred),
        (r"temporarily unable|temporarily unavailable|try again", SubmitDeferred),
        (r"no space left|disk quota exceeded|cannot allocate memory", SubmitDeferred),
        (r"partition (?:is )?(?:not available|unavailable|down|inactive)|in maintenance", SubmitDeferred),
        (r"batch job submission failed: (?:required|requested) (?:node|partition)\w* not available",
         SubmitDeferred),
    )
)  # fmt: skip
"""The first one that is found in what sbatch said decides; anything else is a refusal for good."""

_LOCAL_ID = re.compile(r"([0-9]{1,10})(?:;[^\s;]*)?")
_COMMAND_MISSING = frozenset({"126", "127"})
_ENDED_LATE = frozenset({"124", "137"})
_MAX_WORDS = 2_000


def read_sbatch_answer(status: str, stdout: str, stderr: str) -> str | None:
    """The local id that ``sbatch --parsable`` printed; None while there is no answer.

    Raises `SubmitRefused`, `SubmitDeferred` or `SubmitUncertain` by its own words.
    """
    lines = [line.strip() for line in stdout.splitlines() if line.strip()]
    matches = [match for match in map(_LOCAL_ID.fullmatch, lines) if match]
    if status in {"", "0"} and matches:
        return matches[-1][1]
    if not status:
        return None
    words = " ".join(stderr.split())[:_MAX_WORDS] or f"sbatch ended with {status} and said nothing"
    if status == "0":
        raise SubmitUncertain(f"sbatch told no job id: {' '.join(lines)[:200]!r}")
    if status in _COMMAND_MISSING:
        raise SubmitDeferred(f"sbatch cannot be run: {words}")
    if status in _ENDED_LATE or not status.isdigit():
        raise SubmitUncertain(f"sbatch gave no answer in time: {words}")
    raise _problem_in(stderr)(words)


def _problem_in(stderr: str) -> _Problem:
    return next((problem for words, problem in SBATCH_SAYS if words.search(stderr)), SubmitRefused)


def is_without_contact(stderr: str) -> bool:
    """Whether a command failed because the controller did not answer it, or not in time."""
    return _problem_in(stderr) is SubmitUncertain


_NOTHING_TO_CANCEL = re.compile(
    r"invalid job id|already completing or completed|job/step already|job not found", re.IGNORECASE
)


def is_only_about_ended_jobs(stderr: str) -> bool:
    """Whether all that scancel complained about is that jobs have ended or are unknown."""
    lines = [line for line in stderr.splitlines() if line.strip()]
    return bool(lines) and all(_NOTHING_TO_CANCEL.search(line) for line in lines)
