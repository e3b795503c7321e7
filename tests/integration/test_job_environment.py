"""The environment and limits of a job, compared with those of the same script submitted by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.parts.grid_engine import GridEngine
from tests.parts.grid_engine_site import login_node as grid_engine_login
from tests.parts.s3_services import S3Service
from tests.parts.site import Site, ended
from tests.parts.slurm import Slurm
from tests.parts.started_from import (
    PROBE,
    REPOSITORY,
    agent,
    by_hand,
    differences,
    environment_in,
    login_of,
    starts,
)

OF_A_SHELL = {"PWD", "OLDPWD", "SHLVL", "_"}
OF_EACH_JOB = {
    "agent.md": {"CLOUDQ_LOCAL_JOB_ID"},
    "slurm.md": {"SLURM_JOB_ID", "SLURM_JOBID", "SLURM_SUBMIT_DIR", "SLURM_TASK_PID"},
    "grid-engine.md": {
        "JOB_ID", "JOB_SCRIPT", "SGE_JOB_SPOOL_DIR", "SGE_O_WORKDIR", "SGE_CWD_PATH", "SGE_STDOUT_PATH",
        "SGE_STDERR_PATH", "TMPDIR", "TMP",
    },
}  # fmt: skip
"""The variables that differ between any two jobs, even if submitted by hand; the page lists them."""
OF_CLOUDQ = {"SYSTEM"}
"""The variable that cloudq gives to each script; the page names it, too."""


@pytest.mark.parametrize("page", OF_EACH_JOB)
def test_page_names_every_variable_that_differs(page: str) -> None:
    text = (REPOSITORY / "docs" / page).read_text(encoding="utf-8")

    assert {name for name in OF_EACH_JOB[page] | OF_A_SHELL | OF_CLOUDQ if f"`{name}`" not in text} == set()


def compare(
    site: Site, login: Mapping[str, str], plain: Path, submit_opt: str, always: set[str]
) -> dict[str, tuple[set[str], bool]]:
    """Return, by surrounding, the variables that differ beyond *always*, and whether the limits are equal."""
    found = {}
    for name, start in starts(site.root, login):
        with site.client() as client, agent(site, start, login):
            script = site.script(PROBE, "probe.sh")
            job_id = client.submit(script, submit_to=site.system, submit_opt=submit_opt, force=True).job.uuid
            job = ended(client, job_id, timeout=90)[0]
            assert job.state.value == "DONE", (job.error_msg, client.job(job_id))
        work_dir = site.home / "cache" / job_id
        told = differences(environment_in(work_dir), environment_in(plain)) - always - OF_A_SHELL - OF_CLOUDQ
        same_limits = (work_dir / "limits.txt").read_text() == (plain / "limits.txt").read_text()
        found[name] = (told, same_limits)
    return found


NOTHING = dict.fromkeys(("venv", "conda", "ssh -A", "MPI step"), (set[str](), True))


@pytest.mark.real
@pytest.mark.xdist_group("slurm")
@pytest.mark.timeout(600)
def test_slurm_job_finds_what_it_finds_by_sbatch(slurm_site: Site, slurm: Slurm, tmp_path: Path) -> None:
    login = login_of(tmp_path, slurm.environment())
    by_hand(login, tmp_path / "plain", "sbatch", "probe.sh")

    assert compare(slurm_site, login, tmp_path / "plain", "", OF_EACH_JOB["slurm.md"]) == NOTHING


@pytest.fixture
def cell_site(
    grid_engine: GridEngine, moto_service: S3Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    """A login node of the cell, with moto as its store."""
    for name, value in moto_service.environment().items():
        monkeypatch.setenv(name, value)
    yield grid_engine_login(grid_engine, moto_service, tmp_path)
    grid_engine.clear()


@pytest.mark.real
@pytest.mark.xdist_group("gridengine")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("option", ["", "-V"])
def test_grid_engine_job_finds_what_it_finds_by_qsub(
    cell_site: Site, grid_engine: GridEngine, tmp_path: Path, option: str
) -> None:
    login = login_of(tmp_path, grid_engine.environment())
    by_hand(login, tmp_path / "plain", "qsub", *option.split(), "-cwd", "-S", "/bin/bash", "probe.sh")

    assert compare(cell_site, login, tmp_path / "plain", option, OF_EACH_JOB["grid-engine.md"]) == NOTHING


def test_local_job_finds_what_the_script_finds_after_a_login(local_site: Site, tmp_path: Path) -> None:
    login = login_of(tmp_path, {})
    by_hand(login, tmp_path / "plain", "./probe.sh")

    assert compare(local_site, login, tmp_path / "plain", "", OF_EACH_JOB["agent.md"]) == NOTHING
