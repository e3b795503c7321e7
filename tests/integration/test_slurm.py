"""The main job on a real Slurm, through moto: every final state is right, every script runs once."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.job_state import JobState
from tests.parts.counted_runs import check_all, submit_counted, submit_many
from tests.parts.site import Site, ended, wait_until
from tests.parts.slurm import Slurm
from tests.parts.slurm_site import BASH, out, ready, running, scheduler_job_ids, submit, told

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("slurm"), pytest.mark.timeout(600)]


def test_every_kind_of_end_is_told_as_it_was(slurm_site: Site, tmp_path: Path) -> None:
    site = slurm_site
    with site.client() as client, site.agent():
        good = submit(client, site, BASH + "echo out; echo err >&2; echo 42 > result.txt\n", "good job.sh")
        bad = submit(client, site, BASH + "#SBATCH -J 'a name with blanks | and more'\nexit 3\n")
        python = submit(
            client,
            site,
            "#!/usr/bin/python3\n#SBATCH -t 5\nimport sys\nprint(sys.argv)\nsys.exit(4)\n",
            "job.py",
        )
        array = submit(
            client,
            site,
            BASH + "#SBATCH -a 0-3\necho task $SLURM_ARRAY_TASK_ID\nexit $((SLURM_ARRAY_TASK_ID == 2))\n",
        )
        sparse = submit(client, site, BASH + "echo $SLURM_ARRAY_TASK_ID\n", array_tid="1,3,7%2")
        asked = submit(client, site, BASH + "echo $SLURM_ARRAY_TASK_ID\n", submit_opt="--array=2-4:2")
        elsewhere = submit(client, site, BASH + "pwd\n", submit_opt="-D /tmp")
        secret = submit(client, site, BASH + "env | grep -E '^(AWS_|CLOUDQ_|VIRTUAL_ENV|PYTHON)'\n")
        ids = (good, bad, python, array, sparse, asked, elsewhere, secret)
        jobs = ended(client, *ids, timeout=120)

        assert [told(job) for job in jobs] == [
            ("DONE", 0), ("ERROR", 3), ("ERROR", 4), ("ERROR", 1), ("DONE", 0), ("DONE", 0), ("DONE", 0),
            ("ERROR", 1),
        ]  # fmt: skip
        assert (out(client, good), out(client, good, error=True)) == ("out\n", "err\n")
        assert [str(jobs[number].array_tid) for number in (3, 4, 5)] == ["0-3:1", "1,3,7%2", "2-4:2"]
        assert [(task, each.state.value) for task, each in jobs[3].tasks.items()] == [
            (0, "DONE"), (1, "DONE"), (3, "DONE"), (2, "ERROR"),
        ]  # fmt: skip
        assert [out(client, array, task) for task in range(4)] == [f"task {task}\n" for task in range(4)]
        assert [out(client, sparse, task) for task in (1, 3, 7)] == ["1\n", "3\n", "7\n"]
        assert (out(client, elsewhere), out(client, secret)) == ("/tmp\n", "")
        assert "sbatch --parsable" in jobs[0].submit_command
        got = client.stage_out(good, tmp_path / "results")

    assert (got / "output" / "result.txt").read_text() == "42\n"


def test_a_users_own_output_files_are_written_and_the_logs_are_found_all_the_same(
    slurm_site: Site, tmp_path: Path
) -> None:
    site = slurm_site
    body = "for i in $(seq 100000); do echo line $i; done; echo problem >&2\n"
    with site.client() as client, site.agent():
        both = submit(client, site, BASH + "#SBATCH -o own.%j.out -e own.%j.err\n" + body)
        joined = submit(client, site, BASH + "echo out; sleep 0.3; echo err >&2\n", submit_opt="-o all.txt")
        array = submit(client, site, BASH + "#SBATCH -a 1-2 -o %a.txt\necho task $SLURM_ARRAY_TASK_ID\n")
        only_error = submit(client, site, BASH + "echo out; echo err >&2\n", submit_opt="-e err.txt")
        live = submit(client, site, BASH + "#SBATCH -o mine\necho begun\nsleep 60\n")
        scheduler_job_id = running(client, live)
        wait_until(lambda: out(client, live) == "begun\n")
        assert site.run("cloudqcli", "cancel", live).returncode == 0
        jobs = ended(client, both, joined, array, only_error, timeout=120)

        assert [told(job) for job in jobs] == [("DONE", 0)] * 4
        assert told(ended(client, live)[0])[0] == "DELETED"
        assert scheduler_job_id == client.job(live).jobid
        assert out(client, both).count("\n") == 100_000
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


def test_time_limits_and_signals_end_a_job_as_the_script_answers_them(slurm_site: Site, slurm: Slurm) -> None:
    site = slurm_site
    loop = "while :; do sleep 0.1; done\n"
    with site.client() as client, site.agent():
        plain = submit(client, site, BASH + "echo begun\nexec sleep 300\n")
        trap = submit(client, site, BASH + "trap 'echo ended; exit 7' TERM\n" + loop)
        deaf = submit(client, site, BASH + "trap '' TERM\n" + loop)
        # Slurm sends the signal up to 30 s early, and drops it while the job shell is being started.
        warned = submit(
            client, site, BASH + "#SBATCH --signal=B:USR1@30 -t 2\ntrap 'echo warned; exit 5' USR1\n" + loop
        )
        for job_id in (plain, trap, deaf):
            slurm.let_time_run_out(running(client, job_id))
        jobs = ended(client, plain, trap, deaf, warned, timeout=240)

        assert [told(job) for job in jobs] == [
            ("TIMEOUT", 143), ("TIMEOUT", 7), ("TIMEOUT", None), ("ERROR", 5),
        ]  # fmt: skip
        assert "TIME LIMIT" in out(client, plain, error=True)
        assert (out(client, trap), out(client, warned)) == ("ended\n", "warned\n")


def test_what_others_do_to_a_job_is_told_as_it_was(slurm_site: Site, slurm: Slurm) -> None:
    site = slurm_site
    counts = BASH + "echo run ${SLURM_RESTART_COUNT:-0} >> runs; cat runs; sleep %s\n"
    with site.client() as client, site.agent():
        running_one = submit(client, site, BASH + "echo begun; sleep 300\n")
        pending = submit(client, site, BASH + "echo never\n", submit_opt="--hold --comment='hello world'")
        requeued = submit(client, site, counts % "$((SLURM_RESTART_COUNT ? 0 : 300))")
        wait_until(lambda: client.job(pending).state is JobState.READY, 90)
        slurm.run("scancel", running(client, running_one))
        slurm.run("scancel", client.job(pending).jobid)
        slurm.run("scontrol", "requeue", running(client, requeued))
        jobs = ended(client, running_one, pending, requeued, timeout=200)

        assert [told(job) for job in jobs] == [("DELETED", 143), ("DELETED", None), ("DONE", 0)]
        assert out(client, requeued).endswith("run 0\nrun 1\n")
        assert JobState.READY in [change.state for change in jobs[2].changes[2:]]


def test_a_squeue_without_me_is_no_hindrance(slurm_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site = slurm_site
    replaced = site.root / "oldbin"
    replaced.mkdir()
    squeue = shutil.which("squeue") or "/usr/bin/squeue"
    case = (Path(__file__).parents[1] / "cases" / "16" / "squeue").read_text()
    (replaced / "squeue").write_text(case.replace("/usr/bin/squeue", squeue))
    (replaced / "squeue").chmod(0o755)
    monkeypatch.setitem(site.variables, "PATH", f"{replaced}:{os.environ['PATH']}")
    with site.client() as client, site.agent():
        job_id = submit(client, site, BASH + "echo out\n")
        [job] = ended(client, job_id)

        assert told(job) == ("DONE", 0)
    doctor = site.run("cloudqcli", "doctor").stdout
    assert "slurm answers" in doctor


def test_a_job_that_slurm_cannot_start_has_slurms_reason_and_no_exit_code(slurm_site: Site) -> None:
    site = slurm_site
    with site.client() as client, site.agent():
        job_id = submit(client, site, BASH, submit_opt="-o /nosuch/directory/out --no-requeue")
        [job] = ended(client, job_id)

        assert told(job) == ("ERROR", None)
        assert "failed by the scheduler: " in job.error_msg


def test_options_without_a_meaning_are_refused_by_name(slurm_site: Site) -> None:
    site = slurm_site
    with site.client() as client, site.agent():
        options = ("--wait", "--wrap=date", "--test-only", "--partition=nowhere", "other.sh")
        ids = [submit(client, site, BASH, submit_opt=option) for option in options]
        ids.append(submit(client, site, BASH + "#SBATCH -a 1-4\n", array_tid="1-3"))
        ids.append(submit(client, site, BASH, array_tid="1-5000"))
        jobs = ended(client, *ids)

        assert {job.state.value for job in jobs} == {"ERROR"}
        words = (
            "--wait",
            "--wrap",
            "--test-only",
            "invalid partition",
            "other.sh",
            "array_tid",
            "MaxArraySize",
        )
        for job, word in zip(jobs, words, strict=True):
            assert word in job.error_msg


def test_each_task_of_an_array_is_told_as_it_is_while_it_waits_and_as_it_ended(
    slurm_site: Site, slurm: Slurm
) -> None:
    site = slurm_site
    body = "echo task $SLURM_ARRAY_TASK_ID\nexit $((SLURM_ARRAY_TASK_ID == 3 ? 4 : 0))\n"
    with site.client() as client, site.agent():
        sparse = submit(client, site, BASH + body, array_tid="1,3,7%2", submit_opt="--hold")
        inside = submit(client, site, BASH + "#SBATCH -a 1-4\n" + body, submit_opt="--hold")
        endless = submit(client, site, BASH + "#SBATCH -a 2,3\necho begun\nexec sleep 300\n")
        scheduler_job_id = running(client, endless)
        wait_until(lambda: [out(client, endless, task) for task in (2, 3)] == ["begun\n"] * 2)
        slurm.run("scancel", f"{scheduler_job_id}_3")
        slurm.run("scancel", f"{ready(client, inside)}_3")
        wait_until(lambda: len(tasks(client.job(inside))) == 4)
        assert tasks(client.job(sparse)) == dict.fromkeys((1, 3, 7), ("READY", None))
        assert client.job(inside).state is JobState.READY

        for job_id in (sparse, inside):
            slurm.run("scontrol", "release", ready(client, job_id))
        jobs = ended(client, sparse, inside)
        assert client.job(endless).state is JobState.RUN
        slurm.run("scancel", f"{scheduler_job_id}_2")
        jobs += ended(client, endless)

        assert [told(job)[0] for job in jobs] == ["ERROR", "DELETED", "DELETED"]
        assert [tasks(job) for job in jobs] == [
            {1: ("DONE", 0), 3: ("ERROR", 4), 7: ("DONE", 0)},
            {1: ("DONE", 0), 2: ("DONE", 0), 3: ("DELETED", None), 4: ("DONE", 0)},
            {2: ("DELETED", 143), 3: ("DELETED", 143)},
        ]
        assert [out(client, sparse, task) for task in (1, 3, 7)] == ["task 1\n", "task 3\n", "task 7\n"]
        assert [out(client, inside, task) for task in (1, 2, 4)] == ["task 1\n", "task 2\n", "task 4\n"]


def tasks(job: Job) -> dict[int, tuple[str, int | None]]:
    """Return the state and exit code of each task."""
    return {task: (each.state.value, each.exit_code) for task, each in job.tasks.items()}


def test_a_hundred_jobs_at_once_run_once_each_with_their_own_output(slurm_site: Site, tmp_path: Path) -> None:
    with slurm_site.client() as client:
        expected = submit_many(slurm_site, client, 100, tmp_path / "runs", longest_s=0.2)
        with slurm_site.agent():
            ended(client, *expected, timeout=300)

        check_all(client, expected, tmp_path / "runs")


def test_a_job_that_ended_and_was_forgotten_while_no_agent_ran_is_told_as_it_was(
    slurm_site: Site, slurm: Slurm
) -> None:
    site = slurm_site
    with site.client() as client:
        with site.agent():
            job_id = submit(client, site, BASH + "echo begun; sleep 5; exit 6\n")
            scheduler_job_id = running(client, job_id)
        slurm.wait_until("the job is forgotten", lambda: not slurm.show_job(scheduler_job_id), 120)
        with site.agent():
            job = ended(client, job_id)[0]

        assert (told(job), out(client, job_id)) == (("ERROR", 6), "begun\n")


def test_what_slurm_forgot_and_no_record_tells_is_told_as_accounting_has_it(
    accounted_site: Site, slurm_with_accounting: Slurm
) -> None:
    site, slurm = accounted_site, slurm_with_accounting
    waits = f"echo begun; while ! [ -e {site.root}/go ]; do sleep 0.1; done\n"
    kills = "kill -KILL 0\n"  # kills the job shell, too: no exit record
    only_2 = "[ $SLURM_ARRAY_TASK_ID = 1 ] || "
    with site.client() as client:
        with site.agent():
            killed = submit(client, site, BASH + waits + kills)
            array = submit(client, site, BASH + "#SBATCH -a 1-2\n" + waits + only_2 + kills)
            deaf = submit(client, site, BASH + "trap '' TERM\n" + waits + "sleep 300\n")
            ids = [running(client, job_id) for job_id in (killed, array, deaf)]
        (site.root / "go").touch()
        slurm.run("scancel", ids[2])
        slurm.wait_until("all are forgotten", lambda: not any(map(slurm.show_job, ids)), 120)
        with site.agent():
            jobs = ended(client, killed, array, deaf)

        assert [told(job) for job in jobs] == [("ERROR", 137), ("ERROR", 137), ("DELETED", None)]
        assert tasks(jobs[1]) == {1: ("DONE", 0), 2: ("ERROR", 137)}
        assert [out(client, killed), out(client, deaf)] == ["begun\n"] * 2


def test_a_controller_that_crashed_and_comes_back_changes_no_state_and_adds_no_run(
    slurm_site: Site, slurm: Slurm, tmp_path: Path
) -> None:
    site, runs = slurm_site, tmp_path / "runs"
    runs.mkdir()
    with site.client() as client, site.agent():
        before = submit_counted(site, client, runs, seconds=12, code=3)
        slurm.save_state(running(client, before))
        slurm.stop_controller(crash=True)
        during = submit_counted(site, client, runs)
        wait_until(lambda: "gave no answer" in (site.root / "agent.out").read_text(), 120)
        assert client.job(before).state is JobState.RUN
        slurm.start_controller()
        [job, _] = ended(client, before, during, timeout=300)

        check_all(client, {before: 3, during: 0}, runs)
    assert [change.state.value for change in job.changes][-2:] == ["RUN", "ERROR"]
    assert [len(scheduler_job_ids(slurm, job_id)) for job_id in (before, during)] == [1, 1]


def test_a_node_that_fails_and_a_job_that_must_make_room_are_told_as_they_were(
    slurm_site: Site, slurm: Slurm
) -> None:
    site = slurm_site
    # Newer versions set it to 0 in the first run, older ones do not set it.
    again = BASH + 'echo run; [ "${SLURM_RESTART_COUNT:-0}" != 0 ] || sleep 300\n'
    with site.client() as client, site.agent():
        lost = submit(client, site, BASH + "#SBATCH --no-requeue -w n1\nsleep 300\n")
        moved = submit(client, site, again, submit_opt="--requeue -w n1")
        running(client, lost), running(client, moved)
        slurm.set_node("n1", "down")
        wait_until(lambda: client.job(lost).is_final, 120)
        # The node may be back already; then there is nothing to resume.
        slurm.run("scontrol", "update", "NodeName=n1", "State=RESUME")
        pushed = submit(client, site, again, submit_opt="--exclusive --requeue -w n2")
        running(client, pushed)
        urgent = submit(client, site, BASH + "echo urgent\n", submit_opt="-p urgent --exclusive -w n2")
        jobs = ended(client, lost, moved, pushed, urgent, timeout=300)

        assert [told(job)[0] for job in jobs] == ["ERROR", "DONE", "DONE", "DONE"]
        assert "node failed" in jobs[0].error_msg
        assert [out(client, job_id) for job_id in (moved, pushed)] == ["run\nrun\n"] * 2
