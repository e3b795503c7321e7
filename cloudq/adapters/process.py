"""Starting and identifying processes; apart from `portable_process`, no other module starts any.

The process table is Linux's ``/proc``; without it, a process counts as alive as long as its pid is
in use.
"""

from __future__ import annotations

import ctypes
import grp
import os
import pwd
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from attrs import evolve, field, frozen

from cloudq.domain.errors import SchedulerUnavailable
from cloudq.domain.jobs.lease import ProcessIdentity

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

_RECORDER = Path(__file__).with_name("recorder.py")
_NEEDED_BY_PYTHON = ("LD_LIBRARY_PATH",)

_DEAD = frozenset({"Z", "X", "x"})


@frozen
class Command:
    """A command to start: without a shell or a terminal, and it inherits only what is given here."""

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str]
    stdout: Path | None = None
    stderr: Path | None = None


@frozen
class DetachedProcess:
    """A process in a separate session, which outlives the process that started it."""

    identity: ProcessIdentity
    _popen: subprocess.Popen[bytes] = field(repr=False, eq=False)

    def wait(self, timeout_s: float) -> int | None:
        """Return its exit status, negative for a signal, or None if it still runs after *timeout_s*."""
        try:
            return self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """Kill it and the processes that it started, and wait for it."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()

    def let_go(self) -> None:
        """Stop watching it; it continues to run."""
        _LET_GO.append(self._popen)


_LET_GO: list[subprocess.Popen[bytes]] = []
"""Children that no caller waits for; those that ended are collected when the next one is started."""


def start_detached(command: Command, stdin: int = subprocess.DEVNULL) -> DetachedProcess:
    """Start *command*. Raises OSError if it cannot be started."""
    _LET_GO[:] = [popen for popen in _LET_GO if popen.poll() is None]
    with _open_output(command.stdout) as stdout, _open_output(command.stderr) as stderr:
        popen = subprocess.Popen(
            command.argv,
            cwd=command.cwd,
            env=command.env,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            close_fds=True,
            start_new_session=True,
        )
    return DetachedProcess(identity_of(popen.pid), popen)


def start_helper(script: Path, words: Sequence[str], command: Command) -> DetachedProcess:
    """Start *script*, one of cloudq's programs, which reads the environment of *command* from stdin.

    The program itself runs in a different environment: variables that this interpreter needs (a
    module's ``LD_LIBRARY_PATH``) do not reach the command, and no variable of the command is changed
    or lost on the way. Raises OSError.
    """
    argv = (sys.executable, "-I", "-S", str(script), *words)
    own = {name: os.environ[name] for name in _NEEDED_BY_PYTHON if name in os.environ}
    with os.fdopen(os.memfd_create("environment"), "wb") as file:  # in memory, so a full disk is no problem
        file.write(b"".join(os.fsencode(f"{name}={value}\0") for name, value in command.env.items()))
        file.seek(0)
        return start_detached(evolve(command, argv=argv, env=own), file.fileno())


def _open_output(path: Path | None) -> IO[bytes]:
    return open(path or os.devnull, "ab", opener=lambda name, flags: os.open(name, flags, 0o600))


@frozen
class Finished:
    """The result of a command that ran to its end."""

    status: int
    """The exit status, negative for a signal."""
    stdout: str
    stderr: str
    began_at: float = field(default=0.0, eq=False)
    """Seconds on this machine's clock, which continues during suspends."""
    ended_at: float = field(default=0.0, eq=False)


MAX_ANSWER_BYTES = 64 << 20


class AnswerTooLong(SchedulerUnavailable):
    """The error for a query that printed more than is read: the caller must ask for less."""


def run_to_end(command: Command, timeout_s: float, max_bytes: int = MAX_ANSWER_BYTES) -> Finished:
    """Run a query and return everything that it printed; *command* names no files for its output.

    Raises `SchedulerUnavailable` if it cannot be started, times out or prints too much; it is then
    killed with all processes that it started.
    """
    began_at = _elapsed()
    try:
        popen = subprocess.Popen(
            command.argv,
            cwd=command.cwd,
            env=command.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise SchedulerUnavailable(f"{command.argv[0]} cannot be run: {error.strerror or error}") from error
    with popen:
        try:
            output = _read_all(popen, command.argv[0], time.monotonic() + timeout_s, max_bytes)
        except BaseException:
            if popen.poll() is None:  # otherwise another group may have its number
                os.killpg(popen.pid, signal.SIGKILL)
            raise
    return Finished(popen.returncode, *output, began_at, _elapsed())


def _elapsed() -> float:
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def _read_all(popen: subprocess.Popen[bytes], name: str, ends: float, max_bytes: int) -> tuple[str, str]:
    """Read both streams to their ends, and wait for the process."""
    read: dict[int, list[bytes]] = {pipe.fileno(): [] for pipe in (popen.stdout, popen.stderr) if pipe}
    size = 0
    with selectors.DefaultSelector() as selector:
        for handle in read:
            selector.register(handle, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, ends - time.monotonic()))
            if not ready:
                raise SchedulerUnavailable(f"{name} gave no answer in time")
            for key, _ in ready:
                piece = os.read(key.fd, 1 << 16)
                if not piece:
                    selector.unregister(key.fd)
                read[key.fd].append(piece)
                size += len(piece)
            if size > max_bytes:
                raise AnswerTooLong(f"{name} printed more than {max_bytes} bytes")
    try:
        popen.wait(max(0.0, ends - time.monotonic()))
    except subprocess.TimeoutExpired as error:
        raise SchedulerUnavailable(f"{name} gave no answer in time") from error
    stdout, stderr = (b"".join(pieces).decode(errors="replace") for pieces in read.values())
    return stdout, stderr


def start_recording(command: Command, note: Path, status: Path, limit_s: float) -> DetachedProcess:
    """Start *command* under a recorder, which notes its process in *note* and the exit status in *status*.

    The command is ended after *limit_s*, even if no process waits for it any longer. No shell runs it:
    a shell would drop variables whose names it does not accept, such as exported functions. Raises
    OSError.
    """
    return start_helper(_RECORDER, (str(note), str(status), f"{limit_s:.0f}", *command.argv), command)


def noted_identity(note: str, starter: ProcessIdentity) -> ProcessIdentity | None:
    """Return the process that left *note* (its ``/proc/PID/stat``) after *starter* started it, or None."""
    pid, fields = note.partition(" ")[0], note.rpartition(")")[2].split()
    if not re.fullmatch("[0-9]{1,9}", pid) or len(fields) <= 19:
        return None
    return ProcessIdentity(starter.host, starter.boot_id, starter.pid_namespace, int(pid), fields[19])


_PR_SET_DUMPABLE = 4


def hide_own_memory() -> bool:
    """Stop other processes of this account from reading this one's memory and environment in ``/proc``.

    A job runs under the agent's account, and the agent's keys may be in its environment. No core
    dump is written either. Processes that this one starts are not affected. Returns whether the
    system supports this (Linux).
    """
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    return prctl is not None and prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0


def is_root() -> bool:
    """Return whether this process has all rights on this machine."""
    return os.geteuid() == 0


def own_identity() -> ProcessIdentity:
    """Return the identity of this process."""
    return identity_of(os.getpid())


def account() -> str:
    """Return the user name that these processes run under, or the user id if it has no name."""
    uid = os.geteuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group() -> str:
    """Return the group of new files: its name, or the group id if it has no name."""
    gid = os.getegid()
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def identity_of(pid: int) -> ProcessIdentity:
    """Return the process that has *pid* now; ``started`` is empty if it cannot be determined."""
    fields = _stat_fields(pid)
    return ProcessIdentity(
        host=os.uname().nodename,
        boot_id=_read(_BOOT_ID),
        pid_namespace=_pid_namespace(),
        pid=pid,
        started=fields[1] if fields else "",
    )


def is_gone(process: ProcessIdentity) -> bool:
    """Return whether *process* has certainly ended; False if it is not visible from here."""
    here = own_identity()
    if process.host != here.host:
        return False
    if process.boot_id != here.boot_id:
        return bool(process.boot_id and here.boot_id)
    if not process.shares_process_table_with(here):
        return False
    return not _runs(process)


def _runs(process: ProcessIdentity) -> bool:
    if not process.started:
        return _pid_in_use(process.pid)
    fields = _stat_fields(process.pid)
    return fields is not None and fields[1] == process.started and fields[0] not in _DEAD


def send_signal(process: ProcessIdentity, number: signal.Signals) -> bool:
    """Send a signal to exactly *process*; return whether it still existed."""
    if is_gone(process) or not process.shares_process_table_with(own_identity()):
        return False
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return False
    try:  # the handle stays with one process; make sure that it is the right one
        if not _runs(process):
            return False
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)
    return True


def kill_group(leader: ProcessIdentity, marks: Sequence[bytes]) -> None:
    """Kill what is left of the process group that *leader* leads or led.

    Once the leader is gone, another group may have its number: then only members whose environment
    contains all of *marks* are killed.
    """
    if not leader.shares_process_table_with(own_identity()):
        return
    if _runs(leader):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(leader.pid, signal.SIGKILL)
    for member in _members(leader.pid):
        if _environment_holds(member.pid, marks):
            send_signal(member, signal.SIGKILL)


def _members(group: int) -> list[ProcessIdentity]:
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 (only names are needed)
    fields = {pid: _stat_fields(pid) for pid in pids}
    return [identity_of(pid) for pid, stat in fields.items() if stat and stat[2] == str(group)]


def _environment_holds(pid: int, marks: Sequence[bytes]) -> bool:
    try:
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return all(mark in variables for mark in marks)


def format_identity(process: ProcessIdentity) -> str:
    """Return *process* as one line that `parse_identity` reads."""
    return " ".join(
        part or "-"
        for part in (
            str(process.pid), process.started, process.boot_id, process.pid_namespace, process.host,
        )
    )  # fmt: skip


def parse_identity(text: str) -> ProcessIdentity | None:
    """Parse a line that `format_identity` wrote; return None for anything else."""
    parts = ["" if part == "-" else part for part in text.split(" ")]
    if len(parts) != 5 or not re.fullmatch("[0-9]{1,9}", parts[0]):
        return None
    pid, started, boot_id, pid_namespace, host = parts
    return ProcessIdentity(host, boot_id, pid_namespace, int(pid), started)


def _stat_fields(pid: int) -> tuple[str, str, str] | None:
    """Return state, start time and process group, or None if the process does not exist."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name in parentheses may contain anything
    return (fields[0], fields[19], fields[2]) if len(fields) > 19 else None


def _pid_in_use(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _pid_namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:
        return ""


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""
