"""Run a command to its end on every system that a client runs on; Windows has no other way.

Functions for agents and jobs, with process groups and process tables, are in `process`.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence

from attrs import frozen


@frozen
class Ended:
    """The result of a command that ran to its end."""

    status: int
    stdout: str
    stderr: str


class DidNotEnd(Exception):
    """The command could not be started, or it gave no answer in time and was killed."""


def run_portably(argv: Sequence[str], env: Mapping[str, str], timeout_s: float) -> Ended:
    """Run *argv* without a shell and return everything that it printed. Raises `DidNotEnd`.

    An interrupt from the terminal reaches the command, too; it has ended when the interrupt is raised here.
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
