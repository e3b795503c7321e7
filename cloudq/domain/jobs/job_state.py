"""The states of a job and which may follow which (design section 4, protocol 3.5 and 5.5)."""

from __future__ import annotations

from enum import Enum


class JobState(Enum):
    """Where a job stands. The values are on the wire: they never change."""

    INIT = "INIT"
    READY = "READY"
    RUN = "RUN"
    COMPLETING = "COMPLETING"
    DELETING = "DELETING"
    DONE = "DONE"
    ERROR = "ERROR"
    TIMEOUT = "TIMEOUT"
    DELETED = "DELETED"

    @property
    def is_final(self) -> bool:
        """Whether the job has ended; a final state never changes."""
        return self in FINAL_STATES


FINAL_STATES = frozenset({JobState.DONE, JobState.ERROR, JobState.TIMEOUT, JobState.DELETED})

_BY_RELEASE = frozenset({JobState.INIT})

TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    JobState.INIT: frozenset({JobState.READY, JobState.RUN, JobState.DELETING}) | FINAL_STATES,
    JobState.READY: frozenset({JobState.RUN, JobState.COMPLETING, JobState.DELETING})
    | FINAL_STATES
    | _BY_RELEASE,
    JobState.RUN: frozenset({JobState.READY, JobState.COMPLETING, JobState.DELETING})
    | FINAL_STATES
    | _BY_RELEASE,
    JobState.COMPLETING: FINAL_STATES | _BY_RELEASE,
    JobState.DELETING: frozenset({JobState.COMPLETING}) | FINAL_STATES | _BY_RELEASE,
    **{state: frozenset() for state in FINAL_STATES},
}

WORST_FIRST = (JobState.ERROR, JobState.TIMEOUT, JobState.DELETED, JobState.DONE)
"""Of several tasks that ended, the first of these that occurs is the job's own end."""


def may_follow(before: JobState, after: JobState) -> bool:
    """Whether a job in *before* may enter *after*."""
    return after in TRANSITIONS[before]
