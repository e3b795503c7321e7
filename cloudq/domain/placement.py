"""How long an agent waits before it claims an unpinned job (protocol 7.4, design section 9).

The sooner a system could start the job, the sooner it claims; the claim decides whatever the
estimates were.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

MAX_DELAY_S = 60.0


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


def expected_wait(free_slots: int | None, recent_waits_s: Sequence[float]) -> float | None:
    """Seconds a job would wait here: 0 with a free slot, else the median of recent jobs' waits.

    *free_slots* None means the scheduler does not tell. Where none is free it takes a second at
    least: recent jobs may all have found a free one. None: nothing to judge by.
    """
    if free_slots is not None and free_slots > 0:
        return 0.0
    if not recent_waits_s:
        return None
    return median(recent_waits_s) if free_slots is None else max(1.0, median(recent_waits_s))
