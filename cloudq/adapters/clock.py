"""This machine's clocks and its randomness; imports on every system a client runs on."""

from __future__ import annotations

import queue
import secrets
import time
from datetime import UTC, datetime
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class SystemClock:
    """The real `Clock`. After `wake`, in any thread or signal handler, nobody sleeps any more."""

    def __init__(self) -> None:
        # A SimpleQueue may be put to from a signal handler; an Event's lock may not be taken there.
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._woken = False
        self._boot_id = _read_boot_id()

    def now(self) -> datetime:
        now = datetime.now(UTC)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def elapsed(self) -> float:
        return _elapsed()

    def boot_id(self) -> str:
        return self._boot_id

    def sleep(self, seconds: float) -> None:
        if self._woken or seconds <= 0:
            return
        try:
            self._bell.get(timeout=seconds)
        except queue.Empty:
            return
        self._bell.put(None)  # one ring wakes every sleeper

    def wake(self) -> None:
        """End every sleep, those to come too: the process was asked to stop."""
        self._woken = True
        self._bell.put(None)


class RandomIds:
    """The real `IdSource`."""

    def job_id(self) -> str:
        return secrets.token_hex(4)

    def nonce(self) -> str:
        return secrets.token_hex(16)


def _elapsed() -> float:
    # CLOCK_MONOTONIC stands still while a Linux machine is suspended: a lease would seem fresh.
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def _read_boot_id() -> str:
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        # Unknown: an id that nobody else has, so that no two runs compare their clocks.
        return f"run-{secrets.token_hex(8)}"
