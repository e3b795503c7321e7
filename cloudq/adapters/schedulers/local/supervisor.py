"""Run one task of the embedded scheduler, independently of the agent that started it.

    python -I -S supervisor.py JOB_DIR TASK        (TASK is - for a plain job)

It is started in the task's work directory, and reads the task's environment from stdin as NUL-terminated
``name=value``. It imports only the standard library, so that it starts fast and an upgrade of cloudq does
not affect a running task. In JOB_DIR it leaves ``run`` (created once, before anything is started: the
supervisor that creates it runs the task), ``group`` (the process group, before the first command in it)
and ``end``. Exit status 0: this supervisor has the task, which continues; 3: another supervisor has it;
anything else: the task was not started.
"""

# ruff: noqa: PTH108, PTH116, PTH123
# (pathlib would take longer to import than everything else here)

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import suppress

_WATCHED = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
_TAKEN = 3
_FAILED = 4
_LOOK_AGAIN_S = 30.0
"""After this time, a cancel request is found even if its signal never arrived."""
_TRY_AGAIN_S = 5.0
_TRIES = 120


def main(argv: list[str]) -> int:
    """Take the task, then leave a child to supervise it, and return."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    job_dir, task = argv
    environment = _given_environment()
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        answer = os.read(reader, 1)
        return answer[0] if answer else _FAILED
    os.close(reader)
    os.setsid()
    try:
        supervisor = Supervisor(job_dir, "" if task == "-" else f".{task}", environment)
        taken = supervisor.take()
        os.write(writer, b"\0" if taken else bytes([_TAKEN]))
        os.close(writer)
        if taken:
            supervisor.run()
    finally:
        os._exit(0)


class Supervisor:
    """One task, from before its start to its end record."""

    def __init__(self, job_dir: str, suffix: str, environment: dict[bytes, bytes]) -> None:
        self.job_dir = job_dir
        self.suffix = suffix
        self.environment = environment
        with open(f"{job_dir}/job.json", "rb") as file:
            self.job = json.load(file)
        self.child = 0
        self.stop: tuple[str, str] | None = None
        """Verdict and reason, once the task was asked to stop."""
        self.kill_at = float("inf")

    def take(self) -> bool:
        """Take the task; return whether this supervisor got it. Of all supervisors that try, one succeeds."""
        return self._create("run", {"process": _identity(os.getpid())})

    def run(self) -> None:
        """Run the job shell until it ends, unless the job was canceled before."""
        if self._is_canceled():
            self._end("DELETED", "", "canceled before it started")
            return
        limit = self.job["limit_s"]
        deadline = _now() + limit if limit else float("inf")
        if not self._start():
            self._end("ERROR", "", "the job shell could not be started: no space for its records")
            return
        while not self._has_ended():
            self._wait(min(deadline, self.kill_at) - _now())
            if self._has_ended():
                break
            self._stop_if_asked()
            if _now() >= deadline:
                self._ask_to_stop("TIMEOUT", f"ran longer than its time limit of {limit} s")
            if _now() >= self.kill_at:
                self._signal_group(signal.SIGKILL)
                self.kill_at = _now() + self.job["kill_wait_s"]
        self._finish()

    def _start(self) -> bool:
        go, wait = os.pipe(), None
        self.child = os.fork()
        if not self.child:
            _become_job_shell(go, self.job, self.suffix, self.environment)
        with suppress(OSError):
            os.setpgid(self.child, self.child)  # the child does so too, because either may be first
        with suppress(OSError):
            self._create("group", {"process": _identity(self.child)})
            wait = os.write(go[1], b"1")
        os.close(go[0])
        os.close(go[1])
        if wait is None:
            os.waitpid(self.child, 0)  # it starts nothing without the byte in the pipe
        return wait is not None

    def _wait(self, seconds: float) -> None:
        number = signal.sigtimedwait(_WATCHED, min(max(seconds, 0.0), _LOOK_AGAIN_S))
        if number is None or number.si_signo == signal.SIGCHLD:
            return
        if not self._is_canceled():
            name = signal.Signals(number.si_signo).name
            self._ask_to_stop("ERROR", f"the supervisor of the job received {name}")

    def _stop_if_asked(self) -> None:
        if self.stop is None and self._is_canceled():
            self._ask_to_stop("DELETED", "canceled")

    def _ask_to_stop(self, verdict: str, reason: str) -> None:
        if self.stop is None:
            self.stop = (verdict, reason)
            self.kill_at = _now() + self.job["kill_wait_s"]
            self._signal_group(signal.SIGTERM)
            self._signal_group(signal.SIGCONT)

    def _signal_group(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.child, number)

    def _has_ended(self) -> bool:
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self.child, options) is not None

    def _finish(self) -> None:
        # Until it is waited for, the job shell keeps its process id: no other group can have it yet.
        self._signal_group(signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(self.child, 0)[1])
        shown = code if code >= 0 else 128 - code
        what = f"exit code {code}" if code >= 0 else f"killed by signal {-code}"
        verdict, reason = self.stop or ("ERROR" if code else "DONE", what if code else "")
        self._end(verdict, str(shown), reason)

    def _end(self, verdict: str, code: str, reason: str) -> None:
        for _ in range(_TRIES):  # a full disk may have space again
            if self._is_forsaken():
                return
            with suppress(OSError):
                self._create("end", {"state": verdict, "exit_code": code, "reason": reason})
                return
            signal.sigtimedwait({signal.SIGALRM}, _TRY_AGAIN_S)

    def _is_canceled(self) -> bool:
        words = {f"{self.job_dir}/cancel", f"{self.job_dir}/cancel{self.suffix}"}
        return any(os.path.lexists(word) for word in words) or self._is_forsaken()

    def _is_forsaken(self) -> bool:
        """Return whether the job's files were removed: no agent could follow or cancel the job any more."""
        try:
            os.lstat(self.job_dir)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return False

    def _create(self, name: str, fields: dict[str, str]) -> bool:
        path = f"{self.job_dir}/{name}{self.suffix}"
        temporary = f"{self.job_dir}/.new-{name}{self.suffix}.{os.getpid()}"
        try:
            with open(temporary, "wb", opener=_private) as file:
                file.write("".join(f"{key}={value}\n" for key, value in fields.items()).encode())
                file.flush()
                os.fsync(file.fileno())
            return _link(temporary, path, self.job_dir)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(temporary)


def _become_job_shell(
    go: tuple[int, int], job: dict[str, str], suffix: str, environment: dict[bytes, bytes]
) -> None:
    try:
        os.close(go[1])
        os.setpgid(0, 0)
        if not os.read(go[0], 1):
            return
        for number, stream in ((1, "stdout"), (2, "stderr")):
            # Append, never truncate: a second submission must not delete the output of the first one.
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
            os.dup2(os.open(f"{job['control_dir']}/{stream}{suffix}", flags, 0o600), number)
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            with suppress(OSError, ValueError):
                signal.signal(number, signal.SIG_DFL)  # the job must not inherit what the agent ignored
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.execve("/bin/bash", ["/bin/bash", job["job_shell"]], environment)  # noqa: S606
    finally:
        os._exit(127)


def _given_environment() -> dict[bytes, bytes]:
    """Read the task's environment from stdin; from then on, stdin is empty."""
    with open(0, "rb", closefd=False) as file:
        pairs = (item.partition(b"=") for item in file.read().split(b"\0"))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    return {name: value for name, separator, value in pairs if separator}


def _link(existing: str, new: str, directory: str) -> bool:
    with suppress(FileExistsError):
        os.link(existing, new)
    created = os.path.samestat(os.lstat(existing), os.lstat(new))
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(handle)
    os.close(handle)
    return created


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def _now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)  # advances while the machine is suspended


def _identity(pid: int) -> str:
    """Return the identity of a process as `adapters.process.parse_identity` reads it."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        started = file.read().rpartition(")")[2].split()[19]
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        boot_id = file.read().strip()
    namespace = os.stat("/proc/self/ns/pid").st_ino
    return f"{pid} {started} {boot_id} {namespace} {os.uname().nodename}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
