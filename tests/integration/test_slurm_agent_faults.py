"""A whole agent whose Slurm fails, hangs, talks nonsense or loses answers: no wrong state, no second run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import frozen

from cloudq.bootstrap.agent_process import newest_lease
from cloudq.client import Client
from cloudq.config import load_config
from cloudq.domain.job_state import JobState
from tests.parts.fake_slurm.cluster import FakeSlurm
from tests.parts.site import Site, ended, wait_until
from tests.parts.world import text_of

CONTACT = "Unable to contact slurm controller (connect failure)"
NO_CONTACT = {"do": "fail", "words": f"slurm_load_jobs error: {CONTACT}"}
SUBMIT_FAILED = "sbatch: error: Batch job submission failed:"

SECONDS = "poll_interval = 1\nquery_limit = 1\nsubmit_wait = 1\nsubmit_limit = 3\n"

COUNTED = "#!/bin/bash\necho run >> {root}/runs.{name}\necho output of {name}\n"
WAITS = COUNTED + "until [ -e {root}/go ]; do sleep 0.05; done\nexit 3\n"
KILLED_OUTRIGHT = """\
#!/usr/bin/python3
import os, time
with open("{root}/runs.{name}", "a") as runs:
    runs.write("run\\n")
while not os.path.exists("{root}/go"):
    time.sleep(0.05)
os.killpg(os.getpgrp(), 9)
"""
"""Takes its job shell along: only Slurm knows of its end."""


@frozen
class Rig:
    """A site whose Slurm is a stand-in."""

    site: Site
    slurm: FakeSlurm

    def submit(self, client: Client, body: str, name: str) -> str:
        script = self.site.script(body.format(root=self.site.root, name=name), f"{name}.sh")
        return client.submit(script, submit_to=self.site.system, force=True).job.uuid

    def running(self, client: Client, body: str, name: str) -> str:
        job_id = self.submit(client, body, name)
        wait_until(lambda: client.job(job_id).state is JobState.RUN)
        return job_id

    def let_go(self) -> None:
        """Let the scripts that wait end."""
        (self.site.root / "go").touch()

    def runs(self, *names: str) -> list[int]:
        return [len((self.site.root / f"runs.{name}").read_text().splitlines()) for name in names]

    def log(self) -> str:
        return (self.site.root / "agent.out").read_text()

    def wait_for_calls(self, command: str, more: int) -> None:
        before = self.slurm.calls(command)
        wait_until(lambda: self.slurm.calls(command) >= before + more)

    def wait_until_over(self, local_id: str) -> None:
        """Until Slurm itself has ended the job."""
        wait_until(lambda: self.slurm.task_states(local_id) <= {"COMPLETED", "FAILED"})


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    slurm = FakeSlurm(tmp_path, slots=8)
    site = Site(tmp_path, {**slurm.environment(), "CLOUDQ_AGENT_PROFILE": "slurm"}, "cluster")
    own = site.home / "systems"
    own.mkdir(parents=True, mode=0o700)
    (own / "slurm.toml").write_text(SECONDS)
    yield Rig(site, slurm)
    slurm.comes_back()
    slurm.end_everything()


def told(client: Client, *job_ids: str) -> list[tuple[str, int | None]]:
    return [(job.state.value, job.exit_code) for job in ended(client, *job_ids)]


# Questions without an answer ---------------------------------------------------------------------


@pytest.mark.parametrize("fault", [NO_CONTACT, {"do": "garbage"}, {"do": "hang", "seconds": 30}], ids=str)
def test_while_squeue_gives_no_answer_no_state_changes(rig: Rig, fault: dict[str, object]) -> None:
    with rig.site.client() as client, rig.site.agent():
        before = rig.running(client, WAITS, "before")
        seen = client.job(before)
        rig.slurm.goes_away(fault, "squeue")
        rig.let_go()
        rig.wait_until_over(seen.jobid)
        during = rig.submit(client, COUNTED, "during")
        wait_until(lambda: client.job(during).state is JobState.READY)
        rig.wait_for_calls("squeue", 2)
        assert client.job(before) == seen
        assert client.job(during).state is JobState.READY
        assert "the scheduler gave no answer, all jobs keep their states: squeue" in rig.log()
        rig.slurm.comes_back()

        assert told(client, before, during) == [("ERROR", 3), ("DONE", 0)]
        assert text_of(client.log(during)) == "output of during\n"

    assert rig.runs("before", "during") == [1, 1]
    assert rig.slurm.calls("sbatch") == 2


def test_a_controller_that_is_away_loses_and_doubles_nothing(rig: Rig) -> None:
    site = rig.site
    with site.client() as client:
        with site.agent():
            before = rig.running(client, WAITS, "before")
            rig.slurm.goes_away(NO_CONTACT)
            during = rig.submit(client, COUNTED, "during")
            rig.let_go()
            wait_until(lambda: rig.slurm.calls("sbatch") == 2 and "gave no answer" in rig.log())
            rig.wait_for_calls("squeue", 2)
        seen = newest_lease(load_config(site.environment()))
        assert seen is not None
        assert CONTACT in seen.lease.last_error
        assert [client.job(job_id).state for job_id in (before, during)] == [JobState.RUN, JobState.INIT]
        with site.agent():
            rig.wait_for_calls("scontrol", 2)
            assert client.job(before).state is JobState.RUN
            rig.slurm.comes_back()

            assert told(client, before, during) == [("ERROR", 3), ("DONE", 0)]
            wait_until(lambda: "everything works again" in rig.log())

    assert rig.runs("before", "during") == [1, 1]
    assert rig.slurm.calls("sbatch") == 3


def test_an_exit_code_that_scontrol_did_not_tell_is_asked_for_again(rig: Rig) -> None:
    with rig.site.client() as client, rig.site.agent():
        job_id = rig.running(client, KILLED_OUTRIGHT, "killed")
        rig.slurm.goes_away(NO_CONTACT, "scontrol")
        rig.let_go()
        rig.wait_for_calls("scontrol", 2)
        assert client.job(job_id).state is JobState.RUN
        assert "all jobs keep their states: scontrol" in rig.log()
        rig.slurm.comes_back()

        assert told(client, job_id) == [("ERROR", 137)]


def test_a_configuration_that_cannot_be_read_stops_no_submission_and_no_end(rig: Rig) -> None:
    rig.slurm.goes_away({"do": "garbage"}, "scontrol")
    with rig.site.client() as client, rig.site.agent():
        job_id = rig.submit(client, COUNTED, "job")
        rig.wait_for_calls("scontrol", 2)
        assert client.job(job_id).state is JobState.READY
        rig.slurm.comes_back()

        assert told(client, job_id) == [("DONE", 0)]

    assert rig.runs("job") == [1]


def test_what_only_accounting_knows_waits_for_accounting(rig: Rig) -> None:
    rig.slurm.set(accounting=True)
    with rig.site.client() as client:
        with rig.site.agent():
            job_id = rig.running(client, KILLED_OUTRIGHT, "killed")
        local_id = client.job(job_id).jobid
        rig.let_go()
        rig.wait_until_over(local_id)
        rig.slurm.forget(local_id)
        rig.slurm.goes_away({"do": "fail", "words": "sacct: error: slurm_persist_conn_open"}, "sacct")
        with rig.site.agent():
            rig.wait_for_calls("sacct", 2)
            assert client.job(job_id).state is JobState.RUN
            assert "all jobs keep their states: sacct" in rig.log()
            rig.slurm.comes_back()

            assert told(client, job_id) == [("ERROR", 137)]


# Submissions without an answer -------------------------------------------------------------------


def test_submissions_whose_answers_are_late_lost_or_never_come_run_once_each(rig: Rig) -> None:
    timed_out = f"{SUBMIT_FAILED} Socket timed out on send/recv operation"
    rig.slurm.next_fails(
        "sbatch",
        {"do": "late", "seconds": 2},
        {"do": "hang", "seconds": 60},
        {"do": "answer lost", "words": timed_out},
        {"do": "fail", "words": timed_out},
        {"do": "garbage"},
    )
    names = ("a", "b", "c", "d", "e", "f")
    with rig.site.client() as client:
        job_ids = [rig.submit(client, COUNTED, name) for name in names]
        with rig.site.agent():
            assert told(client, *job_ids) == [("DONE", 0)] * len(names)

        assert [text_of(client.log(job_id)) for job_id in job_ids] == [
            f"output of {name}\n" for name in names
        ]

    assert rig.runs(*names) == [1] * len(names)
    assert rig.slurm.calls("sbatch") == len(names) + 3  # three were never submitted, and once more each


@pytest.mark.parametrize(
    "words", ["QOSMaxSubmitJobPerUserLimit", f"{SUBMIT_FAILED} Resource temporarily unavailable"]
)
def test_a_limit_of_the_moment_lets_a_job_wait_as_init_and_try_again(rig: Rig, words: str) -> None:
    rig.slurm.goes_away({"do": "fail", "words": f"sbatch: error: {words}"}, "sbatch")
    with rig.site.client() as client:
        job_id = rig.submit(client, COUNTED, "job")
        with rig.site.agent():
            wait_until(lambda: any(words in job.note for job in client.jobs().jobs))
        assert client.job(job_id).state is JobState.INIT
        rig.slurm.comes_back()
        with rig.site.agent():
            assert told(client, job_id) == [("DONE", 0)]

    assert rig.runs("job") == [1]
    assert rig.slurm.calls("sbatch") == 2


# How much is asked -------------------------------------------------------------------------------


def test_however_many_jobs_wait_one_squeue_runs_at_a_time(rig: Rig) -> None:
    rig.slurm.without_nodes()
    rig.slurm.next_fails("sbatch", *[{"do": "fail", "words": f"sbatch: error: {CONTACT}"}] * 8)
    with rig.site.client() as client, rig.site.agent():
        job_ids = [rig.submit(client, COUNTED, "job") for _ in range(14)]
        wait_until(lambda: all(client.job(job_id).state is JobState.READY for job_id in job_ids))
        rig.wait_for_calls("squeue", 3)

    assert rig.slurm.most_at_once("squeue") == 1
    assert rig.slurm.calls("sbatch") == 14 + 8
    assert (rig.slurm.calls("scontrol"), rig.slurm.calls("sacct")) == (1, 0)
