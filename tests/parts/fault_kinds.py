"""Describe each kind of scheduler: stand-ins for its commands, and the messages of their failures."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from attrs import frozen

from cloudq.adapters.clock import RandomIds, SystemClock
from cloudq.adapters.schedulers.commands import CommandTimes
from cloudq.adapters.schedulers.grid_engine.scheduler import GridEngineScheduler, GridEngineTimes
from cloudq.adapters.schedulers.pbs.scheduler import PbsScheduler
from cloudq.adapters.schedulers.slurm.scheduler import SlurmScheduler
from cloudq.adapters.workspace import DirectoryWorkspace
from cloudq.adapters.workspace.claim_space import DirectoryClaimSpace
from cloudq.domain.jobs.outcome import Life, SchedulerStatus
from cloudq.domain.names import ClaimTag
from tests.parts.fake_commands import FakeScheduler
from tests.parts.fake_grid_engine.cell import FakeGridEngine
from tests.parts.fake_pbs.complex import FakePbs
from tests.parts.fake_slurm.cluster import FakeSlurm
from tests.parts.shell_claim import plan_of, prepare
from tests.parts.site import wait_until

Fault = dict[str, Any]
Fake = FakeSlurm | FakeGridEngine | FakePbs
Warn = Callable[[str], None]
Scheduler = SlurmScheduler | GridEngineScheduler | PbsScheduler

GARBAGE: Fault = {"do": "garbage"}
HANGS: Fault = {"do": "hang", "seconds": 30}
TIMES = CommandTimes(poll_interval_s=10, query_limit_s=3, submit_wait_s=1, submit_limit_s=3)
GRID_ENGINE_TIMES = GridEngineTimes(query_limit_s=3, submit_wait_s=1, submit_limit_s=3, accounting_wait_s=5)

_numbers = count(1)


@frozen(kw_only=True)
class Kind:
    """A kind of scheduler: its commands and their messages."""

    profile: str
    fake: Callable[[Path, int], Fake]
    scheduler: Callable[[Mapping[str, str], Warn], Scheduler]
    submit: str
    query: str
    cancel: str
    down: Fault
    """The fault that a query meets while the scheduler is away."""
    told: str
    """The part of its message that the owner sees."""
    unreadable: tuple[tuple[Fault, ...], ...]
    """Ways in which the list of jobs may be unreadable: the faults of the calls of one query."""
    unanswered: str
    """The message of a submission that may have succeeded."""
    limit: str
    """The message of a submission that exceeds a temporary limit."""
    refusal: str
    """The message of a permanent refusal."""
    strange_state: str
    first_id: str
    is_over: Callable[[dict[str, Any], str], bool]
    """Whether the scheduler has ended a job."""


def _are_all(jobs: dict[str, Any], number: str, states: set[str]) -> bool:
    return {each["state"] for each in jobs[number]["tasks"].values()} <= states


_CONTACT = "Unable to contact slurm controller (connect failure)"
_SLURM_DOWN: Fault = {"do": "fail", "words": f"slurm_load_jobs error: {_CONTACT}"}
_SBATCH_FAILED = "sbatch: error: Batch job submission failed:"
SLURM = Kind(
    profile="slurm",
    fake=lambda folder, slots: FakeSlurm(folder, slots=slots),
    scheduler=lambda environ, warn: SlurmScheduler(TIMES, environ=environ, warn=warn),
    submit="sbatch",
    query="squeue",
    cancel="scancel",
    down=_SLURM_DOWN,
    told=_CONTACT,
    unreadable=((_SLURM_DOWN,), (GARBAGE,), (HANGS,)),
    unanswered=f"{_SBATCH_FAILED} Socket timed out on send/recv operation",
    limit="sbatch: error: QOSMaxSubmitJobPerUserLimit",
    refusal="sbatch: error: no",
    strange_state="LEVITATING",
    first_id="1",
    is_over=lambda jobs, scheduler_job_id: _are_all(
        jobs, scheduler_job_id, {"COMPLETED", "FAILED", "CANCELLED"}
    ),
)

_SEND_ERROR = 'error: unable to send message to qmaster using port 6444 on host "m": got send error'
_QMASTER_DOWN: Fault = {"do": "fail", "words": _SEND_ERROR}
GRID_ENGINE = Kind(
    profile="gridengine",
    fake=lambda folder, slots: FakeGridEngine(folder, slots=slots),
    # Accounting is queried only after a while, so these jobs are judged by the list.
    scheduler=lambda environ, warn: GridEngineScheduler(
        GRID_ENGINE_TIMES, elapsed=lambda: 0.0, environ=environ, warn=warn
    ),
    submit="qsub",
    query="qstat",
    cancel="qdel",
    down=_QMASTER_DOWN,
    told="got send error",
    unreadable=((_QMASTER_DOWN,), (GARBAGE,), (HANGS,)),
    unanswered=_SEND_ERROR,
    limit="Unable to run job: job rejected: Only 10 jobs are allowed per user (current job count: 10).",
    refusal="Unable to run job: no",
    strange_state="Lr",
    first_id="1",
    is_over=lambda jobs, scheduler_job_id: scheduler_job_id not in jobs,
)

_PBS_DOWN: Fault = {
    "do": "fail", "status": 255, "words": "qstat: cannot connect to server pbs1 (errno=15010)",
}  # fmt: skip
PBS = Kind(
    profile="pbs",
    fake=lambda folder, slots: FakePbs(folder, slots=slots),
    scheduler=lambda environ, warn: PbsScheduler(TIMES, environ=environ, warn=warn),
    submit="qsub",
    query="qstat",
    cancel="qdel",
    down=_PBS_DOWN,
    told="cannot connect to server",
    unreadable=(
        (_PBS_DOWN,), (_PBS_DOWN | {"status": 0},), (GARBAGE,) * 4, (HANGS,),
        ({"do": "fail", "status": 1, "words": "qstat: End of File"},),
    ),
    unanswered="qsub: End of File",
    limit="qsub: would exceed queue workq's per-user limit",
    refusal="qsub: no points left",
    strange_state="L",
    first_id="1.pbs1",
    is_over=lambda jobs, scheduler_job_id: _are_all(jobs, scheduler_job_id.partition(".")[0], {"F", "X"}),
)  # fmt: skip

KINDS = {"slurm": SLURM, "grid engine": GRID_ENGINE, "pbs": PBS}


class FaultRig:
    """One agent's scheduler on stand-ins."""

    def __init__(self, kind: Kind, folder: Path) -> None:
        self.kind = kind
        self.fake: FakeScheduler = kind.fake(folder, 2)
        self.workspace = DirectoryWorkspace(folder / "home", SystemClock(), RandomIds())
        self.warned: list[str] = []
        self.scheduler = self.another()

    def another(self) -> Scheduler:
        """Return the scheduler of a successor without any knowledge of earlier jobs."""
        return self.kind.scheduler({**os.environ, **self.fake.environment()}, self.warned.append)

    def space(self, body: str = "sleep 30") -> DirectoryClaimSpace:
        space = self.workspace.space(ClaimTag(f"{next(_numbers):08x}", 1))
        return prepare(space, f"#!/bin/bash\n{body}\n", self.scheduler.dialect)

    def submit(self, space: DirectoryClaimSpace, array: str | None = None) -> str:
        files = space.begin_attempt(len(space.attempts()) + 1, self.kind.submit, 10)
        return self.scheduler.submit(plan_of(self.scheduler, space, (), array), files)

    def running(self) -> str:
        """Return the scheduler job id of a running job."""
        scheduler_job_id = self.submit(self.space())
        wait_until(lambda: self.status(scheduler_job_id).life is Life.RUNNING)
        return scheduler_job_id

    def status(self, scheduler_job_id: str, task: int | None = None) -> SchedulerStatus:
        return self.scheduler.poll([scheduler_job_id])[scheduler_job_id].tasks[task]
