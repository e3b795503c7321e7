"""Field reports on a real Grid Engine, and jobs that it cannot start: a reason, never an exit code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve

from tests.parts.cases import case
from tests.parts.grid_engine import GridEngine
from tests.parts.grid_engine_site import login_node
from tests.parts.s3_services import S3Service
from tests.parts.site import Site, ended, wait_until
from tests.parts.slurm_site import out, submit, told

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("gridengine"), pytest.mark.timeout(300)]

CHAIN = """\
#!/bin/bash
if [ -z "$CHAIN" ]; then
    qsub -terse -N second -v CHAIN=1 -cwd -hold_jid "$JOB_ID" -S /bin/bash -o chain.log -j y "$0" >second.id
else
    while ! [ -e go ]; do sleep 0.2; done
fi
echo "link ${CHAIN:-0}" >>chain.txt
"""


@pytest.fixture
def cell_site(
    grid_engine: GridEngine, moto_service: S3Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    """A login node of the cell, with moto as its store."""
    for name, value in moto_service.environment().items():
        monkeypatch.setenv(name, value)
    yield login_node(grid_engine, moto_service, tmp_path)
    grid_engine.clear()


def test_output_goes_into_a_directory_that_the_script_names(cell_site: Site, tmp_path: Path) -> None:
    with cell_site.client() as client, cell_site.agent():
        job_id = submit(client, cell_site, case("01", "job_ge.sh"))
        job = ended(client, job_id, timeout=60)[0]
        got = client.stage_out(job_id, tmp_path / "results")

        assert (told(job), out(client, job_id)) == (("DONE", 0), "hello\n")
    assert (got / "output" / "logs" / f"train.o{job.jobid}").read_text() == "hello\n"


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ("-o /nowhere/logs/", "error: can't open output file"),
        ("-wd /nowhere", "error: can't chdir to /nowhere"),
        ("-i /nowhere/input", "error: can't open"),
    ],
)
def test_job_that_cannot_be_started_has_the_schedulers_reason(
    cell_site: Site, option: str, reason: str
) -> None:
    with cell_site.client() as client, cell_site.agent():
        job = ended(client, submit(client, cell_site, "#!/bin/bash\n", submit_opt=option), timeout=90)[0]

    assert told(job) == ("ERROR", None)
    assert reason in job.error_msg


def test_follow_up_of_a_script_is_named_and_keeps_its_directory(
    cell_site: Site, grid_engine: GridEngine
) -> None:
    site = evolve(cell_site, variables={**cell_site.variables, "CLOUDQ_AGENT_KEEP_DAYS": "0"})
    with site.client() as client:
        with site.agent():
            job_id = submit(client, site, _chain(grid_engine))
            job = ended(client, job_id, timeout=60)[0]
            work_dir = site.home / "cache" / job_id
            second = (work_dir / "second.id").read_text().strip()
            assert told(job) == ("DONE", 0)
            assert f"your script submitted job {second}, which cloudq does not follow" in job.remarks[0]
        wait_until(lambda: grid_engine.states().get(second) == "r", 60)
        assert site.run("cloudqd").returncode == 0  # one cycle, which removes the files that it may remove
        (work_dir / "go").touch()
        wait_until(lambda: second not in grid_engine.states(), 60)
        assert (work_dir / "chain.txt").read_text() == "link 0\nlink 1\n"
        assert site.run("cloudqd").returncode == 0
        assert not work_dir.exists()


def _chain(cell: GridEngine) -> str:
    """A script that submits itself; it sets up the environment for that, which a job lacks."""
    exports = "".join(f"export {name}={value}\n" for name, value in cell.environment().items())
    return CHAIN.replace("#!/bin/bash\n", f"#!/bin/bash\n{exports}export PATH=$PATH:/usr/bin\n", 1)


def test_job_that_waits_and_one_that_could_not_be_started_are_explained(cell_site: Site) -> None:
    with cell_site.client() as client, cell_site.agent():
        held = submit(client, cell_site, "#!/bin/bash\ntrue\n", submit_opt="-h")
        stuck = submit(client, cell_site, "#!/bin/bash\ntrue\n", submit_opt="-wd /nowhere")
        ended(client, stuck, timeout=60)
        wait_until(lambda: "it waits in the queue of" in cell_site.cli("explain", held))
        screen = cell_site.cli("explain", stuck)
        client.cancel(held)
        ended(client, held, timeout=60)

    assert "error: can't chdir to /nowhere" in screen
    assert "exit code" not in screen
