"""Outputs of jobs come back, whatever they are: the cases of field reports and similar ones."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.job_state import JobState
from tests.parts.site import Site

CASES = Path(__file__).parents[1] / "cases"
MIB = 1 << 20
PATIENCE_S = 240.0


def done(site: Site, script: Path, *words: str) -> tuple[Job, str]:
    """Run a job until it is DONE, and return it with the warnings of ``submit``."""
    with site.agent():
        submitted = site.run("cloudqcli", "submit", "--script", str(script), "--submit_to", "local", *words)
        assert submitted.returncode == 0, submitted.stderr
        job_id = submitted.stdout.split("(")[1].split(")")[0]
        job = site.client().wait(job_id, timeout=PATIENCE_S, poll=0.5)
    assert job.state is JobState.DONE, job.error_msg
    return job, submitted.stderr


def staged_out(site: Site, job: Job, into: str = "back") -> tuple[Path, str]:
    """Stage out, and return the job's new directory with the warnings of ``stageout``."""
    brought = site.run("cloudqcli", "stageout", "--id", job.uuid, "--into", into)
    assert brought.returncode == 0, brought.stderr
    return site.root / brought.stdout.strip(), brought.stderr


# Case 08 ---------------------------------------------------------------------------------------


def test_case_08_what_packs_well_comes_back(local_site: Site) -> None:
    job, _ = done(local_site, CASES / "08" / "job.sh")
    folder, _ = staged_out(local_site, job)

    restart = folder / "output" / "restart.dat"
    assert restart.stat().st_size == 1500 * MIB
    with restart.open("rb") as file:
        assert file.read(6) == b"header"
    assert (folder / "output" / "result.txt").read_text() == "small\n"
    assert (job.output_files, job.output_bytes) == (2, 1500 * MIB + 6)
    restart.unlink()


def test_case_08_what_packs_well_goes_along(local_site: Site) -> None:
    (local_site.root / "in").mkdir()
    with (local_site.root / "in" / "field.dat").open("wb") as file:
        file.truncate(1100 * MIB)

    job, _ = done(local_site, local_site.script("#!/bin/bash\nstat -c %s in/field.dat\n"), "--input", "in")

    assert local_site.cli("log", "--id", job.uuid) == f"{1100 * MIB}\n"


# Cases 10 and 11 -------------------------------------------------------------------------------


def test_case_10_links_of_an_input_are_followed_and_the_rest_is_named(local_site: Site) -> None:
    for name in ("make.sh", "job.sh"):
        shutil.copy(CASES / "10" / name, local_site.root / name)
    subprocess.run(["/bin/bash", "make.sh"], cwd=local_site.root, check=True)

    job, said = done(local_site, local_site.root / "job.sh", "--input", "proj")

    assert "proj/data/real/train.csv" in local_site.cli("log", "--id", job.uuid).splitlines()
    assert said.splitlines() == [
        "left out of the input: proj/dangling (a broken link: No such file or directory)",
        "left out of the input: proj/pipe (a fifo)",
    ]


def test_case_11_what_is_left_out_is_named_where_people_look(local_site: Site) -> None:
    job, _ = done(local_site, CASES / "11" / "job.sh")
    folder, said = staged_out(local_site, job)

    output = folder / "output"
    assert (output / "latest/model.pt").read_text() == (output / "best.pt").read_text() == "w\n"
    assert [str((output / name).readlink()) for name in ("dangling", "loop")] == ["missing", "."]
    assert (output / "emptydir").is_dir()
    assert (output / "empty.dat").read_bytes() == b""
    assert (output / "result.txt").read_text() == "done\n"
    left_out = {
        "link (a link that leads out of the work directory, to /etc/hostname)",
        "pipe (a fifo)", "ray.sock (a socket)",
    }  # fmt: skip
    assert set(job.left_out) - {"dev (a device)"} == left_out
    stat = local_site.cli("stat", "--id", job.uuid).splitlines()
    [shown] = [line for line in stat if line.startswith("left_out")]
    for each in left_out:
        assert each in shown
        assert f"left out of the output: {each}" in said.splitlines()


# Names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["output", "input", "stdout", "output.zip", "input.zip", "manifest.json"])
def test_a_script_may_have_a_name_of_cloudq_s_own(local_site: Site, name: str) -> None:
    (local_site.root / "data").write_text("given")
    script = local_site.script("#!/bin/bash\necho hello; echo made >result\n", name)

    folder, _ = staged_out(local_site, done(local_site, script, "--input", "data")[0])

    assert (folder / "stdout").read_text() == "hello\n"
    assert (folder / "output" / "result").read_text() == "made\n"
    assert (folder / "input" / "data").read_text() == "given"
    kept = folder / (name if name == "manifest.json" else f"script.{name}")
    assert kept.read_bytes() == script.read_bytes()


def test_every_name_that_a_file_can_have_comes_back(local_site: Site) -> None:
    names = (b"r\xe9sultat", b"r\xe8sultat", b"r%E9sultat", b"run:1", b"two\nlines", b"blank ", b"A", b"a")
    lines = [f"printf x >$'{''.join(map(escaped, name))}'" for name in names]
    script = local_site.script("\n".join(["#!/bin/bash", *lines, ""]))

    folder, said = staged_out(local_site, done(local_site, script)[0])

    assert {os.fsencode(path.name) for path in (folder / "output").iterdir()} == set(names)
    assert said == ""


def escaped(byte: int) -> str:
    """Return a byte as bash reads it in ``$'…'``."""
    return f"\\x{byte:02x}"


# A small disk ----------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 200 MB."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200m,mode=700", "tmpfs", str(place)]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        complain = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        complain("mounting a small file system takes root and the right to mount")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.real
def test_outputs_larger_than_what_is_free_come_back_and_disturb_nobody(
    small_disk: Path, tmp_path: Path
) -> None:
    """120 MB of output on a disk of 200 MB; packing makes no second copy there."""
    site = Site(small_disk, {"CLOUDQ_STORE_ENDPOINT_URL": f"file://{tmp_path}/store"})
    body = "#!/bin/bash\nhead -c 120000000 /dev/urandom >large\nsleep 2\ncp large /dev/null\n"
    most, over = [0], threading.Event()

    def watch() -> None:
        while not over.is_set():
            most[0] = max(most[0], shutil.disk_usage(small_disk).used)
            time.sleep(0.005)

    watching = threading.Thread(target=watch, daemon=True)
    with site.agent(), site.client() as client:
        watching.start()
        large = client.submit(site.script(body, "large.sh"), submit_to="local", force=True).job.uuid
        client.wait(large, timeout=PATIENCE_S, poll=0.2)
        other = client.submit(site.script("echo made >result", "other.sh"), submit_to="local").job.uuid
        client.wait(other, timeout=PATIENCE_S, poll=0.2)
        over.set()
        watching.join()
        jobs = [client.job(each) for each in (large, other)]

    assert [job.state for job in jobs] == [JobState.DONE] * 2, [job.error_msg for job in jobs]
    folder, _ = staged_out(site, jobs[0], str(tmp_path / "back"))
    assert (folder / "output" / "large").stat().st_size == 120_000_000
    extra = most[0] - 120_000_000
    assert extra < 8 * MIB, f"{extra} bytes besides the output"
