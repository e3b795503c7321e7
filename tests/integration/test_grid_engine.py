"""The main job on a real Grid Engine, through moto: every final state is right, every script runs once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve

from cloudq.client import Client
from cloudq.domain.errors import InvalidInput
from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.job_state import JobState
from tests.parts.grid_engine import GridEngine
from tests.parts.grid_engine_site import login_node
from tests.parts.s3_services import S3Service
from tests.parts.site import Site, ended, wait_until
from tests.parts.world import text_of

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("gridengine"), pytest.mark.timeout(600)]

BASH = "#!/bin/bash\n"


@pytest.fixture
def cell_site(
    grid_engine: GridEngine, moto_service: S3Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    """A login node of the cell, with moto as its store."""
    for name, value in moto_service.environment().items():
        monkeypatch.setenv(name, value)
    yield login_node(grid_engine, moto_service, tmp_path)
    grid_engine.clear()


def submit(client: Client, site: Site, body: str, name: str = "job.sh", **options: str) -> str:
    return client.submit(site.script(body, name), submit_to=site.system, force=True, **options).job.uuid  # type: ignore[arg-type]


def told(job: Job) -> tuple[str, int | None]:
    return job.state.value, job.exit_code


def out(client: Client, job_id: str, tid: int | None = None, *, error: bool = False) -> str:
    return text_of(client.log(job_id, tid=tid, error=error))


def running(client: Client, job_id: str) -> str:
    """Wait until the job runs and return its scheduler job id."""
    wait_until(lambda: client.job(job_id).state is JobState.RUN, 90)
    return client.job(job_id).jobid


def test_every_kind_of_end_is_told_as_it_was(cell_site: Site, tmp_path: Path) -> None:
    site = cell_site
    python = "import sys\nprint(sys.version_info[0])\n#$ -r n\nsys.exit(4)\n"
    with site.client() as client, site.agent():
        good = submit(client, site, BASH + "echo out; echo err >&2; echo 42 > result.txt\n", "1 good job.sh")
        bad = submit(client, site, BASH + "#$ -N 'a_name,with=more'\nexit 3\n")
        by_shebang = submit(client, site, "#!/usr/bin/python3\n" + python, "job.py")
        by_option = submit(client, site, "#$ -l h_rt=60 -S /usr/bin/python3\n" + python, "job.txt")
        by_words = submit(client, site, python, "job.txt", submit_opt="-S /usr/bin/python3")
        array = submit(
            client, site, BASH + "echo task $SGE_TASK_ID\nexit $((SGE_TASK_ID == 2))\n#$ -t 1-3 -tc 2\n"
        )
        sparse = submit(client, site, BASH + "echo $SGE_TASK_ID\n", array_tid="1-7:3%1")
        asked = submit(client, site, BASH + "echo $SGE_TASK_ID\n", submit_opt="-t 2-4:2")
        elsewhere = submit(client, site, BASH + "pwd\n", submit_opt="-wd /tmp")
        here = submit(client, site, BASH + "#$ -cwd\nbasename $PWD\n")
        secret = submit(client, site, BASH + "env | grep -E '^(AWS_|CLOUDQ_|VIRTUAL_ENV|PYTHON)'\n")
        exported = submit(
            client, site, BASH + "env | grep -E '^(AWS_|CLOUDQ_|VIRTUAL_ENV|PYTHON)'\n", submit_opt="-V"
        )
        ids = (good, bad, by_shebang, by_option, by_words, array, sparse, asked, elsewhere, here, secret)
        jobs = ended(client, *ids, exported, timeout=120)

        assert [told(job) for job in jobs] == [
            ("DONE", 0), ("ERROR", 3), ("ERROR", 4), ("ERROR", 4), ("ERROR", 4), ("ERROR", 1), ("DONE", 0),
            ("DONE", 0), ("DONE", 0), ("DONE", 0), ("ERROR", 1), ("ERROR", 1),
        ]  # fmt: skip
        assert (out(client, good), out(client, good, error=True)) == ("out\n", "err\n")
        assert [out(client, each) for each in (by_shebang, by_option, by_words)] == ["3\n"] * 3
        assert [str(jobs[number].array_tid) for number in (5, 6, 7)] == ["1-3:1%2", "1-7:3%1", "2-4:2"]
        assert [(task, each.state.value) for task, each in jobs[5].tasks.items()] == [
            (1, "DONE"), (3, "DONE"), (2, "ERROR"),
        ]  # fmt: skip
        assert [out(client, array, task) for task in (1, 2, 3)] == ["task 1\n", "task 2\n", "task 3\n"]
        assert [out(client, sparse, task) for task in (1, 4, 7)] == ["1\n", "4\n", "7\n"]
        assert (out(client, elsewhere), out(client, here)) == ("/tmp\n", f"{here}\n")
        assert (out(client, secret), out(client, exported)) == ("", "")
        assert f"-ac cloudq={good}.1 -S /bin/bash" in jobs[0].submit_command
        got = client.stage_out(good, tmp_path / "results")

    assert (got / "output" / "result.txt").read_text() == "42\n"


def test_a_users_own_output_files_are_written_and_the_logs_are_found_all_the_same(
    cell_site: Site, tmp_path: Path
) -> None:
    site = cell_site
    body = "for i in $(seq 20000); do echo line $i; done; echo problem >&2\n"
    with site.client() as client, site.agent():
        both = submit(client, site, BASH + "#$ -o own.$JOB_ID.out -e own.$JOB_ID.err\n" + body)
        joined = submit(
            client, site, BASH + "echo out; sleep 0.3; echo err >&2\n", submit_opt="-j y -o all.txt"
        )
        array = submit(client, site, BASH + "#$ -t 1-2 -o $TASK_ID.txt\necho task $SGE_TASK_ID\n")
        only_error = submit(client, site, BASH + "echo out; echo err >&2\n", submit_opt="-e err.txt")
        live = submit(client, site, BASH + "#$ -o mine\necho begun\nsleep 60\n")
        scheduler_job_id = running(client, live)
        wait_until(lambda: out(client, live) == "begun\n")
        assert site.run("cloudqcli", "cancel", live).returncode == 0
        jobs = ended(client, both, joined, array, only_error, timeout=120)

        assert [told(job) for job in jobs] == [("DONE", 0)] * 4
        assert told(ended(client, live)[0])[0] == "DELETED"
        assert scheduler_job_id == client.job(live).jobid
        assert out(client, both).count("\n") == 20_000
        assert (out(client, both, error=True), out(client, joined)) == ("problem\n", "out\n")
        assert out(client, joined, error=True) == "err\n"
        assert [out(client, array, task) for task in (1, 2)] == ["task 1\n", "task 2\n"]
        assert (out(client, only_error), out(client, only_error, error=True)) == ("out\n", "err\n")
        files = {
            path.name: path.read_text()
            for job_id in (both, joined, array, only_error)
            for path in (client.stage_out(job_id, tmp_path / "results") / "output").iterdir()
        }
        number = jobs[0].jobid
        assert files.pop(f"own.{number}.out") == out(client, both)
        assert files == {
            f"own.{number}.err": "problem\n",
            "all.txt": "out\nerr\n",
            "1.txt": "task 1\n",
            "2.txt": "task 2\n",
            "err.txt": "err\n",
        }


def test_what_grid_engine_and_others_do_to_a_job_is_told_as_it_was(
    cell_site: Site, grid_engine: GridEngine
) -> None:
    site = cell_site
    again = BASH + "echo run >> runs; cat runs; [ $(wc -l <runs) -gt 1 ] || exit 99; exit 5\n"
    with site.client() as client:
        with site.agent():
            late = submit(client, site, BASH + "echo begun\nexec sleep 300\n", submit_opt="-l h_rt=3")
            deleted = submit(client, site, BASH + "echo begun; sleep 300\n")
            held = submit(client, site, BASH + "echo released\n", submit_opt="-h")
            stuck = submit(client, site, BASH + "echo never\n", submit_opt="-o /nowhere/at/all")
            refuses = submit(client, site, BASH + "echo tried\nexit 100\n")
            requeued = submit(client, site, again)
            while_away = submit(client, site, BASH + "echo begun; sleep 300\n")
            grid_engine.run("qdel", running(client, deleted))
            scheduler_job_id = running(client, while_away)
            jobs = ended(client, late, deleted, stuck, refuses, requeued, timeout=120)
            assert client.job(held).state is JobState.READY
            grid_engine.run("qrls", client.job(held).jobid)
            jobs += ended(client, held)
        grid_engine.run("qdel", scheduler_job_id)
        grid_engine.wait_until("no job is left", lambda: not grid_engine.states())
        with site.agent():
            jobs += ended(client, while_away)

        assert [told(job) for job in jobs] == [
            ("TIMEOUT", 137), ("DELETED", 137), ("ERROR", None), ("ERROR", 100), ("ERROR", 5), ("DONE", 0),
            ("DELETED", 137),
        ]  # fmt: skip
        assert "time limit" in jobs[0].error_msg
        assert "Eqw: error: can't open output file" in jobs[2].error_msg
        assert "exit_status of job start = 100" in jobs[3].error_msg
        assert out(client, requeued) == "run\nrun\nrun\n"
        assert (out(client, held), out(client, while_away)) == ("released\n", "begun\n")


def test_options_without_a_meaning_are_refused_by_name(cell_site: Site) -> None:
    site = cell_site
    with site.client() as client, site.agent():
        options = ("-sync y", "-b y", "-verify", "-w v", "-now y", "-@ more", "-q nowhere", "other.sh")
        ids = [submit(client, site, BASH, submit_opt=option) for option in options]
        ids.append(submit(client, site, BASH + "#$ -t 1-4\n", array_tid="1-3"))
        ids.append(submit(client, site, BASH, array_tid="1,3,8"))
        ids.append(submit(client, site, BASH + '#$ -A "a b" -t 1-4\n'))
        jobs = ended(client, *ids)

        assert {job.state.value for job in jobs} == {"ERROR"}
        words = (
            "-sync", "-b", "-verify", "-w v", "-now", "-@", "unknown queue", "other.sh",
            "array_tid", "not a list", "a separate line",
        )  # fmt: skip
        for job, word in zip(jobs, words, strict=True):
            assert word in job.error_msg


def test_a_qmaster_that_is_away_changes_no_state(cell_site: Site, grid_engine: GridEngine) -> None:
    site = cell_site
    with site.client() as client, site.agent():
        before = submit(client, site, BASH + "echo before; sleep 8; exit 3\n")
        running(client, before)
        grid_engine.stop_qmaster(crash=True)
        during = submit(client, site, BASH + "echo during\n")
        wait_until(lambda: "gave no answer" in (site.root / "agent.out").read_text(), 120)
        assert not client.job(before).is_final
        grid_engine.start_qmaster()
        jobs = ended(client, before, during, timeout=300)

        assert [told(job) for job in jobs] == [("ERROR", 3), ("DONE", 0)]
        assert (out(client, before), out(client, during)) == ("before\n", "during\n")


# What screens show, and what scripts find --------------------------------------------------------

SHOW_ARRAY = BASH + 'echo "$SYSTEM $ARY_TASK_ID $ARY_TASK_FIRST-$ARY_TASK_LAST:$ARY_TASK_STEPSIZE"\n'


def test_reason_why_a_job_waits_is_shown_within_15_seconds(cell_site: Site, grid_engine: GridEngine) -> None:
    site = evolve(cell_site, variables={**cell_site.variables, "CLOUDQ_AGENT_DAEMON_INTERVAL": "5"})
    (site.home / "systems" / "gridengine.toml").write_text("poll_interval = 10\n")
    with site.client() as client, site.agent():
        held = submit(client, site, BASH, submit_opt="-h")
        wait_until(lambda: client.job(held).time_ready is not None)
        wait_until(lambda: [job.note for job in client.jobs().jobs] == ["held (hqw)"], 15 + 2)

        assert "\nnote                  held (hqw)\n" in site.cli("stat", held)
        assert site.cli("list", "--long").endswith("  held (hqw)\n")
        grid_engine.run("qrls", client.job(held).jobid)
        assert told(ended(client, held, timeout=120)[0]) == ("DONE", 0)


def test_every_array_knows_its_range_however_it_was_requested(cell_site: Site) -> None:
    site = cell_site
    with site.client() as client, site.agent():
        by_option = submit(client, site, SHOW_ARRAY, array_tid="1-5:2")
        by_header = submit(client, site, SHOW_ARRAY + "#$ -t 2-4:2\n")
        by_words = submit(client, site, SHOW_ARRAY, submit_opt="-t 3-7")
        plain = submit(client, site, SHOW_ARRAY)
        for job in ended(client, by_option, by_header, by_words, plain, timeout=120):
            assert told(job) == ("DONE", 0)

        assert out(client, by_option, 3) == "cell 3 1-5:2\n"
        assert out(client, by_header, 4) == "cell 4 2-4:2\n"
        assert out(client, by_words, 7) == "cell 7 3-7:1\n"
        assert out(client, plain) == "cell  -:\n"


def test_progress_of_an_array_is_fresh_when_asked_for(cell_site: Site) -> None:
    site = cell_site
    body = BASH + "case $ARY_TASK_ID in 1) exit 0 ;; 2) sleep 2; exit 4 ;; esac\nexec sleep 300\n"
    with site.client() as client, site.agent():
        job_id = submit(client, site, body, array_tid="1-3")
        wait_until(lambda: client.status(job_id).progress == "2/3, 1 failed", 90)
        shown = site.cli("stat", "--fresh", job_id)

        assert "\nprogress              2/3, 1 failed\n" in shown
        assert "\ntasks                 1 DONE 0; 2 ERROR 4; 3 RUN\n" in shown
        client.cancel(job_id)
        assert ended(client, job_id, timeout=120)[0].state is JobState.ERROR


def test_lines_of_slurm_are_named_and_blocking_options_refused_at_once(cell_site: Site) -> None:
    site = cell_site
    script = site.script(BASH + "#SBATCH -n 2\n#SBATCH -t 5\necho\n")
    with site.client() as client, site.agent():
        wait_until(lambda: bool(client.agents()))
        with pytest.raises(InvalidInput, match=r"cell would refuse the job: .*-sync"):
            client.submit(script, submit_to=site.system, submit_opt="-sync y")
        assert client.jobs().jobs == ()
        submitted = client.submit(script, submit_to=site.system)
        [job] = ended(client, submitted.job.uuid, timeout=120)
        again = client.rerun(job.uuid)

        effect = "#SBATCH has no effect there, only #$ has"
        words = f"cell: job.sh lines 2, 3: {effect}: '#SBATCH -n 2', '#SBATCH -t 5'"
        assert words in submitted.warnings
        assert words in again.warnings
        ended(client, again.job.uuid, timeout=120)
