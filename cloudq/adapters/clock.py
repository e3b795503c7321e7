"""This machine's clocks and randomness; this module imports on every system that a client runs on."""

from __future__ import annotations

import queue
import secrets
import time
from datetime import UTC, datetime
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class SystemClock:
    """The real `Clock`. After a `wake` in any thread or signal handler, `sleep` returns at once."""

    def __init__(self) -> None:
        # A signal handler may put into a SimpleQueue; it may not take the lock of an Event.
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
        """End all current and future sleeps: the process was asked to stop."""
        self._woken = True
        self._bell.put(None)


class RandomIds:
    """The real `IdSource`."""

    def job_id(self) -> str:
        return secrets.token_hex(4)

    def nonce(self) -> str:
        return secrets.token_hex(16)


def _elapsed() -> float:
    # On Linux, CLOCK_MONOTONIC stops while the machine is suspended: an old lease would seem fresh.
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def _read_boot_id() -> str:
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        # Unknown: use a unique id, so that no two runs compare their clocks.
        return f"run-{secrets.token_hex(8)}"
