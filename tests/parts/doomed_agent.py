"""Run a real agent as a process that is killed, or stopped, right before a chosen step of a hand-over.

A step is an action that leaves a trace: a change of a file or directory, a request to the store, or the start
of a process. The interpreter announces each step before it happens (`sys.addaudithook`). Between two steps,
nothing happens that a successor could see, except for the actions of a process that was started. So the
moment right after such a start is a step, too.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Mapping
from functools import partial
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from attrs import frozen

from tests.parts.site import Site, wait_until

# Agents and clients are forked from a process that has one thread and has loaded all modules: this is fast.
FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(
    [
        "cloudq.client",
        "cloudq.entrypoints.cloudqd.daemon",
        "cloudq.adapters.object_stores.s3.store",
        "cloudq.entrypoints.shared.logging",
    ]
)

_CHANGES = frozenset(
    {"http.client.send", "os.chmod", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir"}
)
FORK = "subprocess.Popen"
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


@frozen
class Doom:
    """The signal for an agent, and its time: only steps that concern one job are counted."""

    job_id: str
    before: int | str | None = None
    """The number of a step, or the event of the first step that counts; None: the agent lives on."""
    signal: signal.Signals = signal.SIGKILL


class DoomedAgent:
    """The process ``cloudqd --daemon`` of a site, until the signal."""

    def __init__(self, site: Site, doom: Doom, time_to_live_s: float | None = None) -> None:
        self._told, tells = FORKED.Pipe(duplex=False)
        output = str(site.root / "agent.out")
        self._process = FORKED.Process(
            target=_live, args=(site.environment(), output, doom, time_to_live_s, tells), daemon=True
        )
        self._process.start()
        tells.close()

    def step(self, longest_s: float = 60.0) -> str:
        """Return the step before which the signal was sent."""
        assert self._told.poll(longest_s), "the agent met no such step"
        return self._told.recv_bytes().decode()

    def wait_until_killed(self) -> None:
        """Wait until the agent has been killed by its own signal."""
        self._process.join(60)
        assert self._process.exitcode == -signal.SIGKILL

    def wait_until_stopped(self) -> None:
        """Wait until the agent is stopped."""
        stat = Path(f"/proc/{self._process.pid}/stat")
        wait_until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T")

    def resume(self) -> None:
        """Continue after a stop."""
        assert self._process.pid is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def kill(self) -> None:
        """Kill the agent now."""
        self._process.kill()
        self._process.join(60)


def _live(
    environment: Mapping[str, str], output: str, doom: Doom, time_to_live_s: float | None, tells: Connection
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)
    if time_to_live_s is not None:
        shorten_leases(time_to_live_s)
    from cloudq.entrypoints.cloudqd import main

    if doom.before is not None:
        sys.addaudithook(_Fate(doom, tells))
    main(["--daemon"], prog_name="cloudqd")


def shorten_leases(time_to_live_s: float) -> None:
    """Set the time to live of this process's leases; a waiter looks every second."""
    from cloudq.application.agent import hold_lease, run_agent

    hold_lease.Lease = partial(hold_lease.Lease, time_to_live_s=time_to_live_s)  # type: ignore[misc, assignment]
    run_agent.LOOK_AT_HOLDER_EVERY_S = 1.0


class _Fate:
    """A hook that sees each step, and signals this process before the chosen one."""

    def __init__(self, doom: Doom, tells: Connection) -> None:
        self._doom, self._tells = doom, tells
        self._numbers = count()
        self._forked_by: int | None = None

    def __call__(self, event: str, about: tuple[Any, ...]) -> None:
        if self._forked_by == threading.get_ident():
            self._forked_by = None
            self._meet("after the fork")
        if self._is_step(event, about):
            self._meet(event)
            if event == FORK:
                self._forked_by = threading.get_ident()

    def _is_step(self, event: str, about: tuple[Any, ...]) -> bool:
        if event == "open":
            path, _, flags = about
            return bool(flags & WRITES) and self._doom.job_id in str(path)
        return (event in _CHANGES or event == FORK) and self._doom.job_id in str(about)

    def _meet(self, event: str) -> None:
        if self._doom.before not in (next(self._numbers), event):
            return
        self._tells.send_bytes(event.encode())
        # Signal this thread and no other: it must not get any further.
        signal.pthread_kill(threading.get_ident(), self._doom.signal)
