"""How long something takes to show in the store."""

from __future__ import annotations

from collections.abc import Callable

from cloudq.ports.clock import Clock

LOOK_AGAIN_AFTER_S = 1.0


def seconds_until(is_so: Callable[[], bool], clock: Clock, longest_s: float) -> float | None:
    """Look once a second until it is so; None if it was not within *longest_s*, or after as many looks.

    The looks are counted, too: a clock that stands still must hold nobody up.
    """
    began = clock.elapsed()
    for _ in range(int(longest_s / LOOK_AGAIN_AFTER_S) + 1):
        if is_so():
            return clock.elapsed() - began
        clock.sleep(LOOK_AGAIN_AFTER_S)
    return None
