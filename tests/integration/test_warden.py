"""The warden of the daemons in test parts lets no process outlive a test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.parts.warden import Warden

ROOT = Path(__file__).parents[2]
# Its child is in a separate session, and an orphan from the start.
FORKS = "setsid sh -c 'echo $$ > child; exec sleep 600' & echo $$ > daemon; exec sleep 600 > held"
KILLED = f"""\
import os, signal
from tests.parts.warden import Warden

warden = Warden("killed")
print(warden.home, flush=True)
warden.start(
    "forks", "/bin/sh", "-c", "cd {{}}; (".format(warden.home) + {FORKS!r} + ")&",
    environ=os.environ, log=warden.home / "log",
)
signal.pause()
"""


def wait_until(is_so: Callable[[], bool]) -> None:
    ends = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < ends, "waited in vain"
        time.sleep(0.02)


def pid_in(file: Path) -> int:
    wait_until(lambda: file.exists() and file.read_text().endswith("\n"))
    return int(file.read_text())


def is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest.fixture
def warden() -> Iterator[Warden]:
    warden = Warden("warden")
    yield warden
    warden.close()


def start(warden: Warden, name: str, script: str) -> None:
    command = f"cd {warden.home}; {script}"
    warden.start(name, "/bin/sh", "-c", command, environ=os.environ, log=warden.home / "log")


def test_a_daemon_is_stopped_by_its_name_and_leaves_its_children(warden: Warden) -> None:
    start(warden, "forks", FORKS)
    child, daemon = pid_in(warden.home / "child"), pid_in(warden.home / "daemon")
    assert warden.running() == ["forks"]

    warden.stop("forks")

    assert warden.running() == []
    assert not is_there(daemon)
    assert is_there(child)
    warden.close()
    assert not is_there(child)
    assert not warden.home.exists()


def test_who_holds_a_file_is_killed_with_its_children(warden: Warden) -> None:
    start(warden, "other", "echo $$ > other; exec sleep 600")
    start(warden, "holds", "exec > held; sleep 600 >child.out & echo $! > child; wait")
    child, other = pid_in(warden.home / "child"), pid_in(warden.home / "other")

    warden.kill_holders(warden.home / "held")

    wait_until(lambda: not is_there(child))
    assert is_there(other)
    wait_until(lambda: warden.running() == ["other"])


def test_nothing_outlives_a_test_run_that_is_killed() -> None:
    run = subprocess.Popen([sys.executable, "-c", KILLED], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    with run:
        assert run.stdout is not None
        home = Path(run.stdout.readline().strip())
        pids = [pid_in(home / "child"), pid_in(home / "daemon")]

        run.send_signal(signal.SIGKILL)

    wait_until(lambda: not home.exists())
    assert not any(is_there(pid) for pid in pids)
