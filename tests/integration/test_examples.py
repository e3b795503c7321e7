"""The example jobscripts, as far as they can run here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.scripts.meta_script import MetaScript
from tests.parts.site import Site, ended, wait_until
from tests.parts.tool_box import ToolBox

EXAMPLES = Path(__file__).parents[2] / "examples"
SUM = sum(range(1, 1001))
TASK_VARIABLES = {
    "abci": "PBS_ARRAY_INDEX",
    "abci2": "SGE_TASK_ID",
    "slurm": "SLURM_ARRAY_TASK_ID",
}
LAST = {"SGE_TASK_LAST": "4", "SLURM_ARRAY_TASK_MAX": "4"}

RUNTIME = '[ "$1" = exec ] || exit 0; cp train.py seen.py; [ -d data ] || exit 9; exit {code}'
"""A container runtime that saves the program instead of running it."""


@pytest.fixture
def box(tmp_path: Path) -> Iterator[ToolBox]:
    box = ToolBox(tmp_path / "box")
    (box.bin / "cp").symlink_to(str(shutil.which("cp")))
    yield box
    box.end()


def total(folder: Path) -> int:
    return sum(int(path.read_text()) for path in folder.glob("sum.*.txt"))


def test_the_array_for_any_system_runs_on_this_machine(local_site: Site, tmp_path: Path) -> None:
    """As its first lines promise, it runs without naming a system."""
    (local_site.home).mkdir(parents=True, exist_ok=True)
    (local_site.home / "config.toml").write_bytes((EXAMPLES / "names.toml").read_bytes())
    script = str(EXAMPLES / "mjob_array.sh")
    with local_site.client() as client, local_site.agent():
        wait_until(lambda: "local" in client._parts.list_agents.registry.systems())
        done = local_site.run("cloudqcli", "submit", "--script", script, "--array_tid", "1-4:1", "--wait")
        job_id = done.stdout.partition("(")[2].partition(")")[0]
        job = json.loads(local_site.cli("stat", job_id, "--json"))
        printed = local_site.cli("log", job_id, "--tid", "2")
        local_site.cli("stageout", job_id, "--into", str(tmp_path / "results"))

    assert (done.returncode, job["state"], job["run_system"]) == (0, "DONE", "local"), done.stderr
    assert printed == "task 2 of 1 to 4 on local: 125000\n"
    assert total(tmp_path / "results" / job_id / "output") == SUM


@pytest.mark.real
@pytest.mark.xdist_group("slurm")
@pytest.mark.timeout(300)
def test_both_arrays_run_on_a_real_slurm(slurm_site: Site, tmp_path: Path) -> None:
    """The portable array with the names of this system, and the array with Slurm's own options."""
    (slurm_site.home / "config.toml").write_text('[resources.cpu]\ncluster = "--ntasks={n}"\n')
    with slurm_site.client() as client, slurm_site.agent():
        submitted = [
            client.submit(EXAMPLES / name, submit_to="cluster", force=True, array_tid=array)
            for name, array in (("mjob_array.sh", "1-4:1"), ("ljob_array.slurm.sh", None))
        ]
        jobs = ended(client, *(each.job.uuid for each in submitted), timeout=150)
        results = [client.stage_out(job.uuid, tmp_path / "results") for job in jobs]

    assert [(job.state, job.error_msg) for job in jobs] == [(JobState.DONE, "")] * 2
    assert [str(job.array_tid) for job in jobs] == ["1-4:1"] * 2
    assert [total(folder / "output") for folder in results] == [SUM] * 2


@pytest.mark.parametrize("site", TASK_VARIABLES)
def test_the_tasks_of_an_array_for_one_system_share_the_same_sum(site: str, tmp_path: Path) -> None:
    """Each task gets its number in the variable that the scheduler of the site sets."""
    script = EXAMPLES / f"ljob_array.{site}.sh"
    for task in range(1, 5):
        subprocess.run(
            ["bash", script],
            cwd=tmp_path,
            env={**os.environ, **LAST, TASK_VARIABLES[site]: str(task)},
            check=True,
        )

    assert total(tmp_path) == SUM


@pytest.mark.parametrize("code", [0, 3])
@pytest.mark.parametrize("framework", ["pt", "tf"])
def test_a_training_hands_its_program_to_the_container(box: ToolBox, framework: str, code: int) -> None:
    """The script exits with the status of the container, and keeps no images of digits."""
    box.add_runtime("apptainer", body=RUNTIME.format(code=code))
    path = EXAMPLES / f"mjob_{framework}_mnist.sh"
    script = box.root / "mjob_local.sh"
    script.write_bytes(MetaScript.parse(path.name, path.read_bytes()).plain_body)
    image = box.work_dir / "image.sif"
    image.touch()

    done = subprocess.run(
        ["bash", script], cwd=box.work_dir, env=box.environ(CONTAINER_IMG0=str(image)), check=False
    )

    assert done.returncode == code
    assert box.told()[0].endswith(f"<{image}> <python3> <train.py> <{box.work_dir}/data> <3>")
    assert (box.work_dir / "seen.py").read_text() in path.read_text()
    assert not (box.work_dir / "data").exists()


@pytest.mark.real
def test_a_linter_for_shells_finds_nothing_in_the_examples() -> None:
    if shutil.which("shellcheck") is None:
        complain: Callable[[str], object] = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        complain("not installed here: shellcheck")

    done = subprocess.run(
        ["shellcheck", *sorted(EXAMPLES.glob("*.sh"))], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout) == (0, "")
