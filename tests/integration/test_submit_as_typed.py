"""Arguments, variables, sweeps and outputs on real schedulers, and the examples of workflows."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudq.client import Client
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.scripts.command import Command
from tests.parts.grid_engine import GridEngine
from tests.parts.grid_engine_site import login_node
from tests.parts.s3_services import S3Service
from tests.parts.site import Site, ended
from tests.parts.world import text_of

WORKFLOW = Path(__file__).parents[2] / "examples" / "workflow"
HOSTILE = ("a b", "it's", '"$HOME" `id` \\', "*", "", "two\n#$ -q none\n#SBATCH -p none\nlines")
SHOW = """#!/usr/bin/env python3
import json, os, sys
print(json.dumps([sys.argv[1:], os.environ["USER_A"]]))
"""


@pytest.fixture
def commands(local_site: Site) -> Site:
    """The site of the embedded scheduler, where shells know the command `cloudqcli`."""
    local_site.root.mkdir(exist_ok=True)
    tools = local_site.root / "tools"
    tools.mkdir()
    command = f'#!/bin/bash\nexec "{sys.executable}" -m cloudq.entrypoints.cloudqcli "$@"\n'
    (tools / "cloudqcli").write_text(command)
    (tools / "cloudqcli").chmod(0o755)
    local_site.variables["PATH"] = f"{tools}:{os.environ['PATH']}"
    return local_site


@pytest.fixture
def cell_site(
    grid_engine: GridEngine, moto_service: S3Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    """A login node of a Grid Engine cell."""
    for name, value in moto_service.environment().items():
        monkeypatch.setenv(name, value)
    yield login_node(grid_engine, moto_service, tmp_path)
    grid_engine.clear()


def shown(client: Client, job_id: str, task: int | None = None) -> list[object]:
    shown: list[object] = json.loads(text_of(client.log(job_id, tid=task)))
    return shown


def check_submissions(site: Site) -> None:
    """Check that words, values and lines reach scripts unchanged, and that only wanted outputs come back."""
    script = site.script(SHOW, "show.py")
    value = "x=1; 'y'\n#$ -q none"
    lines = [("--lr", str(number), "a b'\"$x") for number in range(1, 4)]
    to = {"submit_to": site.system, "force": True}
    with site.client() as client, site.agent():
        one = client.submit(script, args=HOSTILE, env={"USER_A": value}, name="my sweep", **to).job  # type: ignore[arg-type]
        array = client.submit(script, args=["all"], env={"USER_A": ""}, each_line=lines, **to).job  # type: ignore[arg-type]
        some = client.submit(script, env={"USER_A": "s"}, each_line=lines, array_tid="2-3", **to).job  # type: ignore[arg-type]
        files = client.submit(
            Command(["bash", "-c", "touch a.csv b.txt; mkdir r; echo 1 > r/c; exit 3"]),
            outputs=["*.csv", "r"],
            **to,  # type: ignore[arg-type]
        ).job
        jobs = ended(client, one.uuid, array.uuid, some.uuid, files.uuid, timeout=150)

        states = [job.state for job in jobs]
        assert states == [JobState.DONE, JobState.DONE, JobState.DONE, JobState.ERROR], [
            j.error_msg for j in jobs
        ]
        assert shown(client, one.uuid) == [list(HOSTILE), value]
        assert [shown(client, array.uuid, task) for task in (1, 2, 3)] == [
            [["all", *line], ""] for line in lines
        ]
        assert [shown(client, some.uuid, task) for task in (2, 3)] == [
            [list(line), "s"] for line in lines[1:]
        ]
        folder = client.stage_out(files.uuid, site.root / "back")
        again = client.rerun(array.uuid, script=site.script(SHOW + "# corrected\n", "fixed.py")).job
        [rerun] = ended(client, again.uuid, timeout=100)
        assert rerun.state is JobState.DONE
        assert shown(client, again.uuid, 3) == [["all", *lines[2]], ""]

    output = folder / "output"
    assert sorted(str(path.relative_to(output)) for path in output.rglob("*")) == ["a.csv", "r", "r/c"]
    assert (jobs[3].name, jobs[3].exit_code, jobs[0].name) == ("bash", 3, "my sweep")


def test_submissions_on_this_machine(local_site: Site) -> None:
    check_submissions(local_site)


@pytest.mark.real
@pytest.mark.xdist_group("slurm")
@pytest.mark.timeout(300)
def test_submissions_on_a_real_slurm(slurm_site: Site) -> None:
    check_submissions(slurm_site)


@pytest.mark.real
@pytest.mark.xdist_group("gridengine")
@pytest.mark.timeout(300)
def test_submissions_on_a_real_grid_engine(cell_site: Site) -> None:
    check_submissions(cell_site)


def test_thousands_of_tasks_each_have_their_line(local_site: Site, tmp_path: Path) -> None:
    """Only some of ten thousand are run here."""
    (params := tmp_path / "params").write_text("".join(f"--seed {number}\n" for number in range(1, 10_001)))
    with local_site.client() as client, local_site.agent():
        job = client.submit(
            Command(["echo"]), each_line=params, array_tid="1,5000,10000", submit_to="local", force=True
        ).job
        ended(client, job.uuid, timeout=60)

        assert [text_of(client.log(job.uuid, tid=task)) for task in (1, 5000, 10_000)] == [
            "--seed 1\n",
            "--seed 5000\n",
            "--seed 10000\n",
        ]


def test_a_hundred_scripts_are_submitted_by_one_command(local_site: Site) -> None:
    names = [local_site.script("true\n", f"{number}.sh").name for number in range(100)]
    printed = local_site.cli("submit", "--submit_to", "local", "--parsable", "--scripts", *names, "--", "x")
    with local_site.client() as client:
        jobs = [client.job(job_id) for job_id in printed.split()]

        assert [job.name for job in jobs] == names
        assert {job.arguments for job in jobs} == {("x",)}
        assert {job.job_id for job in client.jobs().jobs} == set(printed.split())


def test_a_command_is_waited_for_and_its_outputs_replace_older_ones(commands: Site) -> None:
    (commands.root / "result.txt").write_text("old\n")
    with commands.agent():
        words = ("--submit_to", "local", "--quiet", "--fetch", "--output", "result.txt", "--output", "none")
        done = commands.run(
            "cloudqcli", "submit", *words, "--", "sh", "-c", "echo $0 > result.txt; exit 4", "new"
        )

    assert (done.returncode, done.stdout) == (4, "")
    assert (commands.root / "result.txt").read_text() == "new\n"
    assert "ended: ERROR: exit code 4" in done.stderr.splitlines()[0]
    assert done.stderr.splitlines()[1].endswith("matches 'none'")
    assert not list(commands.root.glob(".cloudq-*"))


def workflow(site: Site, *words: str) -> str:
    """Run a command in a copy of the examples of workflows, and return what it prints."""
    folder = site.root / "workflow"
    if not folder.exists():
        shutil.copytree(WORKFLOW, folder)
    done = subprocess.run(
        words, cwd=folder, env=site.environment(), text=True, capture_output=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("makefile", ["Makefile", "Makefile.before"])
def test_a_makefile_runs_a_job_per_rule(commands: Site, makefile: str) -> None:
    with commands.agent():
        workflow(commands, "make", "-f", makefile, "SYSTEM=local")
        again = workflow(commands, "make", "-f", makefile, "SYSTEM=local")

    assert (commands.root / "workflow" / "report.txt").read_text() == "total of 2026: 500500\n"
    assert "up to date" in again


def test_a_failing_rule_makes_no_target(commands: Site) -> None:
    shutil.copytree(WORKFLOW, commands.root / "workflow")
    (commands.root / "workflow" / "numbers.sh").write_text("echo 1 > numbers.txt\nexit 3\n")
    with commands.agent():
        done = subprocess.run(
            ["make", "SYSTEM=local"], cwd=commands.root / "workflow", env=commands.environment(), text=True,
            capture_output=True, timeout=100, check=False,
        )  # fmt: skip

    assert done.returncode == 2
    assert "Error 3" in done.stderr
    assert not (commands.root / "workflow" / "total.txt").exists()


@pytest.mark.parametrize("words", [("./sweep.sh", "local"), ("./sweep.before.sh", "local", "0.3")])
def test_a_sweep_finds_the_best_parameter(commands: Site, words: tuple[str, ...]) -> None:
    with commands.agent():
        best = workflow(commands, *words)

    assert best.split()[0] == "0.0000"
    assert float(best.split()[1]) == 0.3
