"""Run real agents on simulated hosts, each with its own name, process table and clocks.

The clocks of a host stop when the test requests it, as those of a suspended virtual machine do. Each agent
records when it may act, so that a test can see whether two ever did at the same time.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from attrs import evolve

from tests.parts.doomed_agent import FORKED, shorten_leases
from tests.parts.site import Site, wait_until

TELL_EVERY_S = 0.01
Interval = tuple[float, float]


class HostedAgent:
    """The process ``cloudqd --daemon`` of a site, on a simulated *host*."""

    def __init__(self, site: Site, host: str, time_to_live_s: float) -> None:
        self.acts = site.root / f"acts-{host}"
        self._stood_still_s = FORKED.Value("d", 0.0)
        self._stopped_at = 0.0
        output = str(site.root / f"agent-{host}.out")
        self._process = FORKED.Process(
            target=_live,
            args=(site.environment(), output, host, time_to_live_s, str(self.acts), self._stood_still_s),
            daemon=True,
        )
        self._process.start()

    def suspend(self) -> None:
        """Stop the machine with its clocks, but not in the middle of a write to a directory store.

        A stopped process keeps its locks there, and no other process could write; a bucket has no
        such locks.
        """
        while True:
            self._signal(signal.SIGSTOP)
            wait_until(lambda: self._state() == "T")
            if not self._holds_a_lock():
                break
            self._signal(signal.SIGCONT)
            time.sleep(0.01)
        self._stopped_at = time.clock_gettime(time.CLOCK_BOOTTIME)

    def resume(self) -> None:
        """Resume the machine; its clocks continue from where they stopped."""
        self._stood_still_s.value += time.clock_gettime(time.CLOCK_BOOTTIME) - self._stopped_at
        self._signal(signal.SIGCONT)

    def end(self) -> None:
        """Kill the agent."""
        self._signal(signal.SIGCONT)
        self._process.kill()
        self._process.join(60)

    def acted(self) -> list[Interval]:
        """Return the intervals in which it might act, by the clock of the test."""
        with suppress(FileNotFoundError):
            return _intervals([float(line) for line in self.acts.read_text().split()])
        return []

    def _signal(self, number: signal.Signals) -> None:
        if self._process.pid is not None and self._process.is_alive():
            os.kill(self._process.pid, number)

    def _state(self) -> str:
        return Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()[0]

    def _holds_a_lock(self) -> bool:
        locks = Path("/proc/locks").read_text().splitlines()
        return any(str(self._process.pid) in line.split() for line in locks)


def overlap_s(one: HostedAgent, other: HostedAgent) -> float:
    """Return the seconds in which both might act."""
    return sum(
        max(0.0, min(end, other_end) - max(begin, other_begin))
        for begin, end in one.acted()
        for other_begin, other_end in other.acted()
    )


def _intervals(times: list[float]) -> list[Interval]:
    """Count each look for the time since the last one, if that was not long ago."""
    return [(before, at) for before, at in pairwise(times) if at - before < 0.5]


def _live(
    environment: Mapping[str, str],
    output: str,
    host: str,
    time_to_live_s: float,
    acts: str,
    stood_still_s: object,
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    shorten_leases(time_to_live_s)
    _stop_clocks_with(stood_still_s)
    _be_on(host)
    _tell_when_it_may_act(Path(acts))
    from cloudq.entrypoints.cloudqd import main

    main(["--daemon"], prog_name="cloudqd")


def _stop_clocks_with(stood_still_s: object) -> None:
    from cloudq.adapters import clock

    running = clock._elapsed
    clock._elapsed = lambda: running() - stood_still_s.value  # type: ignore[attr-defined]


def _be_on(host: str) -> None:
    from cloudq.adapters import process

    itself = evolve(process.own_identity(), host=host, boot_id=f"boot of {host}")
    process.own_identity = lambda: itself


def _tell_when_it_may_act(path: Path) -> None:
    from cloudq.bootstrap import agent

    wire = agent.wire_agent

    def wired(*args: object, **kwargs: object) -> agent.AgentParts:
        parts = wire(*args, **kwargs)  # type: ignore[arg-type]
        threading.Thread(target=_tell, args=(parts, path), daemon=True).start()
        return parts

    agent.wire_agent = wired


def _tell(parts: object, path: Path) -> None:
    with path.open("a", buffering=1) as file:
        while True:
            if parts.lease.may_write():  # type: ignore[attr-defined]
                file.write(f"{time.clock_gettime(time.CLOCK_BOOTTIME)}\n")
            time.sleep(TELL_EVERY_S)
