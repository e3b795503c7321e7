"""The table of states: complete, and final states stay final."""

from __future__ import annotations

import pytest

from cloudq.domain.jobs.job_state import (
    FINAL_STATES,
    TRANSITIONS,
    WORST_FIRST,
    JobState,
    may_follow,
)

S = JobState
ACTIVE_STATES = frozenset(JobState) - FINAL_STATES


def test_every_state_has_a_row() -> None:
    assert set(TRANSITIONS) == set(JobState)


def test_the_words_on_the_wire_never_change() -> None:
    assert [state.value for state in JobState] == [
        "INIT", "READY", "RUN", "COMPLETING", "DELETING", "DONE", "ERROR", "TIMEOUT", "DELETED",
    ]  # fmt: skip


def test_four_states_are_final() -> None:
    assert frozenset({S.DONE, S.ERROR, S.TIMEOUT, S.DELETED}) == FINAL_STATES


@pytest.mark.parametrize("state", JobState)
def test_a_state_knows_whether_it_is_final(state: JobState) -> None:
    assert state.is_final is (state in FINAL_STATES)


@pytest.mark.parametrize("state", sorted(FINAL_STATES, key=str))
def test_nothing_follows_a_final_state(state: JobState) -> None:
    assert TRANSITIONS[state] == frozenset()


@pytest.mark.parametrize("state", sorted(ACTIVE_STATES, key=str))
def test_any_active_state_may_end_in_any_way(state: JobState) -> None:
    assert TRANSITIONS[state] >= FINAL_STATES


@pytest.mark.parametrize("state", sorted(ACTIVE_STATES - {S.INIT}, key=str))
def test_a_release_takes_any_active_job_back_to_the_start(state: JobState) -> None:
    assert may_follow(state, S.INIT)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (S.INIT, S.READY),
        (S.READY, S.RUN),
        (S.RUN, S.READY),
        (S.RUN, S.COMPLETING),
        (S.READY, S.COMPLETING),
        (S.RUN, S.DELETING),
        (S.DELETING, S.COMPLETING),
    ],
)
def test_the_ways_of_the_design_are_open(before: JobState, after: JobState) -> None:
    assert may_follow(before, after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (S.COMPLETING, S.RUN),
        (S.COMPLETING, S.READY),
        (S.COMPLETING, S.DELETING),
        (S.DELETING, S.RUN),
        (S.DELETING, S.READY),
        (S.INIT, S.COMPLETING),
    ],
)
def test_other_ways_are_closed(before: JobState, after: JobState) -> None:
    assert not may_follow(before, after)


def test_the_worst_end_is_looked_for_first_and_success_last() -> None:
    assert set(WORST_FIRST) == FINAL_STATES
    assert len(WORST_FIRST) == len(FINAL_STATES)
    assert WORST_FIRST[-1] is S.DONE
