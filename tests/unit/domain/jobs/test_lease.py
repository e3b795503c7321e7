"""Leases: a holder stops in time, and a waiter waits long enough, whatever their clocks show."""

from __future__ import annotations

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from cloudq.domain.jobs.lease import (
    TIME_TO_LIVE_S,
    AgentState,
    HeldLease,
    Lease,
    Offer,
    ProcessIdentity,
    Watch,
    is_stale_by_store_clock,
)

PROCESS = ProcessIdentity("login1", "boot-1", "ns-1", 4711, "100")
LEASE = Lease(3, PROCESS, "a", "2.0", "local", Offer("local"))
TTL = TIME_TO_LIVE_S


def test_a_holder_beats_writes_and_lapses_in_this_order() -> None:
    held = HeldLease(LEASE, sent_at=1_000.0)

    assert [held.heartbeat_is_due(1_000 + s) for s in (0, TTL / 3 - 1, TTL / 3)] == [False, False, True]
    assert [held.may_write(1_000 + s) for s in (0, TTL / 2 - 1, TTL / 2)] == [True, True, False]
    assert [held.is_lapsed(1_000 + s) for s in (0, TTL - 1, TTL)] == [False, False, True]


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_a_holder_writes_nothing_once_it_may_have_been_succeeded(sent_at: float, later: float) -> None:
    held = HeldLease(LEASE, sent_at)

    assert not (held.may_write(sent_at + later) and held.is_lapsed(sent_at + later))


def test_a_waiter_needs_the_same_beat_a_whole_time_to_live() -> None:
    watch = Watch(LEASE.epoch, LEASE.nonce, since=50.0)

    assert not watch.shows_a_dead_holder(LEASE, 50 + TTL - 1)
    assert watch.shows_a_dead_holder(LEASE, 50 + TTL)


def test_any_sign_of_life_starts_the_wait_again() -> None:
    watch = Watch(LEASE.epoch, LEASE.nonce, since=50.0)
    beaten, succeeded = LEASE.beaten("b"), evolve(LEASE, epoch=4)

    assert not watch.shows_a_dead_holder(beaten, 1e6)
    assert not watch.shows_a_dead_holder(succeeded, 1e6)
    assert watch.continued(LEASE, 60.0) == watch
    assert watch.continued(beaten, 60.0) == Watch(3, "b", 60.0)
    assert watch.continued(succeeded, 60.0) == Watch(4, "a", 60.0)


@given(st.floats(0, 1e5), st.floats(0, 1e3), st.floats(0, 1e3))
def test_a_waiter_never_outruns_a_holder_that_may_still_write(
    sent: float, delay: float, waited: float
) -> None:
    """Both use one clock: the heartbeat is seen *delay* after it was sent, and again *waited* later."""
    held, watch = HeldLease(LEASE, sent), Watch(LEASE.epoch, LEASE.nonce, sent + delay)
    now = sent + delay + waited

    assert not (watch.shows_a_dead_holder(LEASE, now) and held.may_write(now))


def test_a_beat_changes_the_nonce_and_keeps_the_rest() -> None:
    beaten = LEASE.beaten("b", "no answer from squeue")

    assert beaten == evolve(LEASE, nonce="b", last_error="no answer from squeue")
    assert LEASE.beaten("c", released=True).released


def test_only_processes_of_one_boot_and_namespace_can_see_each_other() -> None:
    assert PROCESS.shares_process_table_with(evolve(PROCESS, pid=1, started="7"))
    for other in (
        evolve(PROCESS, host="x"),
        evolve(PROCESS, boot_id="x"),
        evolve(PROCESS, pid_namespace="x"),
    ):
        assert not PROCESS.shares_process_table_with(other)


def test_the_stores_clock_is_given_more_time_before_anybody_acts_than_before_anybody_warns() -> None:
    assert not is_stale_by_store_clock(LEASE, 2 * TTL)
    assert is_stale_by_store_clock(LEASE, 2 * TTL + 1)
    assert not is_stale_by_store_clock(LEASE, 10 * TTL, times=10)
    assert AgentState.of(LEASE, TTL + 1) is AgentState.AWAY
    assert AgentState.of(LEASE, TTL) is AgentState.ALIVE


def test_an_agent_that_released_its_lease_was_stopped_however_long_ago() -> None:
    released = evolve(LEASE, released=True)

    assert {AgentState.of(released, age) for age in (0.0, 10 * TTL)} == {AgentState.STOPPED}
