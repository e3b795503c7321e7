"""A whole agent whose Slurm fails in ways that only Slurm has: see also `test_agent_faults`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudq.domain.jobs.job_state import JobState
from tests.parts.fault_kinds import SLURM
from tests.parts.faulty_site import COUNTED, FaultySite, faulty_site
from tests.parts.site import wait_until

CONTACT = "Unable to contact slurm controller (connect failure)"

KILLED_OUTRIGHT = """\
#!/usr/bin/python3
import os, time
with open("{root}/runs.{name}", "a") as runs:
    runs.write("run\\n")
while not os.path.exists("{root}/go"):
    time.sleep(0.05)
os.killpg(os.getpgrp(), 9)
"""
"""A script that kills its job shell, too, so that only Slurm has evidence of its end."""


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[FaultySite]:
    with faulty_site(SLURM, tmp_path) as rig:
        yield rig


# Queries without an answer -----------------------------------------------------------------------


def test_an_exit_code_that_scontrol_did_not_tell_is_asked_for_again(rig: FaultySite) -> None:
    with rig.site.client() as client, rig.site.agent():
        job_id = rig.running(client, KILLED_OUTRIGHT, "killed")
        rig.fake.goes_away(SLURM.down, "scontrol")
        rig.let_go()
        rig.wait_for_calls("scontrol", 2)
        assert client.job(job_id).state is JobState.RUN
        wait_until(lambda: any(job.note.startswith("scontrol") for job in client.jobs().jobs))
        rig.fake.comes_back()

        assert rig.told(client, job_id) == [("ERROR", 137)]


def test_a_configuration_that_cannot_be_read_stops_no_submission_and_no_end(rig: FaultySite) -> None:
    rig.fake.goes_away({"do": "garbage"}, "scontrol")
    with rig.site.client() as client, rig.site.agent():
        job_id = rig.submit(client, COUNTED, "job")
        rig.wait_for_calls("scontrol", 2)
        wait_until(lambda: client.job(job_id).state is JobState.READY)
        rig.fake.comes_back()

        assert rig.told(client, job_id) == [("DONE", 0)]

    assert rig.runs("job") == [1]


def test_what_only_accounting_knows_waits_for_accounting(rig: FaultySite) -> None:
    rig.fake.set(accounting=True)
    with rig.site.client() as client:
        with rig.site.agent():
            job_id = rig.running(client, KILLED_OUTRIGHT, "killed")
        scheduler_job_id = client.job(job_id).jobid
        rig.let_go()
        rig.wait_until_over(scheduler_job_id)
        rig.fake.forget(scheduler_job_id)
        rig.fake.goes_away({"do": "fail", "words": "sacct: error: slurm_persist_conn_open"}, "sacct")
        with rig.site.agent():
            wait_until(lambda: any(job.note.startswith("sacct") for job in client.jobs().jobs))
            assert client.job(job_id).state is JobState.RUN
            rig.fake.comes_back()

            assert rig.told(client, job_id) == [("ERROR", 137)]


# Failures reported by Slurm ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "reason", "code"),
    [
        ("FAILED", "JobLaunchFailure", "0:53"), ("FAILED", "BadConstraints", "0:1"),
        ("NODE_FAIL", "NodeDown", "0:1"), ("FAILED", "RaisedSignal:53(Real-time signal 19)", "0:53"),
    ],
)  # fmt: skip
def test_a_job_that_slurm_could_not_run_has_its_reason_and_no_exit_code(
    rig: FaultySite, state: str, reason: str, code: str
) -> None:
    rig.fake.set(holds=True)
    with rig.site.client() as client, rig.site.agent():
        job_id = rig.submit(client, COUNTED, "job")
        wait_until(lambda: client.job(job_id).state is JobState.READY)
        rig.fake.fail(client.job(job_id).jobid, state, reason, code)

        assert rig.told(client, job_id) == [("ERROR", None)]
        assert reason in client.job(job_id).error_msg


def test_a_task_that_ran_out_of_memory_says_so(rig: FaultySite) -> None:
    rig.fake.set(holds=True)
    script = rig.site.script("#!/bin/bash\nexit 0\n", "array.sh")
    with rig.site.client() as client, rig.site.agent():
        job_id = client.submit(script, submit_to=rig.site.system, force=True, array_tid="1-3").job.uuid
        wait_until(lambda: client.job(job_id).state is JobState.READY)
        rig.fake.fail(client.job(job_id).jobid, "OUT_OF_MEMORY", "OutOfMemory", "0:125", "2")
        rig.fake.set(holds=False)

        assert rig.told(client, job_id) == [("ERROR", None)]
        assert client.job(job_id).error_msg == "task 2: ERROR: out of memory"


# A controller that limits requests ---------------------------------------------------------------


def test_a_rate_limit_ends_no_job(rig: FaultySite) -> None:
    words = "Rate limit exceeded, please retry later"
    limited = {"do": "fail", "words": f"sbatch: error: Batch job submission failed: {words}"}
    with rig.site.client() as client, rig.site.agent():
        rig.fake.goes_away(limited, "sbatch")
        job_ids = [rig.submit(client, COUNTED, f"job{number}") for number in range(3)]
        wait_until(lambda: sum(words in job.note for job in client.jobs().jobs) == 3)
        assert {client.job(job_id).state for job_id in job_ids} == {JobState.INIT}
        rig.fake.comes_back()

        assert rig.told(client, *job_ids) == [("DONE", 0)] * 3

    assert rig.runs(*(f"job{number}" for number in range(3))) == [1] * 3


def test_a_query_that_was_limited_does_not_say_that_a_job_is_forgotten(rig: FaultySite) -> None:
    with rig.site.client() as client, rig.site.agent():
        job_id = rig.running(client, KILLED_OUTRIGHT, "killed")
        limited = {"do": "fail", "words": "slurm_load_jobs error: Rate limit exceeded, please retry later"}
        rig.fake.goes_away(limited, "scontrol")
        rig.let_go()
        rig.wait_for_calls("scontrol", 2)
        assert client.job(job_id).state is JobState.RUN
        rig.fake.comes_back()

        assert rig.told(client, job_id) == [("ERROR", 137)]


# Number of queries -------------------------------------------------------------------------------


def test_however_many_jobs_wait_one_squeue_runs_at_a_time(rig: FaultySite) -> None:
    rig.fake.without_nodes()
    rig.fake.next_fails("sbatch", *[{"do": "fail", "words": f"sbatch: error: {CONTACT}"}] * 8)
    with rig.site.client() as client, rig.site.agent():
        job_ids = [rig.submit(client, COUNTED, "job") for _ in range(14)]
        wait_until(lambda: all(client.job(job_id).state is JobState.READY for job_id in job_ids))
        rig.wait_for_calls("squeue", 3)

    assert rig.fake.most_at_once("squeue") == 1
    assert rig.fake.calls("sbatch") == 14 + 8
    assert (rig.fake.calls("scontrol"), rig.fake.calls("sacct")) == (2, 0)  # one of them is a probe
