"""Arguments and variables on real bash: what the owner of a job wrote is exactly what its script gets."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudq.adapters.clock import RandomIds, SystemClock
from cloudq.adapters.workspace import DirectoryWorkspace
from cloudq.adapters.workspace.claim_space import DirectoryClaimSpace
from cloudq.domain.jobs.arguments import Words
from cloudq.domain.jobs.job_shell import MetaSetting, ShellDialect
from cloudq.domain.names import ClaimTag
from cloudq.domain.scripts.header import HeaderSyntax
from tests.parts.shell_claim import BASHES, bash, prepare

PYTHON = """#!/usr/bin/env python3
import json, os, sys
shown = {name: value for name, value in os.environ.items() if name.startswith(("USER_", "SYSTEM", "ARY_"))}
print(json.dumps([sys.argv[1:], shown]))
"""
HOSTILE = (
    "",
    "a b",
    "'\"\\`",
    "$(touch hacked) `touch hacked` $HOME ${x}",
    "*",
    "~",
    "a;b&c|d>e",
    "-n",
    "é✓",
    "!!",
)
SYSTEM = ("SYSTEM", "alpha")
texts = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=30)


@pytest.fixture(autouse=True, params=BASHES)
def bash_of_the_test(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_BASH", request.param)


@pytest.fixture(params=[False, True], ids=["group", "forward"])
def dialect(request: pytest.FixtureRequest) -> ShellDialect:
    return ShellDialect(
        HeaderSyntax("#TEST"), '"${TEST_JOB:-}"', '"${TEST_TASK:-}"', forward_signals=request.param
    )


@pytest.fixture
def workspace(tmp_path: Path) -> DirectoryWorkspace:
    return DirectoryWorkspace(tmp_path / "it's a $HOME é", SystemClock(), RandomIds())


@pytest.fixture
def space(workspace: DirectoryWorkspace) -> DirectoryClaimSpace:
    return workspace.space(ClaimTag("3f7e7681", 1))


def run(space: DirectoryClaimSpace, task: int | None = None) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "TEST_JOB": "42", "TEST_TASK": str(task or "")}
    return subprocess.run(
        [*bash(), space.job_shell], env=env, text=True, capture_output=True, cwd="/", timeout=20, check=False
    )


def got(space: DirectoryClaimSpace, task: int | None = None) -> tuple[list[str], dict[str, str]]:
    """Return the arguments and variables that the script got, without the SYSTEM that every script gets."""
    done = run(space, task)
    assert (done.returncode, done.stderr) == (0, "")
    arguments, variables = json.loads(done.stdout)
    return arguments, {name: value for name, value in variables.items() if (name, value) != SYSTEM}


def test_a_script_without_arguments_gets_none(space: DirectoryClaimSpace, dialect: ShellDialect) -> None:
    prepare(space, PYTHON, dialect)

    assert got(space) == ([], {})


def test_every_word_and_value_arrives_as_it_is(space: DirectoryClaimSpace, dialect: ShellDialect) -> None:
    words = (*HOSTILE, "two\nlines\r\n", "\x1b[31m\t")
    prepare(
        space, PYTHON, dialect, arguments=words, environment=[f"USER_{n}={w}" for n, w in enumerate(words)]
    )

    assert got(space) == (list(words), {f"USER_{n}": word for n, word in enumerate(words)})
    assert not (space.work_dir / "hacked").exists()


@pytest.mark.parametrize("task", [1, 2, 3])
def test_each_task_gets_its_own_line_after_the_common_words(
    space: DirectoryClaimSpace, dialect: ShellDialect, task: int
) -> None:
    lines: tuple[Words, ...] = (("--lr", "0.1"), HOSTILE, ("",))
    prepare(space, PYTHON, dialect, arguments=("train", "it's"), task_arguments=lines)

    assert got(space, task) == (["train", "it's", *lines[task - 1]], {})


@pytest.mark.parametrize("task", [None, 4])
def test_a_task_without_a_line_is_not_started(
    space: DirectoryClaimSpace, dialect: ShellDialect, task: int | None
) -> None:
    prepare(space, "touch ran\n", dialect, task_arguments=(("a",), ("b",), ("c",)))
    done = run(space, task)

    assert done.returncode == 1
    assert f"no arguments for task {task or ''}: the script was not started" in done.stderr
    assert not (space.work_dir / "ran").exists()
    record = space.records([task])[task].exit
    assert record is not None
    assert record.exit_code == 1


def test_ten_thousand_tasks_cost_the_job_shell_nothing(
    space: DirectoryClaimSpace, dialect: ShellDialect
) -> None:
    lines = tuple(("--seed", str(number)) for number in range(1, 10_001))
    prepare(space, PYTHON, dialect, task_arguments=lines)

    assert got(space, 10_000) == (["--seed", "10000"], {})
    assert space.job_shell.stat().st_size < 16_000


def test_a_meta_job_gets_them_and_keeps_the_variables_of_cloudq(
    space: DirectoryClaimSpace, dialect: ShellDialect
) -> None:
    meta = MetaSetting(environment={"SYSTEM": "kaede"}, preamble=("set -u", "export USER_B=$USER_A"))
    prepare(
        space, PYTHON, dialect, meta=meta, array="1-3", task_arguments=(("a",), ("b",), ("c",)),
        environment=["USER_A=x"],
    )  # fmt: skip
    arguments, variables = got(space, 2)

    assert arguments == ["b"]
    assert variables == {
        "USER_A": "x", "USER_B": "x", "SYSTEM": "kaede", "ARY_TASK_ID": "2", "ARY_TASK_FIRST": "1",
        "ARY_TASK_LAST": "3", "ARY_TASK_STEPSIZE": "1",
    }  # fmt: skip


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(texts, max_size=4), value=texts)
def test_no_text_is_changed_on_its_way(workspace: DirectoryWorkspace, words: list[str], value: str) -> None:
    dialect = ShellDialect(HeaderSyntax("#TEST"), '"$TEST_JOB"', '"$TEST_TASK"', forward_signals=False)
    space = workspace.space(ClaimTag("00000001", 1))
    if space.owner() is not None:
        space.remove()
    prepare(space, PYTHON, dialect, arguments=words, environment=[f"USER_X={value}"])

    assert got(space) == (words, {"USER_X": value})
