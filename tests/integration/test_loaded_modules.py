"""The modules that each program loads, in a new interpreter: few, and on clients none that only POSIX has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = (
    "boto3", "botocore", "cattrs", "structlog", "filelock", "rich", "cloudq.adapters", "cloudq.bootstrap",
    "cloudq.client", "cloudq.entrypoints.cloudqcli.commands.submit",
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
BUILDER = 'from cloudq.entrypoints.cloudqaws import main; main(prog_name="cloudqaws")'
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


def loaded_by(code: str, heavy: tuple[str, ...]) -> list[str]:
    """Return which of the *heavy* modules are loaded after *code* has run or has exited."""
    report = f"import json; print(json.dumps([name for name in {heavy!r} if name in sys.modules]))"
    ended = python("-c", f"import sys\ntry:\n    {code}\nfinally:\n    {report}")

    names: list[str] = json.loads(ended.stdout.splitlines()[-1])
    return names


@pytest.mark.parametrize("program", ["cloudqcli", "cloudqaws"])
def test_help_loads_nothing_heavy(program: str) -> None:
    """A user who only asks for help must not wait for a store."""
    code = f"from cloudq.entrypoints.{program} import main; main(['--help'])"

    assert loaded_by(code, (*HEAVY, "yaml")) == []


def test_reading_the_default_configuration_loads_nothing_heavy() -> None:
    heavy = ("boto3", "botocore", "cattrs", "click", "structlog", "tomllib", "difflib", "asyncio")

    assert loaded_by("from cloudq.config import load_config; load_config({})", heavy) == []


def test_cattrs_is_not_loaded_before_a_record_is_read() -> None:
    """The import takes a tenth of a second, too long for `cloudqcli --help`."""
    assert loaded_by("import cloudq.adapters.job_repository", ("cattrs",)) == []


def test_a_client_that_configures_no_logging_never_loads_structlog() -> None:
    assert loaded_by("import cloudq.entrypoints.shared.logging", ("structlog",)) == []


def test_a_module_that_is_loaded_is_noticed() -> None:
    assert loaded_by("import tomllib", ("tomllib", "yaml")) == ["tomllib"]


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


def test_a_builder_needs_nothing_that_only_posix_has(tmp_path: Path) -> None:
    """Without the modules of POSIX: wire the builder for AWS, make wheel and preset, run a command."""
    work = """
import os, sys
from pathlib import Path
from cloudq.application.builder.cluster_report import Report
from cloudq.bootstrap.builder import builder_parts
from cloudq.adapters.portable_process import run_portably
home = Path(os.environ["CLOUDQ_HOME"])
parts = builder_parts(home, os.environ, "", Report())
assert parts.create.wheel().content
assert parts.create.presets.load("default").configuration
assert run_portably([sys.executable, "-c", "print(1)"], os.environ, 60).stdout.strip() == "1"
"""
    environ = {"CLOUDQ_HOME": str(tmp_path), "AWS_DEFAULT_REGION": "us-east-1"}
    wired = python("-c", WITHOUT_POSIX + work, ",".join(POSIX_ONLY), **environ)
    copied = python(
        "-c", WITHOUT_POSIX + BUILDER, ",".join(POSIX_ONLY), "preset", "--preset_name", "default", **environ
    )

    assert wired.returncode == 0, wired.stderr
    assert copied.returncode == 0, copied.stderr
    assert (tmp_path / "presets/default/network.yaml").is_file()
