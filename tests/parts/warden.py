"""Run daemons for a test, and let none of their processes outlive it, however the test run ends.

Daemons of schedulers put themselves and their jobs into separate sessions, and end before the processes that
they started. So neither a process group nor a parent identifies the owner of a process. Therefore a separate
process runs them: it adopts all orphans below it (Linux calls it a subreaper) and ends when the pipe to the
tests closes. Then it kills every process below it, by its id, and removes the directory.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

PR_SET_CHILD_SUBREAPER = 36
STOP_TIMEOUT_S = 20.0


class Warden:
    """The tests' side: a new directory, and the daemons that work in it."""

    def __init__(self, name: str) -> None:
        # Not under pytest's directories: the path of a socket has at most 107 bytes.
        self.home = Path(tempfile.mkdtemp(prefix=f"{name}-"))
        self._process = subprocess.Popen(
            [sys.executable, "-I", __file__, str(self.home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C reaches only the tests, which then end this in good order
        )

    def start(self, name: str, *command: str, environ: Mapping[str, str], log: Path) -> None:
        """Start a daemon that stays in the foreground; its output is appended to *log*."""
        self._ask("start", name=name, command=command, environ=dict(environ), log=str(log))

    def stop(self, name: str, number: int = signal.SIGTERM) -> None:
        """Signal a daemon and wait until it has ended; kill it if it does not."""
        self._ask("stop", name=name, number=int(number))

    def kill_holders(self, path: Path) -> None:
        """Kill every process here that has *path* open, with all its children."""
        self._ask("kill_holders", path=str(path))

    def running(self) -> list[str]:
        """Return the names of the daemons that have not ended."""
        names: list[str] = self._ask("running")
        return names

    def close(self) -> None:
        """Kill all remaining processes, and remove the directory."""
        self._process.communicate(timeout=60)

    def _ask(self, what: str, **arguments: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([what, arguments]) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, f"the warden of {self.home} ended"
        return json.loads(answer)


class Daemons:
    """The warden's side. Only this process reaps, so that a recorded id stays valid."""

    def __init__(self) -> None:
        self._pids: dict[str, int] = {}
        self._ended, ending = socket.socketpair()
        for end in (self._ended, ending):
            end.setblocking(False)
        self._keep = ending
        signal.set_wakeup_fd(ending.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> None:
        """Answer requests until the pipe from the tests is closed."""
        while True:
            readable, _, _ = select.select([0, self._ended.fileno()], [], [])
            self._reap()
            if 0 not in readable:
                continue
            # One request at a time: the tests wait for the answer, so nothing is left in the buffer.
            line = sys.stdin.readline()
            if not line:
                return
            what, arguments = json.loads(line)
            sys.stdout.write(json.dumps(getattr(self, what)(**arguments)) + "\n")
            sys.stdout.flush()

    def start(self, name: str, command: list[str], environ: dict[str, str], log: str) -> None:
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        self._pids[name] = os.posix_spawnp(command[0], command, environ, file_actions=actions)

    def stop(self, name: str, number: int) -> None:
        ends = time.monotonic() + STOP_TIMEOUT_S
        if name in self._pids:
            os.kill(self._pids[name], number)
        while name in self._pids:
            left = ends - time.monotonic()
            if left < 0:
                os.kill(self._pids[name], signal.SIGKILL)
            select.select([self._ended], [], [], max(left, 0.1))
            self._reap()

    def running(self) -> list[str]:
        return list(self._pids)

    def kill_holders(self, path: str) -> None:
        for pid in list(descendants(os.getpid())):
            if path in open_files(pid):
                for one in (*descendants(pid), pid):
                    kill(one)

    def kill_all(self) -> None:
        """Kill all processes below this one, repeatedly, because they may start more."""
        while below := list(descendants(os.getpid())):
            for pid in below:
                kill(pid)
            select.select([self._ended], [], [], 0.05)
            self._reap()

    def _reap(self) -> None:
        while select.select([self._ended], [], [], 0)[0]:
            self._ended.recv(4096)
        with suppress(ChildProcessError):
            while pid := os.waitpid(-1, os.WNOHANG)[0]:
                self._pids = {name: known for name, known in self._pids.items() if known != pid}


def descendants(pid: int) -> Iterator[int]:
    """Yield all processes below *pid*, the deepest first."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            stat = (entry / "stat").read_text(errors="replace")
        except OSError:  # it has ended in the meantime
            continue
        children.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry.name))

    def below(parent: int) -> Iterator[int]:
        for child in children.get(parent, ()):
            yield from below(child)
            yield child

    return below(pid)


def open_files(pid: int) -> set[str]:
    """Return the open files of a process; empty if it has ended."""
    try:
        return {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}
    except OSError:
        return set()


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def main() -> None:
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    daemons = Daemons()
    try:
        daemons.serve()
    finally:
        daemons.kill_all()
        shutil.rmtree(sys.argv[1], ignore_errors=True)


if __name__ == "__main__":
    main()
