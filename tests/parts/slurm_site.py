"""Provide a login node of a Slurm cluster, and helpers for its jobs."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from cloudq.client import Client
from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.job_state import JobState
from tests.parts.s3_services import BUCKET, S3Service
from tests.parts.site import Site, wait_until
from tests.parts.slurm import Slurm
from tests.parts.world import text_of

BASH = "#!/bin/bash\n"


def login_node(slurm: Slurm, service: S3Service, root: Path) -> Site:
    """Return a machine that can submit to *slurm*, with its jobs in *service*."""
    root.mkdir(exist_ok=True)
    variables = {
        "CLOUDQ_STORE_ENDPOINT_URL": service.endpoint_url,
        "CLOUDQ_STORE_BUCKET": BUCKET,
        "CLOUDQ_STORE_PREFIX": str(uuid.uuid4()),
        "CLOUDQ_AGENT_PROFILE": "slurm",
    }
    site = Site(root, service.environment() | slurm.environment() | variables, "cluster")
    set_times(site, poll_interval=1)
    return site


def set_times(site: Site, **seconds: float) -> None:
    """Override times of the profile at the site, for agents that start from now on."""
    own = site.home / "systems"
    own.mkdir(parents=True, mode=0o700, exist_ok=True)
    lines = (f"{name} = {value}\n" for name, value in seconds.items())
    (own / "slurm.toml").write_text("".join(lines))


def submit(client: Client, site: Site, body: str, name: str = "job.sh", **options: Any) -> str:
    """Submit a script; return the job's id."""
    return client.submit(site.script(body, name), submit_to=site.system, force=True, **options).job.uuid


def told(job: Job) -> tuple[str, int | None]:
    """Return the final state and the exit code of a job."""
    return job.state.value, job.exit_code


def out(client: Client, job_id: str, tid: int | None = None, *, error: bool = False) -> str:
    """Return the output of a job, or of one of its tasks."""
    return text_of(client.log(job_id, tid=tid, error=error))


def running(client: Client, job_id: str) -> str:
    """Return the scheduler job id, once the job runs."""
    wait_until(lambda: client.job(job_id).state is JobState.RUN, 90)
    return client.job(job_id).jobid


def ready(client: Client, job_id: str) -> str:
    """Return the scheduler job id, once the job was handed over."""
    wait_until(lambda: client.job(job_id).time_ready is not None, 90)
    return client.job(job_id).jobid


def scheduler_job_ids(slurm: Slurm, job_id: str, *states: str) -> set[str]:
    """Return the scheduler job ids that were submitted for a job."""
    lines = slurm.run("squeue", "-h", f"--states={','.join(states or ['all'])}", "-o", "%A %o").stdout
    return {line.split()[0] for line in lines.splitlines() if f"/{job_id}." in line}


def live_jobs(slurm: Slurm, job_id: str) -> set[str]:
    """Return the scheduler job ids that have not ended."""
    return scheduler_job_ids(slurm, job_id, "pending", "running", "completing")
