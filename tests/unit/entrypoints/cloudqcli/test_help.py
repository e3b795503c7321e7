"""The modules that ``--help`` loads and its output; clients need no module that only POSIX has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cloudq import __version__
from cloudq.entrypoints.cloudqcli import main
from tests.unit.entrypoints.cloudqcli.conftest import Cli

ROOT = Path(__file__).parents[4]
HEAVY = ("boto3", "botocore", "cattrs", "structlog", "filelock", "cloudq.adapters", "cloudq.bootstrap")
COMMANDS = (
    "init", "submit", "convert", "stat", "list", "history", "log", "cancel", "requeue", "stageout", "delete",
    "agents", "doctor",
)  # fmt: skip

POSIX_ONLY = (
    "fcntl", "pwd", "grp", "resource", "termios", "tty", "pty", "posix", "syslog", "readline", "spwd",
    "crypt", "nis", "_posixsubprocess", "_posixshmem",
)  # fmt: skip

WITHOUT_POSIX = """
import sys
import importlib.abc

class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ImportError(f"{name} is not on this system")

BLOCKED = set(sys.argv.pop(1).split(","))
import os, subprocess, getpass  # the standard library's own ways to these modules are its own affair
for name in BLOCKED - {"posix"}:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Blocker())
for name in ("fork", "getuid", "geteuid", "getpgid", "killpg", "setsid", "uname", "O_DIRECTORY"):
    if hasattr(os, name):
        delattr(os, name)
"""
CLIENT = """
import contextlib, io, json
from cloudq.entrypoints.cloudqcli import main

def run(*words):
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        main(words, prog_name="cloudqcli", standalone_mode=False)
    return shown.getvalue()

shown = [run("submit", "--script", sys.argv[1], "--submit_to", "local")]
job_id = shown[0][5:13]
commands = ["stat", job_id], ["list"], ["cancel", job_id], ["history"], ["delete", job_id], ["doctor"]
print(json.dumps([job_id, *(run(*words) for words in commands)]))
"""


def python(*args: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a fresh interpreter."""
    return subprocess.run(
        [sys.executable, *args],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


def test_help_loads_nothing_heavy() -> None:
    """A user who only asks for help must not wait for a store."""
    code = (
        "import sys; from cloudq.entrypoints.cloudqcli import main\n"
        "try: main(['--help'])\n"
        f"except SystemExit: print([name for name in {HEAVY!r} if name in sys.modules])"
    )

    assert python("-c", code).stdout.splitlines()[-1] == "[]"


def test_every_command_has_help_of_its_own(cli: Cli) -> None:
    for command in COMMANDS:
        assert cli(command, "--help").stdout.startswith(f"Usage: main {command}")


def test_commands_are_listed_in_the_order_of_their_use(cli: Cli) -> None:
    assert tuple(main.list_commands(None)) == COMMANDS  # type: ignore[attr-defined]


def test_says_its_version(cli: Cli) -> None:
    assert cli("--version").stdout == f"cloudqcli {__version__}\n"


def test_an_unknown_command_is_a_usage_error(cli: Cli) -> None:
    result = cli("frobnicate")

    assert result.exit_code == 2
    assert "No such command 'frobnicate'" in result.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_common_options_are_taken_by_every_command(cli: Cli, command: str) -> None:
    shown = cli(command, "--help").stdout

    assert "--config FILE" in shown
    assert "--log-level" in shown


def test_an_agent_does_need_it() -> None:
    """The same interpreter rejects modules of Linux; this proves that the next test would notice one."""
    ended = python("-c", WITHOUT_POSIX + "import cloudq.bootstrap.agent", ",".join(POSIX_ONLY))

    assert "is not on this system" in ended.stderr


@pytest.mark.parametrize("profile", ["local", "slurm", "gridengine", "pbs"])
def test_a_conversion_needs_nothing_that_only_posix_has(tmp_path: Path, profile: str) -> None:
    script = tmp_path / "mjob.sh"
    script.write_text("#$ project: p\n#$ resource: q\n#$ n_resource: 1\necho hello\n")
    environ = {"CLOUDQ_HOME": str(tmp_path / "home")}
    words = ("convert", "--script", str(script), "--system", "x", "--profile", profile)
    code = "from cloudq.entrypoints.cloudqcli import main\nmain(sys.argv[1:], prog_name='cloudqcli')"

    ended = python("-c", WITHOUT_POSIX + code, ",".join(POSIX_ONLY), *words, **environ)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("submit command  ")


def test_a_client_needs_nothing_that_only_posix_has(tmp_path: Path) -> None:
    """A job's whole life on a directory store, as on Windows: the modules of POSIX are removed."""
    script = tmp_path / "run.sh"
    script.write_text("#!/bin/bash\necho hello\n")
    environ = {"CLOUDQ_HOME": str(tmp_path / "home")}

    ended = python("-c", WITHOUT_POSIX + CLIENT, ",".join(POSIX_ONLY), str(script), **environ)

    assert ended.returncode == 0, ended.stderr
    job_id, stat, listed, canceled, history, deleted, doctor = json.loads(ended.stdout)
    assert "state                 INIT" in stat
    assert job_id in listed
    assert canceled == f"Job ({job_id}) is canceled.\n"
    assert job_id in history
    assert deleted == f"Job ({job_id}) is deleted.\n"
    assert {line.split()[0] for line in doctor.splitlines()} == {"ok", "warning"}
