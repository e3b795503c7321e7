"""The states of a job and the allowed transitions (design section 4, protocol 3.5 and 5.5)."""

from __future__ import annotations

from enum import Enum


class JobState(Enum):
    """The state of a job. The values are part of the protocol: they never change."""

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
        """Return whether the job has ended; a final state never changes."""
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
"""The order of final states, worst first: the first one that any task has is the final state of the job."""


def may_follow(before: JobState, after: JobState) -> bool:
    """Return whether a job in *before* may enter *after*."""
    return after in TRANSITIONS[before]
