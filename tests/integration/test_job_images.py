"""`cq_image` as processes of a job: one pull per image, a bounded cache, whichever process is killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.tool_box import ToolBox

UBUNTU = "docker://ubuntu:24.04"


@pytest.fixture
def box(tmp_path: Path) -> Iterator[ToolBox]:
    box = ToolBox(tmp_path / "it's a $HOME é")
    yield box
    box.end()


@pytest.fixture(params=["flock", "no flock"])
def locking_box(box: ToolBox, request: pytest.FixtureRequest) -> ToolBox:
    if request.param == "no flock":
        box.remove("flock")
    return box


def wait_for_pull(box: ToolBox) -> None:
    ends = time.monotonic() + 30
    while not box.pulls():
        assert time.monotonic() < ends, "no pull began"
        time.sleep(0.02)


def test_an_image_is_pulled_once_and_its_file_printed(box: ToolBox) -> None:
    box.add_runtime("apptainer")

    first, second = box.run("cq_image", UBUNTU), box.run("cq_image", UBUNTU)

    assert (first.returncode, second.returncode) == (0, 0), first.stderr
    assert first.stdout == second.stdout
    image = Path(first.stdout.removesuffix("\n"))
    assert re.fullmatch(r"ubuntu_24\.04-[0-9a-f]{16}\.sif", image.name)
    assert image.read_text().startswith(UBUNTU)
    assert box.pulls() == 1
    assert "words of a runtime" in first.stderr
    assert list((box.images / "tmp").iterdir()) == []


def test_the_image_a_job_uses_is_a_name_of_its_own(box: ToolBox) -> None:
    """Removing the cached name does not take the image from the job."""
    box.add_runtime("apptainer")
    image = Path(box.run("cq_image", UBUNTU).stdout.strip("\n"))
    for cached in box.images.glob("*.sif"):
        cached.unlink()

    assert image.read_text().startswith(UBUNTU)
    assert box.run("cq_image", UBUNTU).stdout == f"{image}\n"
    assert box.pulls() == 1


def test_images_of_different_urls_are_different_files(box: ToolBox) -> None:
    box.add_runtime("singularity")
    urls = ("docker://a/x:1", "docker://b/x:1", "oras://a/x:1")

    assert len({box.run("cq_image", url).stdout for url in urls}) == 3
    assert box.pulls() == 3


def test_ten_tasks_at_once_pull_once(locking_box: ToolBox) -> None:
    box = locking_box
    box.add_runtime("apptainer", pull_s=0.5)
    tasks = [box.start("cq_image", UBUNTU) for _ in range(10)]
    said = [task.communicate(timeout=60) for task in tasks]

    assert [task.returncode for task in tasks] == [0] * 10, said
    assert len({out for out, _ in said}) == 1
    assert box.pulls() == 1


def test_two_images_are_pulled_beside_each_other(locking_box: ToolBox) -> None:
    """A slow pull does not block a job that wants another image."""
    box = locking_box
    box.add_runtime("apptainer", pull_s=30)
    slow = box.start("cq_image", UBUNTU)
    wait_for_pull(box)
    box.add_runtime("apptainer")

    assert box.run("cq_image", "docker://other").returncode == 0
    os.killpg(slow.pid, signal.SIGKILL)
    slow.communicate()


def test_a_killed_holder_of_the_lock_holds_nobody_up(locking_box: ToolBox) -> None:
    """The lock is free again even if the job and all its processes are killed; no partial image is used."""
    box = locking_box
    box.add_runtime("apptainer", pull_s=30)
    holder = box.start("cq_image", UBUNTU)
    wait_for_pull(box)
    os.killpg(holder.pid, signal.SIGKILL)
    holder.communicate()
    box.add_runtime("apptainer")

    done = box.run("cq_image", UBUNTU)

    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip("\n")).read_text().startswith(UBUNTU)


def test_a_holder_killed_alone_leaves_the_lock_though_its_pull_goes_on(box: ToolBox) -> None:
    box.add_runtime("apptainer", pull_s=300)
    holder = box.start("cq_image", UBUNTU)
    wait_for_pull(box)
    holder.kill()
    box.add_runtime("apptainer")

    assert box.run("cq_image", UBUNTU).returncode == 0
    os.killpg(holder.pid, signal.SIGKILL)
    holder.communicate()


def test_a_lock_of_another_host_is_broken_once_it_shows_no_life(box: ToolBox) -> None:
    box.remove("flock")
    box.add_runtime("apptainer")
    image = Path(box.run("cq_image", UBUNTU).stdout.strip("\n"))
    lock = box.images / "locks" / f"{image.name}.d"
    lock.mkdir()
    (lock / "beat").write_text("another-host 1 7\n")
    (box.images / image.name).unlink()

    done = box.another_job("e210c27c.1").run("cq_image", UBUNTU, CLOUDQ_IMAGE_LOCK_STALE_S="1")

    assert done.returncode == 0, done.stderr
    assert not lock.exists()


def test_a_lock_of_another_host_that_lives_is_waited_for(box: ToolBox) -> None:
    box.remove("flock")
    box.add_runtime("apptainer")
    image = Path(box.run("cq_image", UBUNTU).stdout.strip("\n"))
    lock = box.images / "locks" / f"{image.name}.d"
    lock.mkdir()
    (box.images / image.name).unlink()

    waiting = box.another_job("e210c27c.1").start("cq_image", UBUNTU, CLOUDQ_IMAGE_LOCK_STALE_S="4")
    for count in range(20):
        (lock / "beat").write_text(f"another-host 1 {count}\n")
        time.sleep(0.3)
        assert waiting.poll() is None
    assert box.pulls() == 1
    (lock / "beat").unlink()
    lock.rmdir()

    assert waiting.wait(timeout=30) == 0
    waiting.communicate()
    assert box.pulls() == 2


def test_terminated_while_it_pulls_it_leaves_nothing_behind(box: ToolBox) -> None:
    box.remove("flock")
    box.add_runtime("apptainer", body='printf x >"$2"; sleep 30')
    pulling = box.start("cq_image", UBUNTU)
    wait_for_pull(box)
    os.killpg(pulling.pid, signal.SIGTERM)
    pulling.communicate(timeout=30)

    assert pulling.returncode == 143
    assert list((box.images / "tmp").iterdir()) == []
    assert list((box.images / "locks").iterdir()) == []


def test_a_failed_pull_is_told_and_tried_again_by_the_next(box: ToolBox) -> None:
    box.add_runtime("apptainer")
    box.broken.touch()

    failed = box.run("cq_image", UBUNTU)
    box.broken.unlink()

    assert (failed.returncode, failed.stdout) == (1, "")
    assert "no such image" in failed.stderr
    assert "apptainer could not pull docker://ubuntu:24.04: it ended with 255" in failed.stderr
    assert box.cached() == set()
    assert box.run("cq_image", UBUNTU).returncode == 0


def test_a_runtime_that_pulls_nothing_and_says_it_did_is_not_believed(box: ToolBox) -> None:
    box.add_runtime("apptainer", body="exit 0")

    done = box.run("cq_image", UBUNTU)

    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no" in done.stderr


def test_the_cache_is_bounded_and_the_least_recently_used_go_first(box: ToolBox) -> None:
    """Three images of about 1,010 bytes fit; the second is the least recently used."""
    box.add_runtime("apptainer", size=1000)
    limit = {"CLOUDQ_IMAGE_CACHE_BYTES": "3300"}
    for number, name in enumerate("abc"):
        job = box.another_job(f"0000000{number}.1")
        assert job.run("cq_image", f"docker://{name}", **limit).returncode == 0
    for number in (0, 2):  # used again: a before c, both after b
        box.another_job("0000000f.1").run("cq_image", f"docker://{'abc'[number]}", **limit)
    end_all_jobs(box)

    assert box.another_job("00000003.1").run("cq_image", "docker://d", **limit).returncode == 0
    assert box.cached() == {"a", "c", "d"}


def test_no_image_goes_that_a_job_uses(box: ToolBox) -> None:
    box.add_runtime("apptainer", size=1000)
    limit = {"CLOUDQ_IMAGE_CACHE_BYTES": "1500"}
    held = box.run("cq_image", "docker://a", **limit)
    other = box.another_job("e210c27c.1").run("cq_image", "docker://b", **limit)

    assert (held.returncode, other.returncode) == (0, 0)
    assert box.cached() == {"a", "b"}
    assert "jobs use them all" in other.stderr


def test_where_a_file_system_has_no_links_no_used_image_goes_either(box: ToolBox) -> None:
    box.add_runtime("apptainer", size=1000)
    box.remove("ln")
    limit = {"CLOUDQ_IMAGE_CACHE_BYTES": "1500"}
    held = box.run("cq_image", "docker://a", **limit)
    again = box.run("cq_image", "docker://a", **limit)
    box.another_job("e210c27c.1").run("cq_image", "docker://b", **limit)

    assert held.stdout == again.stdout
    assert Path(held.stdout.strip("\n")).parent == box.images
    assert box.pulls() == 2
    assert box.cached() == {"a", "b"}


def test_a_home_out_of_sight_proves_no_jobs_end(box: ToolBox) -> None:
    box.add_runtime("apptainer", size=1000)
    limit = {"CLOUDQ_IMAGE_CACHE_BYTES": "1500"}
    box.run("cq_image", "docker://a", **limit)
    away = box.tools.parents[1].rename(box.root / "away")

    (box.root / "elsewhere").mkdir()
    (box.root / "elsewhere" / "bin").symlink_to(box.bin)
    other = ToolBox(box.root / "elsewhere")
    other.run("cq_image", "docker://b", CLOUDQ_IMAGE_CACHE=str(box.images), **limit)

    assert away.is_dir()
    assert box.cached() == {"a", "b"}


def end_all_jobs(box: ToolBox) -> None:
    """End all jobs as the agent does: remove what belongs to them."""
    for claim in (box.root / "claims").iterdir():
        subprocess.run(["rm", "-r", str(claim)], check=True)


@pytest.mark.parametrize(
    "url",
    [
        "", "ubuntu", "-x", "--help", "docker://", "docker://-x", "docker:///x", "http://host/x.sif",
        "file:///etc/passwd", "DOCKER://x", "docker://x y", "docker://x;touch /tmp/y", "docker://$(id)",
        "docker://x`id`", "docker://x\ny", "docker://'x'", "docker://é", "https://me:hunter2@host/x.sif",
        "docker://x|y", "docker://x>y", "docker://x\\y", "docker://*",
    ],
)  # fmt: skip
def test_what_is_no_url_of_an_image_is_refused(box: ToolBox, url: str) -> None:
    box.add_runtime("apptainer")

    done = box.run("cq_image", url)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("cq_image: ")
    assert "hunter2" not in done.stderr
    assert box.told() == []


@pytest.mark.parametrize("runtime", ["podman", "docker"])
def test_podman_and_docker_get_a_reference(box: ToolBox, runtime: str) -> None:
    box.add_runtime(runtime)

    done = box.run("cq_image", "docker://nvcr.io/nvidia/pytorch:24.01-py3")

    assert (done.returncode, done.stdout) == (0, "nvcr.io/nvidia/pytorch:24.01-py3\n")
    assert box.told()[-1] == f"{runtime} <pull> <nvcr.io/nvidia/pytorch:24.01-py3>"


def test_what_podman_has_already_is_not_pulled(box: ToolBox) -> None:
    box.add_runtime("podman", body="exit 0")

    assert box.run("cq_image", UBUNTU).stdout == "ubuntu:24.04\n"
    assert box.told() == ["podman <image> <inspect> <ubuntu:24.04>"]


def test_docker_runs_no_images_of_other_kinds(box: ToolBox) -> None:
    box.add_runtime("docker")

    done = box.run("cq_image", "library://ubuntu")

    assert done.returncode == 2
    assert "docker runs images of docker:// only" in done.stderr


def test_without_a_runtime_it_says_what_is_missing_and_where(box: ToolBox) -> None:
    done = box.run("cq_image", UBUNTU)

    assert (done.returncode, done.stdout) == (127, "")
    assert f"no container runtime on {os.uname().nodename}" in done.stderr
    assert "CLOUDQ_CONTAINER_RUNTIME" in done.stderr


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CLOUDQ_IMAGE_CACHE", "relative"),
        ("CLOUDQ_IMAGE_CACHE_BYTES", "50G"),
        ("CLOUDQ_IMAGE_CACHE_BYTES", "-1"),
        ("CLOUDQ_IMAGE_CACHE_BYTES", "9" * 30),
    ],
)
def test_settings_that_mean_nothing_are_refused(box: ToolBox, variable: str, value: str) -> None:
    box.add_runtime("apptainer")

    done = box.run("cq_image", UBUNTU, **{variable: value})

    assert done.returncode == 2
    assert variable in done.stderr
    assert box.pulls() == 0


def test_the_cache_is_in_cloudqs_home_where_nobody_says_otherwise(box: ToolBox) -> None:
    box.add_runtime("apptainer")
    home = box.root / "home"

    assert box.run("cq_image", UBUNTU, CLOUDQ_IMAGE_CACHE="").stdout.startswith(f"{home}/.cloudq/images/")
    assert (home / ".cloudq").stat().st_mode & 0o777 == 0o700
