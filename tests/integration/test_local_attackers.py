"""A job tries to read the agent's secrets; the agent runs as it does for users."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.parts.site import Site, ended, wait_until

SECRET = "a-secret-of-the-agent"

LINKS_ITS_LOG = """\
#!/bin/bash
log=$(readlink /proc/$$/fd/1)
rm -f "$log"
{trick} "$log"
sleep 3
"""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, {"AWS_SECRET_ACCESS_KEY": SECRET})


def everything_in(folder: Path) -> bytes:
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return b"".join(path.read_bytes() for path in files)


@pytest.mark.parametrize(
    "trick", ["ln -s /proc/self/environ", "ln -s {secrets}", "mkfifo", "ln -s /dev/zero"]
)
def test_a_job_cannot_have_the_agent_publish_other_files(site: Site, trick: str) -> None:
    secrets = site.root / "secrets"
    secrets.write_text(SECRET)
    trick = trick.format(secrets=secrets)
    with site.agent():
        client = site.client()
        script = site.script(LINKS_ITS_LOG.format(trick=trick))
        [job] = ended(client, client.submit(script, submit_to="local", force=True).job.uuid)

        assert job.is_final
        assert SECRET.encode() not in everything_in(site.home / "store")


LOOKS_AT_ITSELF = """\
import ctypes, os, subprocess, sys
from cloudq.adapters.process import hide_own_memory
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
if sys.argv[1] == "hidden":
    assert hide_own_memory()
else:
    ctypes.CDLL(None).prctl(4, 1)  # whoever changes its account is not dumpable at first
looked = subprocess.run(["cat", f"/proc/{os.getpid()}/environ"], capture_output=True)
print(looked.returncode, b"SECRET_OF_MINE" in looked.stdout)
"""


@pytest.mark.real
def test_the_agents_environment_is_closed_to_processes_of_its_own_account() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to act as an account without rights")

    def look(how: str) -> str:
        argv = [sys.executable, "-c", LOOKS_AT_ITSELF, how]
        environ = {**os.environ, "SECRET_OF_MINE": "x"}
        return subprocess.run(argv, capture_output=True, text=True, check=True, env=environ).stdout

    assert look("open") == "0 True\n"
    assert look("hidden") == "1 False\n"


@pytest.mark.parametrize("mode", [(), ("--daemon",), ("--daemon", "--detach")])
def test_an_agent_refuses_to_run_as_root_unless_it_is_allowed(site: Site, mode: tuple[str, ...]) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    site.variables["CLOUDQ_AGENT_ALLOW_ROOT"] = "false"
    refused = site.run("cloudqd", *mode)

    assert refused.returncode == 3
    assert "refuses to run as root" in refused.stderr
    assert "--allow_root" in refused.stderr
    assert not (site.home / "store").exists()


def test_the_flag_allows_root_to_a_detached_agent_too(site: Site) -> None:
    site.variables["CLOUDQ_AGENT_ALLOW_ROOT"] = "false"
    started = site.run("cloudqd", "--daemon", "--detach", "--allow_root")
    stopped = site.run("cloudqd", "--stop")

    assert (started.returncode, stopped.returncode) == (0, 0), started.stderr
    wait_until(lambda: not site.processes_left())
