"""The time that an agent waits before it claims an unpinned job (protocol 7.4, design section 9).

The sooner a system could start the job, the sooner it claims it. The claim decides, whatever the estimates
were.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

MAX_DELAY_S = 60.0
MOST_BEYOND_FREE_SLOTS = 1
"""The number of unpinned jobs that a system takes in one cycle although it cannot start them at once. A
system that takes all waiting jobs keeps them from systems whose slots become free a moment later."""
MOST_WHILE_NOTHING_WAITS = 10
"""The number of such jobs if the scheduler does not report free slots, and its last jobs did not wait."""
PROVES_NOTHING_AFTER = 2.0
"""If a job waits longer than this multiple of the usual wait, the usual wait is no estimate any longer."""
RATE_OVER_S = 60.0
"""The period over which the jobs that other systems take are counted."""


def claim_delay(
    expected_wait_s: float | None, handicap_s: float = 0.0, poll_interval_s: float = 5.0
) -> float:
    """Return how many seconds after the queue entry's creation, by the store's clock, a claim may be made.

    *expected_wait_s* is 0 if the job can start at once, and None without an estimate, which counts as the
    longest wait. Waits become steps of two poll intervals, because agents learn of a job at different
    moments within one interval. A handicap only ever adds to the delay. The result is never more than 60 s.
    """
    step = 2 * poll_interval_s
    if expected_wait_s is None:
        return MAX_DELAY_S
    waited = 0.0 if expected_wait_s <= 0 else step * (1 + expected_wait_s // max(step, 60.0))
    return min(MAX_DELAY_S, waited + max(0.0, handicap_s))


def expected_wait(
    free_slots: int | None, recent_waits_s: Sequence[float], waiting_s: float = 0.0
) -> float | None:
    """Return the seconds that a job would wait here: 0 with a free slot, else the median of recent waits.

    *free_slots* is None if the scheduler does not report them. If no slot is free, the wait is at least one
    second, because all recent jobs may have found a free slot. The result is None if there are no recent
    waits, or if a job has already waited *waiting_s* seconds, so long that the recent waits prove nothing
    any longer.
    """
    if free_slots is not None and free_slots > 0:
        return 0.0
    if not recent_waits_s:
        return None
    usual = max(median(recent_waits_s), 0.0 if free_slots is None else 1.0)
    return None if waiting_s > PROVES_NOTHING_AFTER * max(usual, 1.0) else usual


def is_sooner_here(wait_s: float | None, left: int, taken_elsewhere_per_s: float) -> bool:
    """Return whether the last of *left* unpinned jobs would start sooner in this queue than elsewhere.

    While other systems take some of the jobs, all of them will have been taken after ``left /
    taken_elsewhere_per_s`` seconds; an unknown wait counts as longer.
    """
    if taken_elsewhere_per_s <= 0:
        return True
    return wait_s is not None and wait_s < left / taken_elsewhere_per_s


def why_claimed(system: str, wait_s: float | None, delay_s: float) -> str:
    """Return the rule that let *system* take an unpinned job, in words for its owner."""
    after = f"no other system had taken it after {delay_s:.0f} s"
    if wait_s is None:
        return f"{system} could not estimate its wait, and {after}"
    if wait_s > 0:
        return f"{system} expected a wait of {wait_s:.0f} s, and {after}"
    return f"{system} could start it at once" + (f", and {after}" if delay_s > 0 else "")
