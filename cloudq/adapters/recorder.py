"""Runs a submit command and leaves records of it, even if the agent that started this dies.

    python -I -S recorder.py NOTE STATUS LIMIT COMMAND…          (the environment on stdin)

NOTE gets this process's ``/proc/PID/stat`` before the command is started, STATUS the command's exit
status after it ended (128 + N for a signal; 124 if it was ended after LIMIT seconds). The command gets
exactly the environment on stdin, as NUL-terminated ``name=value``: a shell in between would drop variables
whose names it does not accept, such as exported functions. This script uses only the standard library.
"""

# ruff: noqa: PTH105, PTH123
# (pathlib would take longer to import than everything else here)

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress

_LATE = 124
_CANNOT_RUN = 126
_NOT_FOUND = 127
_KILL_AFTER_S = 5.0
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def main(argv: list[str]) -> int:
    """Run the command and return its exit status."""
    note, status, limit, *command = argv
    _note_self(note)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    environment = read_environment(0)
    child = os.fork()
    if not child:
        become(command, environment)
    with suppress(OSError):
        os.setpgid(child, child)  # the child does this, too; either may be first
    code = _wait(child, float(limit))
    _replace(status, f"{code}\n".encode())
    return code


def _note_self(note: str) -> None:
    with suppress(OSError), open("/proc/self/stat", "rb") as file:
        _replace(note, file.read())


def _replace(path: str, content: bytes) -> None:
    with open(f"{path}.new", "wb") as file:
        file.write(content)
    os.replace(f"{path}.new", path)


def read_environment(handle: int) -> dict[bytes, bytes]:
    """Return the variables that were written as NUL-terminated ``name=value``."""
    with os.fdopen(handle, "rb", closefd=False) as file:
        pairs = (item.partition(b"=") for item in file.read().split(b"\0"))
    return {name: value for name, separator, value in pairs if separator}


def become(command: list[str], environment: dict[bytes, bytes]) -> None:
    """Turn this child into *command*, found on the PATH of *environment*; never returns."""
    code = _CANNOT_RUN
    try:
        os.setpgid(0, 0)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            with suppress(OSError, ValueError):
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.execvpe(command[0], command, environment)  # noqa: S606
    except FileNotFoundError as error:
        code = _NOT_FOUND
        _report(f"{command[0]}: {error.strerror}")
    except OSError as error:
        _report(f"{command[0]}: {error.strerror}")
    finally:
        os._exit(code)


def _report(words: str) -> None:
    with suppress(OSError):
        os.write(2, f"{words}\n".encode(errors="replace"))


def _wait(child: int, limit_s: float) -> int:
    """Return the exit status of *child*, which gets TERM after *limit_s* and KILL some seconds later."""
    if _has_ended(child, limit_s):
        return _status_of(child)
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child, number)
        if _has_ended(child, _KILL_AFTER_S):
            break
    os.waitpid(child, 0)
    return _LATE


def _has_ended(child: int, within_s: float) -> bool:
    ends = time.clock_gettime(_CLOCK) + within_s
    while os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        left = ends - time.clock_gettime(_CLOCK)
        if left <= 0:
            return False
        signal.sigtimedwait({signal.SIGCHLD}, left)
    return True


def _status_of(child: int) -> int:
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
