"""Processes are identified reliably, and jobs do not share the agent's process state."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import evolve

from cloudq.adapters.process import (
    Command,
    DetachedProcess,
    Finished,
    format_identity,
    identity_of,
    is_gone,
    kill_group,
    noted_identity,
    own_identity,
    parse_identity,
    run_to_end,
    send_signal,
    start_detached,
    start_recording,
)
from cloudq.domain.errors import SchedulerUnavailable

ENVIRONMENT = {"PATH": os.environ["PATH"]}


def sleeper(folder: Path, **env: str) -> DetachedProcess:
    return start_detached(Command(("sleep", "60"), folder, {"PATH": os.environ["PATH"], **env}))


def test_this_process_lives() -> None:
    me = own_identity()

    assert parse_identity(format_identity(me)) == me
    assert not is_gone(me)


def test_a_process_that_ended_is_gone_even_before_it_is_collected(tmp_path: Path) -> None:
    process = sleeper(tmp_path)
    assert not is_gone(process.identity)

    os.kill(process.identity.pid, signal.SIGKILL)
    os.waitid(os.P_PID, process.identity.pid, os.WEXITED | os.WNOWAIT)

    assert is_gone(process.identity)
    assert process.wait(5) == -signal.SIGKILL
    assert is_gone(process.identity)


def test_another_process_with_the_same_number_is_not_the_same() -> None:
    me = own_identity()

    assert is_gone(evolve(me, started="1"))
    assert is_gone(evolve(me, boot_id="another"))
    assert not send_signal(evolve(me, started="1"), signal.SIGKILL)


def test_what_cannot_be_seen_from_here_is_not_known_to_be_gone() -> None:
    me = own_identity()

    assert not is_gone(evolve(me, host="elsewhere", boot_id="another"))
    assert not is_gone(evolve(me, pid_namespace="another", started="1"))
    assert not send_signal(evolve(me, host="elsewhere"), signal.SIGKILL)


@pytest.mark.parametrize("text", ["", "1", "x 1 b n h", "-1 1 b n h", "1 2 3 4 5 6"])
def test_what_is_no_identity_is_not_read(text: str) -> None:
    assert parse_identity(text) is None


def test_a_process_is_detached_from_ours(tmp_path: Path) -> None:
    script = "echo $PWD; cat; echo $A >&2; ls /proc/self/fd | wc -l; ps -o sid= -p $$ | tr -d ' '; echo $$"
    out, err = tmp_path / "out", tmp_path / "err"
    command = Command(("/bin/bash", "-c", script), tmp_path, {"A": "b", "PATH": os.environ["PATH"]}, out, err)

    assert start_detached(command).wait(20) == 0
    directory, handles, session, pid = out.read_text().split()
    assert (directory, handles, session) == (str(tmp_path), "4", pid)
    assert err.read_text() == "b\n"


def test_the_rest_of_a_group_is_killed_after_its_leader_is_gone(tmp_path: Path) -> None:
    script = "sleep 60 & echo $! >pid; exit"
    env = {"PATH": os.environ["PATH"], "MARK": "7"}
    leader = start_detached(Command(("/bin/bash", "-c", script), tmp_path, env))
    leader.wait(20)
    rest = identity_of(int((tmp_path / "pid").read_text()))

    kill_group(leader.identity, [b"MARK=8"])
    assert not is_gone(rest)
    kill_group(leader.identity, [b"MARK=7"])
    while not is_gone(rest):  # the time limit of the test ends this loop
        pass


# Queries -----------------------------------------------------------------------------------------


def shell(script: str, *words: str) -> Command:
    return Command(("/bin/sh", "-c", script, "sh", *words), Path("/"), ENVIRONMENT)


def test_a_query_is_run_to_its_end() -> None:
    done = run_to_end(shell("echo out; echo err >&2; cat; exit 3"), 20)

    assert done == Finished(3, "out\n", "err\n")
    assert run_to_end(shell("kill -9 $$"), 20).status == -9


def test_a_late_query_is_killed_with_all_it_started(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    with pytest.raises(SchedulerUnavailable, match="in time"):
        run_to_end(shell('sleep 60 & echo $! >"$1"; wait', str(note)), 0.3)

    left = identity_of(int(note.read_text()))
    while not is_gone(left):  # the time limit of the test ends this loop
        pass


def test_a_query_that_closes_its_output_and_goes_on_is_late_all_the_same() -> None:
    with pytest.raises(SchedulerUnavailable, match="in time"):
        run_to_end(shell("exec >&- 2>&-; sleep 60"), 0.3)


def test_a_query_that_prints_without_end_is_stopped() -> None:
    with pytest.raises(SchedulerUnavailable, match="more than 1000 bytes"):
        run_to_end(shell("yes"), 20, max_bytes=1000)


def test_a_command_that_is_not_there_is_no_answer() -> None:
    with pytest.raises(SchedulerUnavailable, match="cannot be run"):
        run_to_end(Command(("no-such-command",), Path("/"), ENVIRONMENT), 20)


# Commands that leave records ---------------------------------------------------------------------


def recorded(folder: Path, script: str, *words: str, limit_s: float = 20) -> DetachedProcess:
    command = Command(
        ("/bin/sh", "-c", script, "sh", *words), folder, ENVIRONMENT, folder / "out", folder / "err"
    )
    return start_recording(command, folder / "note", folder / "status", limit_s)


def test_a_command_leaves_its_output_its_status_and_who_it_was(tmp_path: Path) -> None:
    process = recorded(tmp_path, 'echo "$1"; echo err >&2; exit 3', "$(date); 'a \"b")

    assert process.wait(20) is not None
    assert [(tmp_path / name).read_text() for name in ("out", "err", "status")] == [
        "$(date); 'a \"b\n",
        "err\n",
        "3\n",
    ]
    assert noted_identity((tmp_path / "note").read_text(), own_identity()) == process.identity


def test_a_command_is_ended_after_its_time_though_nobody_waits(tmp_path: Path) -> None:
    process = recorded(tmp_path, "sleep 60", limit_s=1)

    assert process.wait(20) is not None
    assert (tmp_path / "status").read_text() == "124\n"


def test_command_gets_exactly_the_environment_that_was_meant(tmp_path: Path) -> None:
    environ = {
        "BASH_FUNC_module%%": "() {  echo loaded\n}",
        "odd.name": "\udcff\n=x",
        "EMPTY": "",
        "PATH": "/bin",
    }
    out = tmp_path / "out"
    command = Command(("/bin/cat", "/proc/self/environ"), tmp_path, environ, out)

    assert start_recording(command, tmp_path / "note", tmp_path / "status", 20).wait(20) == 0
    assert out.read_bytes() == b"".join(os.fsencode(f"{name}={value}\0") for name, value in environ.items())


def test_command_is_found_on_the_path_that_it_is_given(tmp_path: Path) -> None:
    (tmp_path / "sbatch").write_text("#!/bin/sh\nmodule\n")
    (tmp_path / "sbatch").chmod(0o700)
    environ = {"PATH": f"{tmp_path}:/bin", "X": "1"}

    def ended(*argv: str) -> str:
        start_recording(Command(argv, tmp_path, environ), tmp_path / "note", tmp_path / "status", 20).wait(20)
        return (tmp_path / "status").read_text()

    assert [ended("sbatch"), ended("no-such-command"), ended("/"), ended("sh", "-c", "kill -9 $$")] == [
        "127\n", "127\n", "126\n", "137\n",
    ]  # fmt: skip


def test_command_that_ignores_its_end_is_killed(tmp_path: Path) -> None:
    process = recorded(tmp_path, "trap '' TERM; sleep 60; sleep 60", limit_s=0)

    assert process.wait(20) == 124


def test_records_are_left_though_the_one_who_started_it_is_gone(tmp_path: Path) -> None:
    started = (
        "import sys; from pathlib import Path; from cloudq.adapters.process import Command, start_recording\n"
        "here = Path(sys.argv[1]); command = Command(('sleep', '1'), here, {'PATH': '/usr/bin:/bin'})\n"
        "start_recording(command, here / 'note', here / 'status', 20)"
    )
    subprocess.run([sys.executable, "-c", started, tmp_path], check=True, timeout=60)

    while not (tmp_path / "status").exists():  # the time limit of the test ends this loop
        pass
    assert (tmp_path / "status").read_text() == "0\n"


@pytest.mark.parametrize("note", ["", "x", "1 (sh) S 1", "-1 (sh) " + "0 " * 40])
def test_a_note_that_cannot_be_read_names_nobody(note: str) -> None:
    assert noted_identity(note, own_identity()) is None
