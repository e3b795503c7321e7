"""Measure how long a change takes to appear in the store."""

from __future__ import annotations

from collections.abc import Callable

from cloudq.ports.clock import Clock

LOOK_AGAIN_AFTER_S = 1.0


def seconds_until(is_so: Callable[[], bool], clock: Clock, longest_s: float) -> float | None:
    """Return the seconds until *is_so* returns True, or None if that takes longer than *longest_s*.

    It is called once a second. The number of calls is limited too, so that a stopped clock blocks no caller.
    """
    began = clock.elapsed()
    for _ in range(int(longest_s / LOOK_AGAIN_AFTER_S) + 1):
        if is_so():
            return clock.elapsed() - began
        clock.sleep(LOOK_AGAIN_AFTER_S)
    return None
