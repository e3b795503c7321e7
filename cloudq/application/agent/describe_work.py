"""Describe in a few words the background work of an agent."""

from __future__ import annotations

from collections.abc import Sequence

from cloudq.application.agent.held_job import UnderWay
from cloudq.application.agent.holdings import Holdings
from cloudq.ports.workers import Lane

MB = 1_000_000


def busy_words(holdings: Holdings) -> str:
    """Return a line of bounded length, like "submitting 2 jobs, shipping logs of 3 jobs"; empty when idle."""
    held_jobs = list(holdings.held.values())
    under_way = [held.hand_over for held in held_jobs if held.hand_over is not None]
    making = [hand_over for hand_over in under_way if hand_over.lane is not Lane.SUBMIT]
    downloads = [hand_over for hand_over in making if hand_over.job.has_input]
    shipping = sum(held.logs.turn is not None for held in held_jobs)
    behind = sum(held.logs.is_behind and held.end is None for held in held_jobs)
    parts = (
        (len(downloads), "downloading inputs of {}" + _progress(downloads)),
        (len(making) - len(downloads), "preparing {}"),
        (len(under_way) - len(making), "submitting {}"),
        (sum(held.is_staging_out for held in held_jobs), "staging out {}"),
        (shipping or behind, "shipping logs of {}" + (f" ({behind} behind)" if behind else "")),
    )
    return ", ".join(words.format(_jobs(count)) for count, words in parts if count)


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count} jobs"


def _progress(downloads: Sequence[UnderWay]) -> str:
    done = sum(download.permit.done_bytes for download in downloads)
    whole = sum(download.job.size_input or 0 for download in downloads)
    return f" ({done // MB} of {max(whole, done) // MB} MB)"
