"""What a user does to look at jobs, with real commands, a real agent and real scripts."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.site import Site, ended, wait_until
from tests.parts.slurm_site import submit

pytestmark = pytest.mark.timeout(180)

ONE_FAILS = """\
#!/bin/bash
for step in 1 2 3; do echo "step $step"; done
if [ "$ARY_TASK_ID" = 2 ]; then
    echo "cannot open data.$ARY_TASK_ID.txt" >&2
    kill -SEGV $$
fi
"""

GROWS = """\
#!/bin/bash
for step in 1 2 3; do echo "step $step"; done
mkdir -p model && echo weights > model/best.pt && echo a,b > table.csv
until [ -e "{go}" ]; do sleep 0.1; done
echo last
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    with site.agent():
        yield site


def test_a_failed_array_is_explained_by_one_command(site: Site) -> None:
    with site.client() as client:
        job = client.submit(site.script(ONE_FAILS), submit_to="local", array_tid="1-3", force=True).job
        ended(client, job.uuid)

    screen = site.cli("explain", job.uuid)
    assert "  - task 2: ERROR, exit code 139: segmentation fault (SIGSEGV)" in screen
    assert "Last lines of stderr of task 2:\n  | cannot open data.2.txt\n" in screen
    assert f"  cloudqcli submit --rerun {job.uuid} --failed  " in screen
    assert site.cli("log", job.uuid, "--tail", "1") == "1: step 3\n2: step 3\n3: step 3\n"
    assert site.cli("log", job.uuid, "--error").startswith("2: cannot open data.2.txt\n")


def test_following_from_the_end_shows_everything_that_comes_later(site: Site, tmp_path: Path) -> None:
    with site.client() as client:
        job_id = submit(client, site, GROWS.format(go=tmp_path / "go"))
        wait_until(lambda: site.cli("log", job_id) == "step 1\nstep 2\nstep 3\n")
        follower = subprocess.Popen(
            [sys.executable, "-m", "cloudq.entrypoints.cloudqcli", "log", job_id, "-f", "--tail", "1"],
            env=site.environment(),
            stdout=subprocess.PIPE,
        )
        assert follower.stdout is not None
        os.set_blocking(follower.stdout.fileno(), False)
        seen = b""
        ends = time.monotonic() + 60
        while b"step 3" not in seen and time.monotonic() < ends:
            seen += follower.stdout.read() or b""
            time.sleep(0.1)
        (tmp_path / "go").touch()
        os.set_blocking(follower.stdout.fileno(), True)
        seen += follower.communicate(timeout=60)[0]

    assert (follower.returncode, seen) == (0, b"step 3\nlast\n")


def test_an_early_download_is_completed_and_a_file_is_printed(site: Site, tmp_path: Path) -> None:
    with site.client() as client:
        job_id = submit(client, site, GROWS.format(go=tmp_path / "go"))
        wait_until(lambda: bool(client.job(job_id).claim))
        early = site.run("cloudqcli", "stageout", job_id, "--into", "here")
        before = {path.name for path in (site.root / "here" / job_id).iterdir()}
        (tmp_path / "go").touch()
        ended(client, job_id)

    assert (early.returncode, before) == (0, {"INCOMPLETE", "job.sh"})
    assert site.cli("stageout", job_id, "--into", "here") == f"here/{job_id}\n"
    assert not (site.root / "here" / job_id / "INCOMPLETE").exists()
    assert (site.root / "here" / job_id / "output" / "model" / "best.pt").read_text() == "weights\n"
    assert site.cli("stageout", job_id, "--cat", "*.csv") == "a,b\n"
    assert site.run("cloudqcli", "stageout", job_id, "--into", "here").returncode == 2


def test_a_failed_wait_shows_the_last_lines_of_stderr(site: Site) -> None:
    script = str(site.script("#!/bin/bash\necho 'no such option: --lr' >&2\nexit 64\n"))
    done = site.run("cloudqcli", "submit", "--script", script, "--submit_to", "local", "--force", "--wait")
    job_id = done.stdout[5:13]

    assert done.returncode == 64
    assert done.stderr.splitlines()[-3:] == [
        "Last lines of stderr:",
        "  | no such option: --lr",
        f"All of its stderr: cloudqcli log {job_id} --error",
    ]
