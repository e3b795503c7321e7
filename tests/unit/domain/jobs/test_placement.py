"""Placement: the sooner a system could start a job, the sooner it claims it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudq.domain.jobs.placement import (
    MAX_DELAY_S,
    claim_delay,
    expected_wait,
    is_sooner_here,
    why_claimed,
)

waits = st.floats(0, 1e6)


def test_a_system_that_can_start_at_once_claims_at_once() -> None:
    assert claim_delay(0.0) == 0.0


def test_a_system_without_an_estimate_waits_longest() -> None:
    assert claim_delay(None) == MAX_DELAY_S


@pytest.mark.parametrize(("wait", "delay"), [(1, 10), (59, 10), (60, 20), (150, 30), (1e9, MAX_DELAY_S)])
def test_waits_become_steps_of_two_polls(wait: float, delay: float) -> None:
    assert claim_delay(wait, poll_interval_s=5.0) == delay


@given(waits, waits, st.floats(0, 60), st.floats(0.1, 60))
def test_who_waits_longer_never_claims_sooner(one: float, other: float, handicap: float, poll: float) -> None:
    sooner, later = sorted((one, other))

    assert claim_delay(sooner, handicap, poll) <= claim_delay(later, handicap, poll)
    assert claim_delay(later, handicap, poll) <= claim_delay(None, handicap, poll)


@given(waits, st.floats(0.1, 30))
def test_a_system_that_must_wait_lets_a_free_one_go_first_by_two_polls(wait: float, poll: float) -> None:
    if wait > 0:
        assert claim_delay(wait, poll_interval_s=poll) - claim_delay(0.0, poll_interval_s=poll) >= 2 * poll


@given(st.none() | waits, st.floats(-100, 1e6), st.floats(0.1, 60))
def test_a_handicap_only_adds_and_never_beyond_the_cap(
    wait: float | None, handicap: float, poll: float
) -> None:
    assert claim_delay(wait, 0.0, poll) <= claim_delay(wait, handicap, poll) <= MAX_DELAY_S


@pytest.mark.parametrize(
    ("free", "recent", "expected"),
    [
        (1, [100.0], 0.0),
        (0, [10.0, 30.0, 20.0], 20.0),
        (None, [5.0], 5.0),
        (0, [], None),
        (None, [], None),
    ],
)
def test_the_wait_is_none_with_a_free_slot_else_the_median(
    free: int | None, recent: list[float], expected: float | None
) -> None:
    assert expected_wait(free, recent) == expected


@pytest.mark.parametrize(
    ("free", "recent", "waiting", "expected"),
    [(0, [1.0], 300.0, None), (None, [0.0], 40.0, None), (0, [500.0], 900.0, 500.0), (1, [], 900.0, 0.0)],
)
def test_what_waits_unusually_long_leaves_no_estimate(
    free: int | None, recent: list[float], waiting: float, expected: float | None
) -> None:
    assert expected_wait(free, recent, waiting) == expected


@pytest.mark.parametrize(
    ("wait", "delay", "words"),
    [
        (0.0, 0.0, "abci could start it at once"),
        (0.0, 30.0, "abci could start it at once, and no other system had taken it after 30 s"),
        (90.0, 20.0, "abci expected a wait of 90 s, and no other system had taken it after 20 s"),
        (None, 60.0, "abci could not estimate its wait, and no other system had taken it after 60 s"),
    ],
)
def test_an_owner_is_told_which_rule_decided(wait: float | None, delay: float, words: str) -> None:
    assert why_claimed("abci", wait, delay) == words


@pytest.mark.parametrize(
    ("wait", "left", "per_s", "sooner"),
    [
        (600.0, 200, 1 / 30, True),
        (600.0, 10, 1 / 30, False),
        (None, 200, 1 / 30, False),
        (None, 1, 0.0, True),
        (1e9, 1, 0.0, True),
    ],
)
def test_a_queue_is_worth_while_if_all_others_are_taken_later(
    wait: float | None, left: int, per_s: float, sooner: bool
) -> None:
    assert is_sooner_here(wait, left, per_s) is sooner
