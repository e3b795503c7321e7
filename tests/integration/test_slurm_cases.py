"""Field reports on a real Slurm: the scripts as they were reported, and their results."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from attrs import evolve

from tests.parts.cases import case
from tests.parts.site import Site, ended
from tests.parts.slurm import URGENT_PARTITION, Slurm
from tests.parts.slurm_site import out, running, submit, told
from tests.parts.started_from import REPOSITORY, STEP, Start, agent, login_of

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("slurm"), pytest.mark.timeout(300)]


def test_output_goes_into_a_directory_that_the_script_names(slurm_site: Site, tmp_path: Path) -> None:
    with slurm_site.client() as client, slurm_site.agent():
        job_id = submit(client, slurm_site, case("01", "job.sh"))
        job = ended(client, job_id, timeout=60)[0]
        got = client.stage_out(job_id, tmp_path / "results")

        assert (told(job), out(client, job_id)) == (("DONE", 0), "hello\n")
    assert (got / "output" / "logs" / f"train_{job.jobid}.out").read_text() == "hello\n"


def test_lines_of_pbs_mean_what_sbatch_makes_of_them(slurm_site: Site, tmp_path: Path) -> None:
    with slurm_site.client() as client, slurm_site.agent():
        job_id = submit(client, slurm_site, case("06", "job.sh"))
        ignoring = submit(client, slurm_site, case("06", "job.sh"), submit_opt="--ignore-pbs")
        jobs = ended(client, job_id, ignoring, timeout=60)
        got = client.stage_out(job_id, tmp_path / "results")

        assert [told(job) for job in jobs] == [("DONE", 0)] * 2
        assert (out(client, job_id), out(client, ignoring)) == ("pbs pbsname\n", "pbs job.sh\n")
    assert (got / "output" / "pbs.out").read_text() == "pbs pbsname\n"


def test_late_lines_do_not_count_and_are_named(slurm_site: Site) -> None:
    with slurm_site.client() as client, slurm_site.agent():
        script = slurm_site.script(case("21", "job.sh"))
        submitted = client.submit(script, submit_to=slurm_site.system, force=True)
        job_id = submitted.job.uuid
        job = ended(client, job_id, timeout=60)[0]

        words = "job.sh lines 4, 5: #SBATCH comes after the first command and has no effect there"
        assert (told(job), out(client, job_id)) == (("DONE", 0), "job.sh\n")
        assert words in submitted.warnings
        assert job.remarks == (words,)
    assert f"remarks               {words}\n" in slurm_site.cli("stat", job_id)


def test_follow_up_of_a_script_is_named_and_keeps_its_directory(slurm_site: Site, slurm: Slurm) -> None:
    site = evolve(slurm_site, variables={**slurm_site.variables, "CLOUDQ_AGENT_KEEP_DAYS": "0"})
    with site.client() as client:
        with site.agent():
            job_id = submit(client, site, case("18", "job.sh"))
            job = ended(client, job_id, timeout=60)[0]
            second = out(client, job_id).split()[0]
            assert told(job) == ("DONE", 0)
            assert f"your script submitted job {second}, which cloudq does not follow" in job.remarks[0]
        slurm.wait_for_state(second, "RUNNING")
        assert site.run("cloudqd").returncode == 0  # one cycle, which removes the files that it may remove
        slurm.wait_for_state(second, "COMPLETED", longest_s=120)
        work_dir = site.home / "cache" / job_id
        assert (work_dir / "chain.txt").read_text() == "link 0\nlink 1\n"
        slurm.wait_until("it has left the queue", lambda: not slurm.run("squeue", "-h").stdout)
        assert site.run("cloudqd").returncode == 0
        assert not work_dir.exists()


def test_functions_and_defaults_of_the_login_count_and_a_dead_steps_do_not(
    slurm_site: Site, slurm: Slurm, tmp_path: Path
) -> None:
    login = {**login_of(tmp_path, slurm.environment()), "SBATCH_PARTITION": URGENT_PARTITION}
    with slurm_site.client() as client, agent(slurm_site, Start(sys.executable, STEP), login):
        module = submit(client, slurm_site, case("02", "job.sh"))
        defaults = submit(client, slurm_site, case("04", "job.sh"))
        for job in ended(client, module, defaults, timeout=90):
            assert told(job) == ("DONE", 0)
        assert out(client, module) == "loaded: gcc/12\n"
        said = out(client, defaults).splitlines()
        assert said[0] == f"partition={URGENT_PARTITION} name=by-default"
        assert "TimeLimit=00:05:00" in said
        assert not [
            line for line in said if line.startswith(("PMI", "OMPI", "MPI", "SCANCEL", "CUDA", "PYTHON"))
        ]


def test_cancel_takes_effect_whatever_defaults_scancel_would_have(
    slurm_site: Site, slurm: Slurm, tmp_path: Path
) -> None:
    login = login_of(tmp_path, slurm.environment())
    with slurm_site.client() as client, agent(slurm_site, Start(sys.executable, STEP), login):
        job_id = submit(client, slurm_site, "#!/bin/bash\nsleep 300\n")
        running(client, job_id)
        assert slurm_site.run("cloudqcli", "cancel", job_id).returncode == 0
        assert told(ended(client, job_id, timeout=60)[0])[0] == "DELETED"


def test_command_that_slurm_shows_is_the_job_shell_as_the_page_says(slurm_site: Site, tmp_path: Path) -> None:
    functions = tmp_path / ".shellscript_functions"
    functions.write_text(case("07", functions.name))
    own_name = case("07", "job.sh").replace("[[ -d $D ]] && SCRIPT_DIR", "false && SCRIPT_DIR")
    with slurm_site.client() as client, slurm_site.agent():
        by_command = submit(client, slurm_site, case("07", "job.sh"), inputs=[functions])
        by_own_name = submit(client, slurm_site, own_name, inputs=[functions])
        jobs = ended(client, by_command, by_own_name, timeout=60)

        assert [told(job) for job in jobs] == [("ERROR", 127), ("DONE", 0)]
    assert "`Command=` is the job" in (REPOSITORY / "docs" / "slurm.md").read_text(encoding="utf-8")
