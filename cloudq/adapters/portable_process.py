"""Run a command and wait for it on every system that a client runs on; Windows has no other way.

What belongs to agents and jobs, with process groups and process tables, is in `process`.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence

from attrs import frozen


@frozen
class Ended:
    """A command that ran to its end."""

    status: int
    stdout: str
    stderr: str


class DidNotEnd(Exception):
    """The command could not be started, or gave no answer in time; then it was killed."""


def run_portably(argv: Sequence[str], env: Mapping[str, str], timeout_s: float) -> Ended:
    """Run *argv* without a shell and return all it printed. Raises `DidNotEnd`.

    An interrupt from the terminal reaches the command as well, and it has ended when that goes on.
    """
    try:
        done = subprocess.run(
            list(argv),
            env=dict(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DidNotEnd(f"{argv[0]} gave no answer within {timeout_s:.0f} seconds") from error
    except OSError as error:
        raise DidNotEnd(f"{argv[0]} cannot be run: {error.strerror or error}") from error
    return Ended(done.returncode, _text(done.stdout), _text(done.stderr))


def _text(output: bytes) -> str:
    return output.decode("utf-8", errors="replace")
