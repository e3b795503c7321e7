"""A whole agent on PBS, stand-in and real: every final state is right, every script runs once."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudq.client import Client
from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.job_state import JobState
from tests.parts.cases import case
from tests.parts.counted_runs import check_all, submit_many
from tests.parts.fake_pbs.complex import FakePbs
from tests.parts.real_pbs import RealPbs
from tests.parts.site import Site, ended, wait_until
from tests.parts.world import text_of

Pbs = FakePbs | RealPbs

BASH = "#!/bin/bash\n"


@pytest.fixture(params=["stand-in", pytest.param("real", marks=pytest.mark.xdist_group("pbs"))])
def pbs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pbs]:
    pbs: Pbs = RealPbs() if request.param == "real" else FakePbs(tmp_path, slots=4)
    yield pbs
    pbs.end_everything()


@pytest.fixture
def pbs_site(pbs: Pbs, tmp_path: Path) -> Site:
    """A login node whose store is a directory."""
    return site_on(pbs, tmp_path)


def site_on(pbs: Pbs, root: Path) -> Site:
    variables = {"CLOUDQ_AGENT_PROFILE": "pbs", "PLANTED_SECRET": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    site = Site(root, pbs.environment() | variables)
    own = site.home / "systems"
    own.mkdir(parents=True, mode=0o700)
    (own / "pbs.toml").write_text("poll_interval = 0.5\n")
    return site


def submit(client: Client, site: Site, body: str, name: str = "job.sh", **options: str) -> str:
    return client.submit(site.script(body, name), submit_to=site.system, force=True, **options).job.uuid  # type: ignore[arg-type]


def told(job: Job) -> tuple[str, int | None]:
    return job.state.value, job.exit_code


def out(client: Client, job_id: str, tid: int | None = None, *, error: bool = False) -> str:
    return text_of(client.log(job_id, tid=tid, error=error))


def qstat(pbs: Pbs, *words: str) -> str:
    environment = os.environ | pbs.environment()
    return subprocess.run(
        ["qstat", *words], env=environment, capture_output=True, text=True, check=False
    ).stdout


def in_state(client: Client, job_id: str, state: JobState) -> str:
    """Wait until the job is in *state*, and return its scheduler job id."""
    wait_until(lambda: client.job(job_id).state is state and bool(client.job(job_id).jobid))
    return client.job(job_id).jobid


def test_every_kind_of_end_is_told_as_it_was(pbs_site: Site, tmp_path: Path) -> None:
    site = pbs_site
    with site.client() as client, site.agent():
        good = submit(client, site, BASH + "echo out; echo err >&2; echo 42 > result.txt\n", "good job.sh")
        bad = submit(client, site, BASH + "#PBS -A 'a b'\nexit 3\n", name="bad.sh")
        python = submit(
            client, site,
            "#!/usr/bin/python3\n#PBS -S /usr/bin/python3 -l walltime=60\nimport sys\nsys.exit(4)\n",
            "job.py",
        )  # fmt: skip
        array = submit(
            client, site,
            BASH + "#PBS -J 0-3\necho task $PBS_ARRAY_INDEX\nexit $((PBS_ARRAY_INDEX == 2))\n",
        )  # fmt: skip
        single = submit(client, site, BASH + "echo $PBS_ARRAY_INDEX; pwd\n", array_tid="7")
        asked = submit(client, site, BASH + "echo $PBS_ARRAY_INDEX\n", submit_opt="-J 2-4:2%1")
        spaced = submit(client, site, BASH + "echo $PBS_ARRAY_INDEX\n", array_tid="1,3,5")
        own_variable = submit(client, site, BASH + "echo $A $B\n", submit_opt="""-v A=1,B="'x y,z'" """)
        clean = submit(client, site, BASH + "env | grep -E '^(AWS_|CLOUDQ_|PLANTED|VIRTUAL_ENV|PYTHON)'\n")
        ids = (good, bad, python, array, single, asked, spaced, own_variable, clean)
        jobs = ended(client, *ids, timeout=120)

        assert [told(job) for job in jobs] == [
            ("DONE", 0), ("ERROR", 3), ("ERROR", 4), ("ERROR", 1), ("DONE", 0), ("DONE", 0), ("DONE", 0),
            ("DONE", 0), ("ERROR", 1),
        ]  # fmt: skip
        assert (out(client, good), out(client, good, error=True)) == ("out\n", "err\n")
        assert [str(job.array_tid) for job in jobs[3:7]] == ["0-3:1", "7", "2-4:2%1", "1,3,5"]
        assert [(task, each.state.value) for task, each in jobs[3].tasks.items()] == [
            (0, "DONE"), (1, "DONE"), (3, "DONE"), (2, "ERROR"),
        ]  # fmt: skip
        assert [out(client, array, task) for task in range(4)] == [f"task {task}\n" for task in range(4)]
        assert out(client, single, 7) == f"7\n{site.home}/cache/{single}\n"
        assert [out(client, spaced, task) for task in (1, 3, 5)] == ["1\n", "3\n", "5\n"]
        assert (out(client, own_variable), out(client, clean)) == ("1 x y,z\n", "")
        assert jobs[0].submit_command.startswith("qsub -f -S /bin/bash -N good_job.sh -j oe")
        assert "[]." in jobs[3].jobid
        got = client.stage_out(good, tmp_path / "results")

    assert {path.name for path in (got / "output").iterdir()} == {"result.txt"}


def test_a_users_own_output_files_are_written_and_the_logs_are_found_all_the_same(
    pbs_site: Site, pbs: Pbs, tmp_path: Path
) -> None:
    site = pbs_site
    body = "for i in $(seq 20000); do echo line $i; done; echo problem >&2\n"
    with site.client() as client, site.agent():
        both = submit(client, site, BASH + "#PBS -o own.out -e own.err\n" + body)
        joined = submit(
            client, site, BASH + "echo out; sleep 0.3; echo err >&2\n", submit_opt="-o all.txt -joe"
        )
        array = submit(client, site, BASH + "#PBS -J 1-2 -o ^array_index^.txt\necho task $PBS_ARRAY_INDEX\n")
        kept = submit(client, site, BASH + "echo kept\n", submit_opt="-k oe", name="kept.sh")
        live = submit(client, site, BASH + "#PBS -o mine\necho begun\nsleep 60\n")
        in_state(client, live, JobState.RUN)
        wait_until(lambda: out(client, live) == "begun\n")
        assert site.run("cloudqcli", "cancel", live).returncode == 0
        jobs = ended(client, both, joined, array, kept, timeout=120)

        assert [told(job) for job in jobs] == [("DONE", 0)] * 4
        assert told(ended(client, live)[0])[0] == "DELETED"
        assert out(client, both).count("\n") == 20_000
        assert (out(client, both, error=True), out(client, joined)) == ("problem\n", "out\n")
        assert (out(client, joined, error=True), out(client, kept)) == ("err\n", "kept\n")
        assert [out(client, array, task) for task in (1, 2)] == ["task 1\n", "task 2\n"]
        files = {
            path.name: path.read_text()
            for job_id in (both, joined, array)
            for path in (client.stage_out(job_id, tmp_path / "results") / "output").iterdir()
        }
        number = jobs[2].jobid.partition("[")[0]
        assert files.pop("own.out") == out(client, both)
        assert {name: text for name, text in files.items() if text} == {
            "own.err": "problem\n", "all.txt": "out\nerr\n", "1.txt": "task 1\n", "2.txt": "task 2\n",
        }  # fmt: skip
        assert f"job.sh.e{number}.1" in files
        kept_file = pbs.user_home / f"kept.sh.o{jobs[3].jobid.partition('.')[0]}"
        assert kept_file.read_text() == "kept\n"


@pytest.mark.parametrize("version", [{}, {"tells_walltime": False}, {"top_shell": True}], ids=str)
def test_a_job_that_is_ended_by_others_is_told_as_it_was(
    pbs_site: Site, pbs: Pbs, version: dict[str, bool]
) -> None:
    site = pbs_site
    pbs.set(**version)
    with site.client() as client, site.agent():
        late = submit(client, site, BASH + "\n  #PBS -l walltime=1\necho begun\nexec sleep 300\n")
        deaf = submit(
            client, site, BASH + "trap '' TERM\nwhile :; do sleep 0.1; done\n", submit_opt="-lwalltime=1"
        )
        deleted = submit(client, site, BASH + "echo begun; sleep 300\n")
        held = submit(client, site, BASH + "echo never\n", submit_opt="-h")
        pbs.delete(in_state(client, deleted, JobState.RUN), in_state(client, held, JobState.READY))
        jobs = ended(client, late, deaf, deleted, held, timeout=120)

        assert [job.state.value for job in jobs] == ["TIMEOUT", "TIMEOUT", "DELETED", "DELETED"]
        assert (out(client, late), out(client, held)) == ("begun\n", "")
        assert "time limit" in jobs[0].error_msg


def test_a_job_that_was_held_runs_when_it_is_let_go(pbs_site: Site, pbs: Pbs) -> None:
    with pbs_site.client() as client, pbs_site.agent():
        held = submit(client, pbs_site, BASH + "echo ran\n", submit_opt="-h")
        pbs.release(in_state(client, held, JobState.READY))
        job = ended(client, held)[0]

        assert (told(job), out(client, held)) == (("DONE", 0), "ran\n")


def test_a_job_that_pbs_puts_back_runs_again_as_the_same_job(pbs_site: Site, pbs: Pbs) -> None:
    body = BASH + "echo run >> runs; cat runs; [ $(wc -l <runs) -eq 2 ] || sleep 300\n"
    with pbs_site.client() as client, pbs_site.agent():
        job_id = submit(client, pbs_site, body)
        scheduler_job_id = in_state(client, job_id, JobState.RUN)
        wait_until(lambda: out(client, job_id) == "run\n")
        pbs.set(holds=True)
        pbs.change(scheduler_job_id, rerun=True)
        assert in_state(client, job_id, JobState.READY) == scheduler_job_id
        pbs.set(holds=False)
        job = ended(client, job_id)[0]

        assert (told(job), out(client, job_id)) == (("DONE", 0), "run\nrun\nrun\n")


def test_a_canceled_array_keeps_what_became_of_each_task(pbs_site: Site) -> None:
    body = "touch ran.$PBS_ARRAY_INDEX; case $PBS_ARRAY_INDEX in 1) exit 0;; 2) exit 3;; esac; sleep 300\n"
    with pbs_site.client() as client, pbs_site.agent():
        job_id = submit(client, pbs_site, BASH + body, array_tid="1-5%2")
        work_dir = pbs_site.home / "cache" / job_id
        wait_until(lambda: all((work_dir / f"ran.{task}").exists() for task in (3, 4)), 120)
        assert pbs_site.run("cloudqcli", "cancel", job_id).returncode == 0
        (job,) = ended(client, job_id, timeout=120)

        assert [(state.state.value, state.exit_code) for _, state in sorted(job.tasks.items())] == [
            ("DONE", 0), ("ERROR", 3), ("DELETED", 143), ("DELETED", 143), ("DELETED", None),
        ]  # fmt: skip


def test_a_waiting_task_that_is_canceled_is_deleted_without_an_exit_code(pbs_site: Site, pbs: Pbs) -> None:
    body = "until [ -e go ]; do sleep 0.1; done; exit $((PBS_ARRAY_INDEX == 1 ? 3 : 0))\n"
    with pbs_site.client() as client, pbs_site.agent():
        job_id = submit(client, pbs_site, BASH + body, array_tid="1-3%1")
        task = in_state(client, job_id, JobState.RUN).replace("[]", "[3]")
        assert pbs_site.run("cloudqcli", "cancel", job_id, "--tid", "3").returncode == 0
        wait_until(lambda: "job_state = X" in qstat(pbs, "-x", "-f", task))
        (pbs_site.home / "cache" / job_id / "go").touch()
        (job,) = ended(client, job_id, timeout=120)

        assert [(state.state.value, state.exit_code) for _, state in sorted(job.tasks.items())] == [
            ("ERROR", 3), ("DONE", 0), ("DELETED", None),
        ]  # fmt: skip


def test_a_job_says_what_it_waits_for_and_why_it_never_ran(pbs_site: Site) -> None:
    with pbs_site.client() as client, pbs_site.agent():
        held = submit(client, pbs_site, BASH, array_tid="1-3", submit_opt="-h")
        server = in_state(client, held, JobState.READY).partition(".")[2]
        depends = submit(client, pbs_site, BASH, submit_opt=f"-W depend=afterok:99999.{server}")

        def note_of(job_id: str) -> str:
            return next(job.note for job in client.jobs().jobs if job.job_id == job_id)

        tasks = submit(
            client, pbs_site, BASH, array_tid="1-3", submit_opt=f"-W depend=afterok:99999.{server}"
        )
        wait_until(lambda: note_of(held) == "held by its user")
        assert "\nnote                  held by its user\n" in pbs_site.cli("stat", held)
        for job in ended(client, depends, tasks, timeout=60):
            assert told(job) == ("ERROR", None)
            assert "a job that it depends on failed, was deleted or is unknown" in job.error_msg
        assert pbs_site.run("cloudqcli", "cancel", held).returncode == 0
        (job,) = ended(client, held, timeout=60)
        assert {(state.state.value, state.exit_code) for _, state in job.tasks.items()} == {("DELETED", None)}


def test_every_array_knows_its_range_however_it_was_requested(pbs_site: Site) -> None:
    site = pbs_site
    body = 'echo "$SYSTEM $ARY_TASK_ID $ARY_TASK_FIRST-$ARY_TASK_LAST:$ARY_TASK_STEPSIZE"\n'
    with site.client() as client, site.agent():
        by_option = submit(client, site, BASH + body, array_tid="1-5:2")
        by_header = submit(client, site, BASH + "#PBS -J 2-4:2\n" + body)
        by_words = submit(client, site, BASH + body, submit_opt="-J 3-7")
        single = submit(client, site, BASH + body, array_tid="7")
        for job in ended(client, by_option, by_header, by_words, single, timeout=120):
            assert told(job) == ("DONE", 0)

        assert out(client, by_option, 3) == f"{site.system} 3 1-5:2\n"
        assert out(client, by_header, 4) == f"{site.system} 4 2-4:2\n"
        assert out(client, by_words, 7) == f"{site.system} 7 3-7:1\n"
        assert out(client, single, 7) == f"{site.system} 7 7-7:1\n"


def test_header_lines_are_read_as_qsub_reads_them(pbs_site: Site) -> None:
    script = BASH + ": this is no command\n#PBS -v A=1 \\\n -J 2-3\necho $A $PBS_ARRAY_INDEX\n"
    with pbs_site.client() as client, pbs_site.agent():
        job_id = submit(client, pbs_site, script)
        (job,) = ended(client, job_id, timeout=120)

        assert (told(job), str(job.array_tid)) == (("DONE", 0), "2-3:1")
        assert [out(client, job_id, task) for task in (2, 3)] == ["1 2\n", "1 3\n"]


def test_an_agent_whose_home_has_other_letters_runs_jobs(pbs: Pbs, tmp_path: Path) -> None:
    site = site_on(pbs, tmp_path / "hömé à moi")
    with site.client() as client, site.agent():
        job_id = submit(client, site, BASH + "echo out; exit 3\n")
        (job,) = ended(client, job_id, timeout=120)

        assert (told(job), out(client, job_id)) == (("ERROR", 3), "out\n")


def test_options_without_a_meaning_are_refused_by_name(pbs_site: Site) -> None:
    site = pbs_site
    with site.client() as client, site.agent():
        options = ("-I", "-Wblock=true", "-z", "-q nowhere", "other.sh", "-J 1,3,4", "-J 5-5")
        ids = [submit(client, site, BASH, submit_opt=option) for option in options]
        ids.append(submit(client, site, BASH + "#PBS -J 1-4\n", array_tid="1-3"))
        ids.append(submit(client, site, BASH, array_tid="1,2,4"))
        jobs = ended(client, *ids)

        assert {job.state.value for job in jobs} == {"ERROR"}
        words = (
            "-I",
            "block=true",
            "-z",
            "Unknown queue",
            "other.sh",
            "one range",
            "-J",
            "array_tid",
            "one range",
        )
        for job, word in zip(jobs, words, strict=True):
            assert word in job.error_msg


def test_without_history_the_jobs_own_records_tell_their_ends(pbs_site: Site, pbs: Pbs) -> None:
    pbs.set(history=False)
    with pbs_site.client() as client, pbs_site.agent():
        good, bad = (submit(client, pbs_site, BASH + f"exit {code}\n") for code in (0, 3))
        array = submit(client, pbs_site, BASH + "exit $((PBS_ARRAY_INDEX == 2))\n", array_tid="1-3")

        assert [told(job) for job in ended(client, good, bad, array)] == [
            ("DONE", 0),
            ("ERROR", 3),
            ("ERROR", 1),
        ]


def test_a_server_that_is_away_changes_no_state(pbs_site: Site, pbs: Pbs) -> None:
    site = pbs_site
    with site.client() as client, site.agent():
        before = submit(client, site, BASH + "echo before; sleep 2; exit 3\n")
        in_state(client, before, JobState.RUN)
        pbs.set(down=True)
        during = submit(client, site, BASH + "echo during\n")
        wait_until(lambda: "gave no answer" in (site.root / "agent.out").read_text())
        assert not client.job(before).is_final
        pbs.set(down=False)
        jobs = ended(client, before, during, timeout=120)

        assert [told(job) for job in jobs] == [("ERROR", 3), ("DONE", 0)]
        assert (out(client, before), out(client, during)) == ("before\n", "during\n")


def test_jobs_run_once_each_while_their_agent_is_killed_again_and_again(
    pbs_site: Site, tmp_path: Path
) -> None:
    count = int(os.environ.get("KILLED_JOBS", "15"))
    with pbs_site.client() as client:
        expected = submit_many(pbs_site, client, count, tmp_path / "runs")
        killed = pbs_site.agent_killed_again_and_again(client, list(expected), 7, (1.0, 4.0), 200)
        assert killed > 0
        with pbs_site.agent():
            ended(client, *expected)
            check_all(client, expected, tmp_path / "runs")


# Field reports -----------------------------------------------------------------------------------


def test_script_is_run_by_the_interpreter_that_its_header_names(pbs_site: Site) -> None:
    if not Path("/bin/csh").exists():
        pytest.skip("there is no csh here")
    with pbs_site.client() as client, pbs_site.agent():
        job_id = submit(client, pbs_site, case("19", "job.pbs"), "job.pbs")

        assert told(ended(client, job_id, timeout=60)[0]) == ("DONE", 0)
        assert out(client, job_id) == "csh ok\n"


def test_output_goes_into_a_directory_that_the_script_names(pbs_site: Site) -> None:
    with pbs_site.client() as client, pbs_site.agent():
        job_id = submit(client, pbs_site, BASH + "#PBS -j oe -o logs/all.txt\necho hello\n")

        assert told(ended(client, job_id, timeout=60)[0]) == ("DONE", 0)
        assert (pbs_site.home / "cache" / job_id / "logs" / "all.txt").read_text() == "hello\n"
