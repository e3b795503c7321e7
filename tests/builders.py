"""Build records for tests: every field has a value, and a test sets only those that matter to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import evolve

from cloudq.domain.jobs.claim import Claim, ClaimKind
from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.lease import Lease, Offer, ProcessIdentity
from cloudq.domain.jobs.task_states import TaskState

NOON = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
JOB_ID = "3f7e7681"


def at(seconds: float) -> datetime:
    """Return the time *seconds* after noon."""
    return NOON + timedelta(seconds=seconds)


def a_job(**overrides: Any) -> Job:
    """Build a job that was just submitted."""
    job = Job(uuid=JOB_ID, name="run.sh", submit_to="alpha", invited=("alpha",), time_submit=NOON)
    return evolve(job, **overrides)


def a_finished_job(
    job_id: str = JOB_ID, finished_at: datetime = NOON, exit_code: int = 0, **overrides: Any
) -> Job:
    """Build a job that alpha ran under claim 1."""
    state = JobState.ERROR if exit_code else JobState.DONE
    job = a_job(uuid=job_id, jobid="42", run_system="alpha", claim=1, time_start=NOON)
    return evolve(job.ended(TaskState(state, exit_code), finished_at), **overrides)


def a_claim(n: int = 1, kind: ClaimKind = ClaimKind.RUN, **overrides: Any) -> Claim:
    """Build a claim by alpha, or by a client."""
    system = "alpha" if kind is ClaimKind.RUN else ""
    return evolve(Claim(n=n, kind=kind, nonce="a claim's nonce", time=NOON, system=system), **overrides)


def a_process(**overrides: Any) -> ProcessIdentity:
    """Build the identity of an agent's process."""
    return evolve(ProcessIdentity("login1", "boot-1", "ns-1", 4711, "12345"), **overrides)


def a_lease(epoch: int = 1, **overrides: Any) -> Lease:
    """Build a lease whose holder uses the embedded scheduler."""
    lease = Lease(
        epoch=epoch,
        process=a_process(),
        nonce="a beat's nonce",
        version="2.0.0",
        profile="local",
        offer=Offer(scheduler="local", slots=8),
    )
    return evolve(lease, **overrides)
