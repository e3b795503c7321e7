"""How long an agent waits before it claims an unpinned job (protocol 7.4, design section 9).

The sooner a system could start the job, the sooner it claims; the claim decides whatever the
estimates were.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

MAX_DELAY_S = 60.0
MOST_BEYOND_FREE_SLOTS = 1
"""Unpinned jobs that a system takes in one cycle though it cannot start them at once: whoever
takes all that wait keeps them from the systems that come free a moment later."""
MOST_WHILE_NOTHING_WAITS = 10
"""The same where the scheduler does not tell what is free, and its last jobs did not wait."""
PROVES_NOTHING_AFTER = 2.0
"""How many times the usual wait a job may wait before the usual is no estimate any more."""
RATE_OVER_S = 60.0
"""Over which it is counted how many jobs other systems take."""


def claim_delay(
    expected_wait_s: float | None, handicap_s: float = 0.0, poll_interval_s: float = 5.0
) -> float:
    """Seconds after the marker's creation, store's clock, before a claim may be made.

    *expected_wait_s* is 0 when the job can start at once and None without an estimate, which
    counts as the longest wait. Waits become steps of two poll intervals, for agents hear of a
    job at different moments within one; a handicap only ever adds. Never more than 60 s.
    """
    step = 2 * poll_interval_s
    if expected_wait_s is None:
        return MAX_DELAY_S
    waited = 0.0 if expected_wait_s <= 0 else step * (1 + expected_wait_s // max(step, 60.0))
    return min(MAX_DELAY_S, waited + max(0.0, handicap_s))


def expected_wait(
    free_slots: int | None, recent_waits_s: Sequence[float], waiting_s: float = 0.0
) -> float | None:
    """Seconds a job would wait here: 0 with a free slot, else the median of recent jobs' waits.

    *free_slots* None means the scheduler does not tell. Where none is free it takes a second at
    least: recent jobs may all have found a free one. None: nothing to judge by, or a job has waited
    for *waiting_s* seconds until now, so long that the recent ones prove nothing any more.
    """
    if free_slots is not None and free_slots > 0:
        return 0.0
    if not recent_waits_s:
        return None
    usual = max(median(recent_waits_s), 0.0 if free_slots is None else 1.0)
    return None if waiting_s > PROVES_NOTHING_AFTER * max(usual, 1.0) else usual


def is_sooner_here(wait_s: float | None, left: int, taken_elsewhere_per_s: float) -> bool:
    """Whether the last of *left* unpinned jobs would start sooner in this queue than elsewhere.

    As long as other systems take some, all of them will have been taken after
    ``left / taken_elsewhere_per_s`` seconds; a wait that nobody can tell counts as longer.
    """
    if taken_elsewhere_per_s <= 0:
        return True
    return wait_s is not None and wait_s < left / taken_elsewhere_per_s


def why_claimed(system: str, wait_s: float | None, delay_s: float) -> str:
    """Which rule let *system* take an unpinned job, for its owner."""
    after = f"nobody else had taken it after {delay_s:.0f} s"
    if wait_s is None:
        return f"{system} could not tell how soon it can start it, and {after}"
    if wait_s > 0:
        return f"{system} expected a wait of {wait_s:.0f} s, and {after}"
    return f"{system} could start it at once" + (f", and {after}" if delay_s > 0 else "")
