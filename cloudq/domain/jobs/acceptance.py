"""Trials that show whether cloudq judges a site's scheduler correctly: tiny jobs with known final states."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType

from attrs import field, frozen

from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.job_state import JobState

NOT_ALLOWED = 64
"""The exit code by which a script reports that the site does not permit what the trial needs."""
SECRETS = "^(AWS_|CLOUDQ_STORE_|CLOUDQ_AGENT_)"


class Need(Enum):
    """A feature that a trial needs from a scheduler, besides running a script."""

    HOLD = "hold"
    TIME_LIMIT = "time limit"
    REQUEUE = "requeue"


class CancelAt(Enum):
    """The time at which the job of a trial is canceled."""

    NEVER = "never"
    WAITING = "while it waits"
    RUNNING = "while it runs"


class Verdict(Enum):
    """The result of a trial."""

    OK = "ok"
    FAILED = "FAILED"
    SKIPPED = "skipped"
    NOT_RUN = "not run"
    """The job still waited in the scheduler's queue when the time was up: nothing is known."""


@frozen
class Trial:
    """One job and the final state that cloudq must conclude."""

    name: str
    body: str
    """The script, without its first line."""
    state: JobState
    exit_code: int | None = None
    need: Need | None = None
    cancel: CancelAt = CancelAt.NEVER
    array: str = ""
    tasks: Mapping[int, JobState] = field(factory=dict)
    log: str = ""
    """Text that the job's stdout must contain."""
    never_starts: bool = False
    exchanges_files: bool = False
    """Whether the login node and the job look for each other's files while the job runs."""

    @property
    def expected(self) -> str:
        """The expected final state, in words."""
        return in_words(self.state, self.exit_code)

    def script(self, words: SchedulerWords) -> bytes:
        """Return the whole script for a scheduler."""
        return f"#!/bin/bash\n{self.body.replace('@REQUEUE@', words.requeue)}".encode()


@frozen
class SchedulerWords:
    """The options and commands that provide what trials need; empty if the scheduler cannot provide it."""

    hold: str = ""
    time_limit: str = ""
    """Options for the shortest useful time limit."""
    requeue: str = ""
    """Shell code with which a running script requeues itself."""
    requeue_option: str = ""

    def options(self, need: Need | None) -> str:
        """Return the options of the submit command for *need*."""
        table = {Need.HOLD: self.hold, Need.TIME_LIMIT: self.time_limit, Need.REQUEUE: self.requeue_option}
        return "" if need is None else table[need]

    def lacks(self, need: Need | None) -> bool:
        """Return whether the scheduler cannot provide *need*."""
        table = {Need.HOLD: self.hold, Need.TIME_LIMIT: self.time_limit, Need.REQUEUE: self.requeue}
        return need is not None and not table[need]


WORDS: Mapping[str, SchedulerWords] = MappingProxyType(
    {
        "slurm": SchedulerWords(
            hold="--hold",
            time_limit="--time=1",
            requeue=f'scontrol requeue "$SLURM_JOB_ID" || exit {NOT_ALLOWED}; sleep 600',
            requeue_option="--requeue",
        ),
        "gridengine": SchedulerWords(
            hold="-h", time_limit="-l h_rt=0:0:20", requeue="exit 99", requeue_option="-r y"
        ),
        "pbs": SchedulerWords(hold="-h", time_limit="-l walltime=0:0:20"),
        "local": SchedulerWords(),
    }
)

_TASK = '"${SLURM_ARRAY_TASK_ID:-${SGE_TASK_ID:-${PBS_ARRAY_INDEX:-$ARY_TASK_ID}}}"'

_EXCHANGE = """\
for _ in $(seq 1200); do
    for question in question.*; do
        answer=answer.${question#question.}
        if [ -e "$question" ] && ! [ -e "$answer" ]; then : >"$answer"; fi
    done
    if [ -e enough ]; then exit 0; fi
    sleep 0.1
done
exit 1
"""

TRIALS = (
    Trial("exit code 0", "sleep 1\n", JobState.DONE, 0),
    Trial("exit code 3", "exit 3\n", JobState.ERROR, 3),
    Trial("killed by a signal", "kill -KILL $$\n", JobState.ERROR, 137),
    Trial("output", "echo to stdout; echo to stderr >&2\n", JobState.DONE, 0, log="to stdout\n"),
    Trial("no secrets in its environment", f"! env | grep -E '{SECRETS}'\n", JobState.DONE, 0),
    Trial(
        "array with a failing task", f"if [ {_TASK} = 2 ]; then exit 5; fi\n", JobState.ERROR,
        array="1-3", tasks={1: JobState.DONE, 2: JobState.ERROR, 3: JobState.DONE},
    ),
    Trial("time limit", "sleep 1200\n", JobState.TIMEOUT, need=Need.TIME_LIMIT),
    Trial("cancelled while it runs", "sleep 1200\n", JobState.DELETED, cancel=CancelAt.RUNNING),
    Trial(
        "cancelled while it is held", "sleep 1200\n", JobState.DELETED,
        need=Need.HOLD, cancel=CancelAt.WAITING, never_starts=True,
    ),
    Trial(
        "queued again by the scheduler",
        "if [ -e again ]; then echo second run; exit 0; fi\ntouch again\n@REQUEUE@\n",
        JobState.DONE, 0, need=Need.REQUEUE, log="second run\n",
    ),
    Trial("files seen on both sides", _EXCHANGE, JobState.DONE, 0, exchanges_files=True),
)  # fmt: skip


def in_words(state: JobState, exit_code: int | None) -> str:
    """Return a final state and its exit code as a table shows them."""
    return state.value if exit_code is None else f"{state.value}, code {exit_code}"


def judge(trial: Trial, job: Job, stdout: str) -> tuple[Verdict, str]:
    """Return the verdict on a trial whose *job* has ended, and the reason if it failed or was skipped."""
    if job.exit_code == NOT_ALLOWED and trial.need is Need.REQUEUE:
        return Verdict.SKIPPED, "the site does not let a job requeue itself"
    problem = next(iter(_problems(trial, job, stdout)), "")
    return (Verdict.FAILED, problem) if problem else (Verdict.OK, "")


def _problems(trial: Trial, job: Job, stdout: str) -> list[str]:
    tasks = {task: state.state for task, state in job.tasks.items()}
    wrong_code = trial.exit_code is not None and job.exit_code != trial.exit_code
    checks = (
        (job.state is not trial.state or wrong_code, job.error_msg or "unexpected final state or exit code"),
        (trial.never_starts and job.time_start is not None, "it started although it was held"),
        (trial.never_starts and job.exit_code is not None, "it has an exit code although it never started"),
        (bool(trial.tasks) and tasks != dict(trial.tasks), f"its tasks: {_shown(tasks)}"),
        (trial.log not in stdout, f"the expected output is missing; stdout begins with {stdout[:60]!r}"),
    )
    return [words for is_wrong, words in checks if is_wrong]


def _shown(tasks: Mapping[int, JobState]) -> str:
    return ", ".join(f"{task} {state.value}" for task, state in tasks.items()) or "none"
