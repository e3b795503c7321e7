"""What `list --long` and `stat` show of jobs on a real Slurm, and what their scripts find."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve

from cloudq.client import Client
from cloudq.domain.errors import InvalidInput
from cloudq.domain.jobs.job_state import JobState
from tests.parts.site import Site, ended, wait_until
from tests.parts.slurm import URGENT_PARTITION, Slurm
from tests.parts.slurm_site import BASH, out, ready, running, set_times, submit, told

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("slurm"), pytest.mark.timeout(300)]

SHOW_ARRAY = BASH + 'echo "$SYSTEM $ARY_TASK_ID $ARY_TASK_FIRST-$ARY_TASK_LAST:$ARY_TASK_STEPSIZE"\n'


def notes(client: Client) -> dict[str, str]:
    """Return why each unfinished job waits."""
    return {job.job_id: job.note for job in client.jobs().jobs}


def test_reason_why_a_job_waits_is_shown_within_15_seconds(slurm_site: Site, slurm: Slurm) -> None:
    usual = {**slurm_site.variables, "CLOUDQ_AGENT_DAEMON_INTERVAL": "5"}
    site = evolve(slurm_site, variables=usual)
    set_times(site, poll_interval=10)
    slurm.run("scontrol", "update", f"PartitionName={URGENT_PARTITION}", "MaxTime=5")
    try:
        with site.client() as client, site.agent():
            held = submit(client, site, BASH, submit_opt="--hold")
            limited = submit(client, site, BASH, submit_opt=f"-p {URGENT_PARTITION} -t 9")
            array = submit(client, site, BASH + "exec sleep 60\n", array_tid="1-3%1")
            for job_id in (held, limited, array):
                ready(client, job_id)
            reasons = {
                held: "JobHeldUser",
                limited: "PartitionTimeLimit",
                array: "tasks wait: JobArrayTaskLimit",
            }
            wait_until(lambda: notes(client) == reasons, 15 + 2)

            assert "\nnote                  JobHeldUser\n" in site.cli("stat", held)
            assert "  PartitionTimeLimit\n" in site.cli("list", "--long")
            assert "  0/3; tasks wait: JobArrayTaskLimit\n" in site.cli("list", "--long")
            for job_id in (held, limited, array):
                client.cancel(job_id)
            ended(client, held, limited, array, timeout=120)
    finally:
        slurm.run("scontrol", "update", f"PartitionName={URGENT_PARTITION}", "MaxTime=INFINITE")


def test_job_that_no_node_can_run_says_so_and_has_no_exit_code(slurm_site: Site) -> None:
    with slurm_site.client() as client, slurm_site.agent():
        job_id = submit(client, slurm_site, BASH, submit_opt="--mem=900G")
        [job] = ended(client, job_id)

        assert told(job) == ("ERROR", None)
        assert "BadConstraints" in job.error_msg or "emory specification" in job.error_msg
        assert "129" not in job.error_msg


def test_every_array_knows_its_range_however_it_was_requested(slurm_site: Site) -> None:
    site = slurm_site
    with site.client() as client, site.agent():
        by_option = submit(client, site, SHOW_ARRAY, array_tid="1-5:2")
        by_header = submit(client, site, SHOW_ARRAY.replace("\n", "\n#SBATCH -a 2-4:2\n", 1))
        by_words = submit(client, site, SHOW_ARRAY, submit_opt="--array=3,7")
        plain = submit(client, site, SHOW_ARRAY)
        for job in ended(client, by_option, by_header, by_words, plain, timeout=120):
            assert told(job) == ("DONE", 0)

        assert out(client, by_option, 3) == "cluster 3 1-5:2\n"
        assert out(client, by_header, 4) == "cluster 4 2-4:2\n"
        assert out(client, by_words, 7) == "cluster 7 3-7:1\n"
        assert out(client, plain) == "cluster  -:\n"


def test_progress_of_an_array_is_fresh_when_asked_for(slurm_site: Site) -> None:
    site = slurm_site
    body = BASH + "case $ARY_TASK_ID in 1) exit 0 ;; 2) sleep 2; exit 4 ;; esac\nexec sleep 300\n"
    with site.client() as client, site.agent():
        job_id = submit(client, site, body, array_tid="1-3")
        wait_until(lambda: client.status(job_id).progress == "2/3, 1 failed")
        shown = site.cli("stat", "--fresh", job_id)

        assert "\nprogress              2/3, 1 failed\n" in shown
        assert "\ntasks                 1 DONE 0; 2 ERROR 4; 3 RUN\n" in shown
        assert "  2/3, 1 failed\n" in site.cli("list", "--long", "--fresh")
        client.cancel(job_id)
        assert ended(client, job_id)[0].state is JobState.ERROR


def test_option_that_blocks_is_refused_before_the_submission(slurm_site: Site, tmp_path: Path) -> None:
    site = slurm_site
    with site.client() as client, site.agent():
        running(client, submit(client, site, BASH + "exec sleep 30\n"))  # the agent has reported
        before = len(client.jobs().jobs)
        with pytest.raises(InvalidInput, match="--wait: the agent does not wait for one job"):
            client.submit(site.script(BASH), submit_to=site.system, submit_opt="--wait")
        warned = client.submit(site.script(BASH + "#$ -l h_rt=60\n"), submit_to=site.system)

        assert (
            "cluster: job.sh line 2: #$ has no effect there, only #SBATCH has: '#$ -l h_rt=60'"
            in warned.warnings
        )
        assert len(client.jobs().jobs) <= before + 1
        [job] = client.jobs().jobs[:1]
        client.cancel(job.job_id)
        ended(client, job.job_id, warned.job.uuid)
