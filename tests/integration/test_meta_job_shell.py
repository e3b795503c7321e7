"""The job shell of a meta job on real bash: the environment that its script gets."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from attrs import evolve

from cloudq.adapters.clock import RandomIds, SystemClock
from cloudq.adapters.job_shell import render_job_shell
from cloudq.adapters.workspace import DirectoryWorkspace
from cloudq.adapters.workspace.claim_space import DirectoryClaimSpace
from cloudq.domain.jobs.job_shell import JobShellPlan, MetaSetting, ShellDialect
from cloudq.domain.jobs.outcome import ExitRecord
from cloudq.domain.names import ClaimTag
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.domain.scripts.header import HeaderSyntax
from tests.parts.shell_claim import BASHES, bash, prepare

TAG = ClaimTag("3f7e7681", 1)
GROUP = ShellDialect(HeaderSyntax("#TEST"), '"${TEST_JOB:-}"', '"${TEST_TASK:-}"', forward_signals=False)
FORWARD = evolve(GROUP, forward_signals=True)
RESERVING = evolve(GROUP, reserved_exit_codes=frozenset({99, 100}))
SETTING = MetaSetting(environment={"SYSTEM": "kaede"})

SHOW_ALL = "#!/bin/bash\nenv | grep -E '^(SYSTEM|CONTAINER_IMG|ARY_|CLOUDQ_|SITE)' | sort\n"
A_TOOL = b"""\
#!/bin/bash
case $1 in
bad://*) echo "no such image" >&2; exit 9 ;;
none://*) exit 0 ;;
esac
echo "/img/$1"
"""

each_dialect = pytest.mark.parametrize("dialect", [GROUP, FORWARD], ids=["group", "forward"])


@pytest.fixture(autouse=True, params=BASHES)
def bash_of_the_test(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_BASH", request.param)


@pytest.fixture
def space(tmp_path: Path) -> DirectoryClaimSpace:
    return DirectoryWorkspace(tmp_path / "it's a $HOME é", SystemClock(), RandomIds()).space(TAG)


def prepared(
    space: DirectoryClaimSpace,
    body: str,
    dialect: ShellDialect = GROUP,
    tools: Mapping[str, bytes] | None = None,
    **setting: object,
) -> None:
    directory = space.install_tools() if tools else ""
    for tool, text in (tools or {}).items():
        Path(directory, tool).write_bytes(text)
        Path(directory, tool).chmod(0o700)
    meta = evolve(SETTING, tools_dir=str(directory), **setting)  # type: ignore[arg-type]
    prepare(space, body, dialect, meta=meta)


def environment(task: int | None = None) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "TEST_JOB": "42", "TEST_TASK": str(task or "")}


def run(space: DirectoryClaimSpace, task: int | None = None) -> tuple[int, str, str]:
    done = subprocess.run(
        [*bash(), space.job_shell], env=environment(task), text=True, capture_output=True, timeout=20,
        check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def exit_record(space: DirectoryClaimSpace, task: int | None = None) -> ExitRecord:
    record = space.records([task])[task].exit
    assert record is not None
    return record


@each_dialect
def test_variables_reach_the_script_as_they_are(space: DirectoryClaimSpace, dialect: ShellDialect) -> None:
    nasty = "$(touch /tmp/x) `id` \"a\" 'b' ; \\ é"
    prepared(space, SHOW_ALL, dialect, environment={"SYSTEM": "kaede", "CLOUDQ_X": nasty})

    assert run(space) == (0, f"CLOUDQ_X={nasty}\nSYSTEM=kaede\n", "")


@each_dialect
def test_a_script_of_any_language_finds_them(space: DirectoryClaimSpace, dialect: ShellDialect) -> None:
    prepared(space, "#!/usr/bin/env python3\nimport os\nprint(os.environ['SYSTEM'])\n", dialect)

    assert run(space) == (0, "kaede\n", "")


@pytest.mark.parametrize(
    ("array", "task", "shown"),
    [
        ("1-7:2", 5, "FIRST=1 ID=5 LAST=7 STEPSIZE=2"),
        ("3,9,5%2", 9, "FIRST=3 ID=9 LAST=9 STEPSIZE=1"),
        ("4", 4, "FIRST=4 ID=4 LAST=4 STEPSIZE=1"),
        ("4", None, "FIRST=4 ID=4 LAST=4 STEPSIZE=1"),
        (None, None, ""),
    ],
)
def test_a_task_knows_its_id_and_its_array(
    space: DirectoryClaimSpace, array: str | None, task: int | None, shown: str
) -> None:
    prepare(space, SHOW_ALL, GROUP, array=array)

    _, out, _ = run(space, task)

    told = sorted(line.removeprefix("ARY_TASK_") for line in out.splitlines() if line.startswith("ARY_"))
    assert " ".join(told) == shown


def test_the_sites_own_lines_come_first_and_tools_before_all_else_on_the_path(
    space: DirectoryClaimSpace,
) -> None:
    prepared(
        space,
        "#!/bin/bash\necho $SITE; type -p mytool\n",
        tools={"mytool": b"#!/bin/bash\n"},
        preamble=("export SITE='two words'", "PATH=/site/bin:$PATH"),
    )

    code, out, _ = run(space)

    assert (code, out) == (0, f"two words\n{space.control_dir}/tools/mytool\n")


@each_dialect
def test_images_are_fetched_before_the_script_starts(
    space: DirectoryClaimSpace, dialect: ShellDialect
) -> None:
    prepared(
        space, SHOW_ALL, dialect, tools={"cq_image": A_TOOL}, images=("docker://a", "docker://$(id) 'b'")
    )

    told = (
        f"CLOUDQ_WORK_DIR={space.work_dir}\n"
        "CONTAINER_IMG0=/img/docker://a\nCONTAINER_IMG1=/img/docker://$(id) 'b'\nSYSTEM=kaede\n"
    )
    assert run(space) == (0, told, "")
    assert not list(space.control_dir.glob("*image*"))


@pytest.mark.parametrize(("url", "code", "words"), [("bad://a", 9, "no such image\n"), ("none://a", 1, "")])
def test_an_image_that_cannot_be_had_ends_the_job_with_words(
    space: DirectoryClaimSpace, url: str, code: int, words: str
) -> None:
    prepared(space, "echo started\n", tools={"cq_image": A_TOOL}, images=("docker://a", url))

    said = f"{words}cloudq: no image {url} for CONTAINER_IMG1: the script was not started\n"
    assert run(space) == (code, "", said)
    assert exit_record(space).exit_code == code


def test_a_job_without_images_needs_no_tool(space: DirectoryClaimSpace) -> None:
    prepared(space, "echo started\n")

    assert run(space) == (0, "started\n", "")


@pytest.mark.parametrize(("line", "code"), [("exit 0", 1), ("exit 5", 5)])
def test_lines_of_the_site_that_end_the_shell_never_look_like_success(
    space: DirectoryClaimSpace, line: str, code: int
) -> None:
    prepared(space, "echo started\n", preamble=(line,))

    status, out, err = run(space)

    assert (status, out) == (code, "")
    assert "the lines of this system before the script ended" in err
    assert exit_record(space).exit_code == code


@each_dialect
@pytest.mark.parametrize("line", ["set -e", "set -u", "set -f", "IFS=,"])
def test_options_that_the_site_sets_end_no_job_shell_early(
    space: DirectoryClaimSpace, dialect: ShellDialect, line: str
) -> None:
    prepared(space, "#!/bin/bash\nexit 7\n", dialect, preamble=(line,))

    run(space)

    assert exit_record(space).exit_code == 7


@each_dialect
@pytest.mark.parametrize(
    "line", ["echo 'x", 'echo "x', "echo `x", "echo $(x", "if [ x", "f() {", "cat <<END"]
)
def test_a_line_of_the_site_that_is_not_complete_starts_no_script(
    space: DirectoryClaimSpace, dialect: ShellDialect, line: str
) -> None:
    prepared(space, "touch started\n", dialect, preamble=(line,), tools={"cq_image": A_TOOL}, images=("a",))

    status, _, err = run(space)

    assert status != 0
    assert exit_record(space).exit_code != 0
    assert "the lines of this system before the script ended" in err
    assert not (space.work_dir / "started").exists()


@each_dialect
def test_a_job_that_is_ended_while_it_is_prepared_leaves_its_record(
    space: DirectoryClaimSpace, dialect: ShellDialect
) -> None:
    tool = b"#!/bin/bash\necho ready >&2\nexec sleep 30\n"
    prepared(space, "echo started\n", dialect, tools={"cq_image": tool}, images=("docker://a",))
    process = subprocess.Popen(
        [*bash(), space.job_shell], env=environment(), text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stderr is not None
    assert process.stderr.readline() == "ready\n"
    os.killpg(process.pid, signal.SIGTERM)
    out, _ = process.communicate(timeout=20)

    assert (process.returncode, out) == (143, "")
    assert (exit_record(space).exit_code, exit_record(space).signal) == (143, "TERM")


@pytest.mark.parametrize(("code", "status"), [(99, 1), (100, 1), (3, 3), (0, 0)])
def test_an_exit_code_with_a_meaning_for_the_scheduler_is_told_in_the_record_only(
    space: DirectoryClaimSpace, code: int, status: int
) -> None:
    prepared(space, f"exit {code}\n", RESERVING)

    assert run(space)[0] == status
    assert exit_record(space).exit_code == code


def test_a_local_jobscript_keeps_the_meaning_of_its_exit_code(space: DirectoryClaimSpace) -> None:
    prepare(space, "exit 99\n", RESERVING)

    assert run(space)[0] == 99


def test_a_job_shell_is_the_golden_one(golden: Callable[[str, str], None]) -> None:
    meta = MetaSetting(
        environment={"SYSTEM": "kaede", "CLOUDQ_IMAGE_CACHE": "/home/me/it's"},
        preamble=(". /etc/profile.d/modules.sh", "module load singularitypro"),
        tools_dir="/home/me/.cloudq/cache/.cloudq/3f7e7681.1/tools",
        images=("docker://ubuntu:24.04",),
    )
    array = ArrayRange.parse("1-4")
    plan = JobShellPlan(TAG, "/c", "/w", "/w/mjob_local.sh", has_shebang=True, array=array, meta=meta)

    golden("job_shell_meta.sh", render_job_shell(plan, RESERVING))
