"""`cq_container_run` as a process of a job: the arguments of each runtime, and the results."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.parts.tool_box import ToolBox

IDS = f"{os.getuid()}:{os.getgid()}"
CMD = ("python3", "-c", 'print("a b; $HOME")', "--", "", "*")
CMD_TOLD = '<python3> <-c> <print("a b; $HOME")> <--> <> <*>'


@pytest.fixture
def box(tmp_path: Path) -> Iterator[ToolBox]:
    box = ToolBox(tmp_path / "it's a $HOME é")
    yield box
    box.end()


def an_image(box: ToolBox, name: str = "image.sif") -> Path:
    path = box.work_dir / name
    path.write_text("an image")
    return path


@pytest.mark.parametrize("runtime", ["apptainer", "singularity"])
def test_a_command_runs_in_an_image_file_where_the_job_is(box: ToolBox, runtime: str) -> None:
    box.add_runtime(runtime)
    image = an_image(box)

    done = box.run("cq_container_run", str(image), *CMD)

    assert done.returncode == 42
    work = box.work_dir
    assert box.told() == [f"{runtime} <exec> <--pwd> <{work}> <--bind> <{work}> <{image}> {CMD_TOLD}"]


def test_the_job_and_its_temporary_directory_are_bound_too(box: ToolBox) -> None:
    box.add_runtime("apptainer")
    image, scratch = an_image(box), box.root / "scratch"
    below = box.work_dir / "below"
    scratch.mkdir()
    below.mkdir()

    box.run(
        "cq_container_run", str(image), "ls", cwd=below,
        CLOUDQ_WORK_DIR=str(box.work_dir), TMPDIR=str(scratch),
    )  # fmt: skip

    binds = f"<--bind> <{box.work_dir}> <--bind> <{below}> <--bind> <{scratch}>"
    assert box.told() == [f"apptainer <exec> <--pwd> <{below}> {binds} <{image}> <ls>"]


def test_a_sandbox_directory_and_a_relative_path_are_images_too(box: ToolBox) -> None:
    box.add_runtime("apptainer")
    (box.work_dir / "sandbox").mkdir()

    box.run("cq_container_run", "sandbox", "ls")

    assert box.told()[0].endswith(f"<{box.work_dir}/sandbox> <ls>")


def test_without_a_command_the_images_own_script_runs(box: ToolBox) -> None:
    box.add_runtime("apptainer")
    image = an_image(box)

    box.run("cq_container_run", str(image))

    assert box.told() == [f"apptainer <run> <--pwd> <{box.work_dir}> <--bind> <{box.work_dir}> <{image}>"]


def test_an_nvidia_gpu_is_handed_in(box: ToolBox) -> None:
    box.add_runtime("singularity")
    image = an_image(box)

    box.run("cq_container_run", str(image), "ls", CLOUDQ_CONTAINER_GPU="yes")

    assert box.told()[0].startswith("singularity <exec> <--nv> <--pwd>")


@pytest.mark.parametrize("image", ["docker://ubuntu:24.04", "ubuntu:24.04"])
def test_an_image_that_is_no_file_is_pulled_once(box: ToolBox, image: str) -> None:
    box.add_runtime("apptainer")

    first, second = (box.run("cq_container_run", image, "ls") for _ in range(2))

    assert (first.returncode, second.returncode) == (42, 42), first.stderr
    assert box.pulls() == 1
    [cached] = box.images.glob("used/*/ubuntu_24.04-*.sif")
    assert box.told()[-1].endswith(f"<{cached}> <ls>")


def test_an_image_that_cannot_be_had_ends_with_125(box: ToolBox) -> None:
    box.add_runtime("apptainer")
    box.broken.touch()

    assert box.run("cq_container_run", "docker://x", "ls").returncode == 125
    assert box.run("cq_container_run", "./missing.sif", "ls").returncode == 125
    assert not any("<exec>" in line for line in box.told())


def test_docker_runs_the_command_itself_as_this_user_with_the_jobs_variables(box: ToolBox) -> None:
    box.add_runtime("docker")

    done = box.run("cq_container_run", "docker://ubuntu:24.04", *CMD, ARY_TASK_ID="3", GREETING="a b")

    assert done.returncode == 42
    [told] = box.told()
    work = box.work_dir
    assert told.startswith(
        f"docker <run> <--rm> <--interactive> <--workdir> <{work}> <--volume> <{work}:{work}>"
    )
    assert f"<--init> <--user> <{IDS}>" in told
    assert told.endswith("<--entrypoint=python3> <ubuntu:24.04> " + CMD_TOLD.removeprefix("<python3> "))
    assert all(f"<--env> <{name}>" in told for name in ("ARY_TASK_ID", "GREETING", "HOME"))
    assert "a b" not in told.replace('"a b; $HOME"', "")  # no value is visible to others on this node
    assert "<PATH>" not in told


def test_podman_keeps_the_users_id(box: ToolBox) -> None:
    box.add_runtime("podman")

    box.run("cq_container_run", "ubuntu:24.04", "ls")

    [told] = box.told()
    assert told.startswith("podman <run> <--rm>")
    assert told.endswith("<--entrypoint=ls> <ubuntu:24.04>")
    assert ("<--userns=keep-id>" in told) == (os.getuid() != 0)


@pytest.mark.parametrize(
    ("runtime", "option"), [("docker", "<--gpus> <all>"), ("podman", "<--device> <nvidia.com/gpu=all>")]
)
def test_docker_and_podman_are_asked_for_gpus_in_their_own_words(
    box: ToolBox, runtime: str, option: str
) -> None:
    box.add_runtime(runtime)

    box.run("cq_container_run", "x", CLOUDQ_CONTAINER_GPU="yes")

    assert f"{option} <x>" in box.told()[0]


def test_a_directory_called_as_an_image_is_none_to_docker(box: ToolBox) -> None:
    box.add_runtime("docker")
    (box.work_dir / "ubuntu").mkdir()

    box.run("cq_container_run", "ubuntu", "ls")

    assert box.told()[0].endswith("<--entrypoint=ls> <ubuntu>")


def test_docker_says_that_it_runs_no_image_files(box: ToolBox) -> None:
    box.add_runtime("docker")

    done = box.run("cq_container_run", str(an_image(box)), "ls")

    assert done.returncode == 2
    assert "docker runs no image files" in done.stderr


def test_apptainer_goes_before_singularity_and_both_before_the_others(box: ToolBox) -> None:
    image = str(an_image(box))
    for runtime in ("docker", "podman", "singularity", "apptainer"):
        box.add_runtime(runtime)
        box.run("cq_container_run", "x" if runtime in {"docker", "podman"} else image, "ls")

    assert [line.split()[0] for line in box.told()] == ["docker", "podman", "singularity", "apptainer"]


def test_a_site_may_choose_the_runtime_by_name_or_path(box: ToolBox) -> None:
    box.add_runtime("apptainer")
    elsewhere = box.add_runtime("singularity").rename(box.root / "singularity")
    image = str(an_image(box))

    box.run("cq_container_run", image, "ls", CLOUDQ_CONTAINER_RUNTIME=str(elsewhere))
    box.run("cq_container_run", image, "ls", CLOUDQ_CONTAINER_RUNTIME="apptainer")

    assert [line.split()[0] for line in box.told()] == ["singularity", "apptainer"]


@pytest.mark.parametrize(
    ("chosen", "status"),
    [("singularity", 127), ("/nowhere/apptainer", 127), ("rm", 2), ("docker run", 2), ("-x", 2)],
)
def test_a_chosen_runtime_that_is_none_is_told(box: ToolBox, chosen: str, status: int) -> None:
    box.add_runtime("apptainer")

    done = box.run("cq_container_run", str(an_image(box)), "ls", CLOUDQ_CONTAINER_RUNTIME=chosen)

    assert done.returncode == status
    assert "CLOUDQ_CONTAINER_RUNTIME" in done.stderr
    assert box.told() == []


def test_without_a_runtime_it_says_what_is_missing_and_where(box: ToolBox) -> None:
    done = box.run("cq_container_run", str(an_image(box)), "ls")

    assert done.returncode == 127
    assert f"no container runtime on {os.uname().nodename}: none of apptainer" in done.stderr


@pytest.mark.parametrize(
    "args",
    [(), ("",), ("-x", "ls"), ("--help",), ("image.sif", ""), ("docker://", "ls"), ("docker://-x", "ls"),
     ("ftp://x", "ls"), ("x y", "ls"), ("$(id)", "ls"), ("x;id", "ls")],
)  # fmt: skip
@pytest.mark.parametrize("runtime", ["apptainer", "docker"])
def test_values_that_could_mean_something_else_are_refused(
    box: ToolBox, args: tuple[str, ...], runtime: str
) -> None:
    box.add_runtime(runtime)
    an_image(box)

    done = box.run("cq_container_run", *args)

    assert done.returncode == 2
    assert done.stderr.startswith("cq_container_run: ")
    assert box.told() == []


def test_a_directory_that_no_runtime_can_bind_is_told(box: ToolBox) -> None:
    box.add_runtime("apptainer")
    odd = box.work_dir / "a:b"
    odd.mkdir()

    done = box.run("cq_container_run", str(an_image(box)), "ls", cwd=odd)

    assert done.returncode == 2
    assert "change to another one" in done.stderr
    assert box.told() == []


def test_a_word_for_gpus_that_means_nothing_is_told(box: ToolBox) -> None:
    box.add_runtime("apptainer")

    done = box.run("cq_container_run", str(an_image(box)), "ls", CLOUDQ_CONTAINER_GPU="maybe")

    assert done.returncode == 2
    assert box.told() == []


def test_a_signal_reaches_the_runtime(box: ToolBox) -> None:
    """The command replaces itself with the runtime, so that the scheduler's signal reaches it directly."""
    box.add_runtime("apptainer", body="trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done")
    process = box.start("cq_container_run", str(an_image(box)), "ls")
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    process.terminate()

    process.communicate(timeout=20)
    assert process.returncode == 7


# In a real sandbox ------------------------------------------------------------------------------

# bubblewrap does what apptainer would: the image is the root, and a bound path is the same inside. The
# commands in it are those of this machine.
SANDBOX = """\
shift
args=()
while [ "$1" != "${1#-}" ]; do
    case $1 in
    --bind) args+=(--bind "$2" "$2") && shift 2 ;;
    --pwd) args+=(--chdir "$2") && shift 2 ;;
    esac
done
exec bwrap --bind "$1" / --ro-bind /usr /usr --proc /proc --dev /dev --setenv PATH /usr/bin \
    --unshare-pid --die-with-parent "${args[@]}" "${@:2}"
"""


@pytest.fixture
def sandbox(box: ToolBox) -> ToolBox:
    needed(["bwrap"])
    (box.bin / "bwrap").symlink_to(str(shutil.which("bwrap")))
    root = box.root / "rootfs"
    for folder in ("usr", "proc", "dev", str(box.work_dir)[1:]):
        (root / folder).mkdir(parents=True)
    for folder in ("bin", "lib", "lib64"):
        (root / folder).symlink_to(f"usr/{folder}")
    (root / "etc-of-the-image").write_text("inside\n")
    box.add_runtime("apptainer", body=SANDBOX)
    return box


def needed(commands: list[str]) -> None:
    missing = [command for command in commands if shutil.which(command) is None]
    if missing:
        complain: Callable[[str], object] = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        complain(f"not installed here: {', '.join(missing)}")


@pytest.mark.real
@pytest.mark.parametrize("code", [0, 1, 3, 99, 255])
def test_a_command_in_a_container_ends_the_job_with_its_code(sandbox: ToolBox, code: int) -> None:
    script = f"cat /etc-of-the-image; pwd; echo $ARY_TASK_ID >out; exit {code}"

    done = sandbox.run("cq_container_run", str(sandbox.root / "rootfs"), "sh", "-c", script, ARY_TASK_ID="7")

    assert done.returncode == code, done.stderr
    assert done.stdout == f"inside\n{sandbox.work_dir}\n"
    assert (sandbox.work_dir / "out").read_text() == "7\n"


@pytest.mark.real
@pytest.mark.parametrize("device", ["nvidiactl", "nvidia0", "null"])
def test_a_gpu_is_known_by_its_device(box: ToolBox, device: str) -> None:
    needed(["bwrap"])
    (box.bin / "bwrap").symlink_to(str(shutil.which("bwrap")))
    box.add_runtime("apptainer")
    image = an_image(box)
    devices = ("--dev", "/dev", "--bind", str(image), f"/dev/{device}")
    subprocess.run(
        [box.bin / "bwrap", "--bind", "/", "/", *devices, box.tools / "cq_container_run", image, "ls"],
        env=box.environ(CLOUDQ_CONTAINER_GPU="auto"), cwd=box.work_dir, check=False,
    )  # fmt: skip

    assert ("<--nv>" in box.told()[0]) == device.startswith("nvidia")


@pytest.mark.real
def test_a_linter_for_shells_finds_nothing_in_the_commands(box: ToolBox) -> None:
    needed(["shellcheck"])
    paths = sorted(box.tools.iterdir())

    done = subprocess.run(["shellcheck", "-x", *paths], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "")
