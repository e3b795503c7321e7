"""``cloudqd`` as processes: start, status, stop and signals."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cloudq.adapters import process
from tests.parts.commands import Home


def wait_until(is_so: Callable[[], bool], longest_s: float = 30.0) -> None:
    began = time.monotonic()
    while not is_so():
        assert time.monotonic() - began < longest_s
        time.sleep(0.1)


def test_an_agent_is_started_looked_at_and_stopped(home: Home) -> None:
    """--detach reports success once the lease names the new process."""
    started = home.cloudqd("--daemon", "--detach")
    [pid] = re.findall(r"pid ([0-9]+)", started.stdout)
    second = home.cloudqd("--daemon", "--detach")
    status, as_json = home.cloudqd("--status"), home.cloudqd("--status", "--json")
    stopped, again = home.cloudqd("--stop"), home.cloudqd("--stop")

    assert (started.returncode, started.stderr) == (0, "")
    assert started.stdout == (
        f"The agent of local runs: pid {pid}\nIts log: {home.path / 'log' / 'cloudqd.log'}\n"
    )
    assert second.returncode == 14
    assert second.stderr == (
        f"cloudqd: An agent of local runs here already, pid {pid}. To end it: cloudqd --stop\n"
    )
    assert status.returncode == 0
    assert "state         running here\n" in status.stdout
    assert json.loads(as_json.stdout)["pid"] == int(pid)
    assert stopped.stdout == "The agent of local has ended; its jobs continue.\n"
    assert (again.returncode, again.stderr) == (0, "No agent of local runs here.\n")
    assert home.cloudqd("--status").returncode == 13


def test_cron_can_run_an_agent_cycle_by_cycle(home: Home) -> None:
    """Without --daemon each call runs one cycle; the next call finds the jobs that ran in between."""
    job_id = home.submit("sleep 1; echo done")
    for _ in range(40):
        cycle = home.cloudqd()
        assert (cycle.returncode, cycle.stdout) == (0, "")
        if home.state(job_id) == "DONE":
            break
        time.sleep(0.5)

    assert home.state(job_id) == "DONE"
    assert home.cloudqcli("log", job_id).stdout == "done\n"


@pytest.mark.usefixtures("running_agent")
def test_one_cycle_beside_a_running_agent_does_nothing_and_says_so(home: Home) -> None:
    cycle = home.cloudqd()

    assert cycle.returncode == 0
    assert cycle.stderr.startswith("Nothing was done: another agent acts for local, pid ")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_an_agent_in_order(home: Home, number: signal.Signals) -> None:
    """The agent gives up its lease and exits with 0; the job runs on, and the next agent sees its result."""
    agent = home.start("-m", "cloudq.entrypoints.cloudqd", "--daemon")
    job_id = home.submit("sleep 3; echo survived")
    wait_until(lambda: home.state(job_id) == "RUN")
    agent.send_signal(number)
    _, said = agent.communicate(timeout=30)

    assert agent.returncode == 0, said
    assert "stopped" in home.cloudqd("--status").stdout

    home.cloudqd("--daemon", "--detach")
    try:
        wait_until(lambda: home.state(job_id) == "DONE")
    finally:
        home.cloudqd("--stop")
    assert home.cloudqcli("log", job_id).stdout == "survived\n"


def test_a_detached_agent_that_cannot_start_says_why(home: Home) -> None:
    home.path.mkdir()
    (home.path / "config.toml").write_text("[agent]\nprofile = 'nowhere'\n")
    started = home.cloudqd("--daemon", "--detach")

    assert (started.returncode, started.stdout) == (3, "")
    assert "unknown profile 'nowhere'" in started.stderr


def test_stop_never_signals_a_stranger(home: Home) -> None:
    """The note may be from an earlier boot, or its pid may now belong to another process."""
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        mine = process.identity_of(stranger.pid)
        note = home.path / "run" / f"local@{mine.host}"
        note.parent.mkdir(parents=True)
        note.write_text(process.format_identity(mine).replace(mine.started, "1"))
        stopped = home.cloudqd("--stop")

        assert (stopped.returncode, stopped.stderr) == (0, "No agent of local runs here.\n")
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_stop_says_on_which_host_an_agent_of_this_home_runs(home: Home) -> None:
    """Login nodes share homes, but a signal reaches only processes on its own node."""
    note = home.path / "run" / "local@login2"
    note.parent.mkdir(parents=True)
    note.write_text("4711 12345 boot-1 ns-1 login2")
    stopped = home.cloudqd("--stop")

    assert stopped.returncode == 13
    assert stopped.stderr == "An agent of local was started on login2: stop it there.\n"


def test_a_home_and_a_file_that_are_relative_reach_a_detached_agent(home: Home, tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text("[agent]\nname = 'beta'\n")
    command = [sys.executable, "-m", "cloudq.entrypoints.cloudqd"]
    environ = {**home.environ, "CLOUDQ_HOME": "relative"}

    def run(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *args, "--config", "my.toml"],
            cwd=tmp_path, env=environ, capture_output=True, encoding="utf-8", timeout=90, check=False,
        )  # fmt: skip

    started, stopped = run("--daemon", "--detach"), run("--stop")

    assert (started.returncode, stopped.returncode) == (0, 0)
    assert started.stdout.startswith("The agent of beta runs: pid ")
    assert (tmp_path / "relative" / "log" / "cloudqd.log").stat().st_size > 0


def test_an_agent_started_for_another_system_leaves_this_one_alone(home: Home) -> None:
    home.cloudqd("--daemon", "--detach", "--name", "beta")
    try:
        assert home.cloudqd("--status").returncode == 13
        assert home.cloudqd("--status", "--name", "beta").returncode == 0
    finally:
        assert home.cloudqd("--stop", "--name", "beta").returncode == 0


@pytest.mark.usefixtures("running_agent")
def test_a_reader_that_has_enough_is_no_error(home: Home) -> None:
    """As with ``head``: no traceback and no complaint."""
    job_id = home.submit("seq 200000")
    home.cloudqcli("submit", "--script", home.script("true"), "--submit_to", "local", "--hold_jid", job_id,
                   "--wait")  # fmt: skip
    log = home.start("-m", "cloudq.entrypoints.cloudqcli", "log", job_id)
    assert log.stdout is not None
    assert log.stderr is not None
    first = log.stdout.readline()
    log.stdout.close()
    said = log.stderr.read()
    log.stderr.close()

    assert (first, said, log.wait(30)) == ("1\n", "", 141)


@pytest.mark.usefixtures("running_agent")
def test_ctrl_c_ends_the_waiting_and_not_the_job(home: Home) -> None:
    wait = home.start(
        "-m", "cloudq.entrypoints.cloudqcli", "submit", "--script", home.script("sleep 2"),
        "--submit_to", "local", "--wait",
    )  # fmt: skip
    assert wait.stdout is not None
    job_id = wait.stdout.readline()[5:13]
    os.kill(wait.pid, signal.SIGINT)
    _, said = wait.communicate(timeout=30)

    assert wait.returncode == 130
    assert said.splitlines()[0] == f"Job ({job_id}) continues; to end it: cloudqcli cancel {job_id}"
    wait_until(lambda: home.state(job_id) == "DONE")
