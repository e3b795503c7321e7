"""Test `SystemRegistry`: leases, summaries, agent logs, and their costs (protocol sections 2 and 6)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from attrs import define

from cloudq.adapters.codec import encode_lease
from cloudq.adapters.job_repository import BucketSystemRegistry, keys
from cloudq.adapters.object_stores.wrappers.passing_on import PassingOn
from cloudq.domain.errors import (
    LeaseLost,
    NoAgentLog,
    OutcomeUnknown,
    RecordRejected,
    StoreUnavailable,
)
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.summary import ActiveJob, ActiveSummary
from cloudq.ports.object_store import MAX_CONTROL_BYTES, StoredObject
from cloudq.ports.system_registry import SystemRegistry, SystemSign
from tests.builders import a_lease
from tests.contracts.conftest import StoreTime, put_foreign
from tests.parts.counting_store import CountingStore
from tests.parts.faulty_store import FaultyStore, lost_answer, lost_request
from tests.parts.serial_ids import SerialIds


@pytest.fixture
def registry(store: CountingStore, ids: SerialIds) -> SystemRegistry:
    return BucketSystemRegistry(store, ids)


@define
class BeforeEachGet(PassingOn):
    """A store on which the next of *acts* runs before each GET."""

    inner: CountingStore
    acts: list[Callable[[], object]]

    def get(self, key: str, *, max_bytes: int = MAX_CONTROL_BYTES) -> StoredObject:
        if "/lease/" in key and self.acts:
            self.acts.pop(0)()
        return self.inner.get(key, max_bytes=max_bytes)


def an_old_lease(store: CountingStore, epoch: int) -> None:
    """Put a lease as an agent of cloudq 2.0 does."""
    store.put(keys.old_lease("alpha", epoch), encode_lease(a_lease(epoch)))


def old_agents_take_turns(store: CountingStore, last: int) -> None:
    """Simulate three old agents, one after the other; the *last* one is running now."""
    for epoch in range(last - 2, last + 1):
        an_old_lease(store, epoch)
        store.delete([keys.old_lease("alpha", old) for old in range(1, epoch - 1)])


class TestSystems:
    def test_one_listing_tells_who_is_there(
        self, registry: SystemRegistry, store: CountingStore, store_time: StoreTime
    ) -> None:
        registry.take_lease("alpha", a_lease(10), None)
        registry.publish_summary("alpha", ActiveSummary(9))
        store_time.pass_by(60)
        registry.take_lease("beta", a_lease(1), None)
        store_time.pass_by(5)
        store.reset()

        assert registry.systems() == {
            "alpha": SystemSign("alpha", has_lease=True, heartbeat_age_s=65, summary_epoch=9),
            "beta": SystemSign("beta", has_lease=True, heartbeat_age_s=5),
        }
        assert store.counts == {"LIST": 1}

    def test_foreign_keys_are_skipped(self, registry: SystemRegistry, store: CountingStore) -> None:
        foreign = (
            "alpha/lease/x.json",
            "A/lease/1.json",
            "alpha/lease/01.json",
            "alpha/leases.json",
            "alpha/other/1.json",
            "readme",
        )
        put_foreign(store, *(f"systems/{key}" for key in foreign))

        assert registry.systems() == {}
        assert registry.newest_lease("alpha") is None

    def test_what_shuts_out_old_agents_is_no_agent(
        self, registry: SystemRegistry, store: CountingStore
    ) -> None:
        """It is put before the first lease, so that a client in between finds no agent without a lease."""
        put_foreign(store, keys.old_lease("alpha", keys.LAST_EPOCH))

        assert registry.systems() == {}


class TestLeases:
    def test_the_first_lease_is_put_once(self, registry: SystemRegistry) -> None:
        registry.take_lease("alpha", a_lease(1, nonce="mine"), None)

        with pytest.raises(LeaseLost):
            registry.take_lease("alpha", a_lease(1, nonce="theirs"), None)

        seen = registry.newest_lease("alpha")
        assert seen is not None
        assert seen.lease.nonce == "mine"

    def test_a_lease_is_succeeded_for_one_request(
        self, registry: SystemRegistry, store: CountingStore
    ) -> None:
        registry.take_lease("alpha", a_lease(1), None)
        seen = registry.newest_lease("alpha")
        store.reset()

        registry.take_lease("alpha", a_lease(2), seen)

        assert store.counts == {"PUT": 1}
        assert [listed.key for listed in store.list_page("systems/alpha/lease.json").objects] == [
            keys.lease("alpha")
        ]

    def test_of_two_that_saw_one_lease_one_succeeds_it(self, registry: SystemRegistry) -> None:
        registry.take_lease("alpha", a_lease(1), None)
        seen = registry.newest_lease("alpha")
        registry.take_lease("alpha", a_lease(2, nonce="mine"), seen)

        with pytest.raises(LeaseLost):
            registry.take_lease("alpha", a_lease(2, nonce="theirs"), seen)

    def test_a_write_without_an_answer_has_an_unknown_outcome(
        self, store: CountingStore, ids: SerialIds
    ) -> None:
        registry = BucketSystemRegistry(FaultyStore(store, deque([lost_answer, lost_request])), ids)

        for _ in range(2):
            with pytest.raises(OutcomeUnknown):
                registry.take_lease("alpha", a_lease(1), None)

    def test_a_heartbeat_rewrites_exactly_the_lease_that_it_names(
        self, registry: SystemRegistry, store: CountingStore, store_time: StoreTime
    ) -> None:
        lease = a_lease(1)
        first = registry.take_lease("alpha", lease, None)
        store_time.pass_by(60)
        store.reset()

        second = registry.send_heartbeat("alpha", lease.beaten("second", released=True), first)

        assert store.counts == {"PUT": 1}
        seen = registry.newest_lease("alpha")
        assert seen is not None
        assert (seen.lease, seen.age_s) == (lease.beaten("second", released=True), 0)
        assert seen.etag == second
        with pytest.raises(LeaseLost):
            registry.send_heartbeat("alpha", lease.beaten("third"), first)

    def test_a_heartbeat_never_brings_a_deleted_lease_back(
        self, registry: SystemRegistry, store: CountingStore
    ) -> None:
        etag = registry.take_lease("alpha", a_lease(1), None)
        store.delete([keys.lease("alpha")])

        with pytest.raises(LeaseLost):
            registry.send_heartbeat("alpha", a_lease(1).beaten("second"), etag)

    def test_a_lease_is_read_through_its_sign(self, registry: SystemRegistry, store: CountingStore) -> None:
        registry.take_lease("alpha", a_lease(1), None)
        sign = registry.systems()["alpha"]
        store.reset()

        seen = registry.lease(sign)

        assert seen is not None
        assert seen.lease == a_lease(1)
        assert store.counts == {"GET": 1}

    def test_a_sign_without_a_lease_costs_nothing(
        self, registry: SystemRegistry, store: CountingStore
    ) -> None:
        assert registry.lease(SystemSign("alpha", has_lease=False, heartbeat_age_s=0.0)) is None
        assert store.counts == {}

    @pytest.mark.parametrize("epoch", [0, -1, 10**18 - 1, 10**30])
    def test_an_epoch_that_cannot_be_succeeded_is_rejected(
        self, registry: SystemRegistry, store: CountingStore, epoch: int
    ) -> None:
        store.put(keys.lease("alpha"), encode_lease(a_lease(epoch)))

        with pytest.raises(RecordRejected, match=r"lease\.json is not what cloudq writes there"):
            registry.newest_lease("alpha")


class TestOldLeases:
    def test_the_newest_one_counts_until_there_is_another_kind(
        self, registry: SystemRegistry, store: CountingStore
    ) -> None:
        for epoch in (2, 9, 10):
            an_old_lease(store, epoch)
        seen = registry.newest_lease("alpha")
        assert seen is not None
        assert seen.lease.epoch == 10

        registry.take_lease("alpha", a_lease(11), seen)

        newest = registry.newest_lease("alpha")
        assert newest is not None
        assert newest.lease.epoch == 11
        assert registry.systems()["alpha"].has_lease

    def test_an_old_agent_that_took_another_epoch_is_not_passed_over(
        self, registry: SystemRegistry, store: CountingStore
    ) -> None:
        an_old_lease(store, 10)
        seen = registry.newest_lease("alpha")
        an_old_lease(store, 11)

        with pytest.raises(LeaseLost):
            registry.take_lease("alpha", a_lease(11), seen)

        again = registry.newest_lease("alpha")
        assert again is not None
        assert again.lease.epoch == 11

    def test_a_lease_that_was_put_under_another_epoch_is_rejected(
        self, registry: SystemRegistry, store: CountingStore
    ) -> None:
        store.put(keys.old_lease("alpha", 2), encode_lease(a_lease(1)))

        with pytest.raises(RecordRejected):
            registry.newest_lease("alpha")

    def test_agents_that_take_turns_while_one_is_read_do_not_hide_it(
        self, store: CountingStore, ids: SerialIds
    ) -> None:
        an_old_lease(store, 1)
        turns: list[Callable[[], object]] = [lambda: old_agents_take_turns(store, 4)]
        registry = BucketSystemRegistry(BeforeEachGet(store, turns), ids)

        seen = registry.newest_lease("alpha")

        assert seen is not None
        assert seen.lease.epoch == 4

    def test_agents_that_take_turns_for_ever_are_no_silence(
        self, store: CountingStore, ids: SerialIds
    ) -> None:
        an_old_lease(store, 1)
        turns = [partial(old_agents_take_turns, store, last) for last in range(4, 40, 3)]
        registry = BucketSystemRegistry(BeforeEachGet(store, turns), ids)

        with pytest.raises(StoreUnavailable, match="the agents of alpha take over the lease"):
            registry.newest_lease("alpha")


class TestSummaries:
    def test_a_summary_is_read_through_its_sign(self, registry: SystemRegistry, store: CountingStore) -> None:
        summary = ActiveSummary(3, (ActiveJob("3f7e7681", "run.sh", JobState.RUN, "alpha", progress="1/3"),))
        registry.publish_summary("alpha", ActiveSummary(2))
        registry.publish_summary("alpha", summary)
        sign = registry.systems()["alpha"]
        store.reset()

        assert registry.summary(sign) == summary
        assert store.counts == {"GET": 1}

    def test_a_system_without_one_costs_nothing(self, registry: SystemRegistry, store: CountingStore) -> None:
        assert registry.summary(SystemSign("alpha", True, 0.0)) is None
        assert store.counts == {}

    def test_one_that_went_meanwhile_is_none(self, registry: SystemRegistry) -> None:
        assert registry.summary(SystemSign("alpha", True, 0.0, summary_epoch=4)) is None

    def test_older_epochs_are_told_by_one_list(self, registry: SystemRegistry, store: CountingStore) -> None:
        for epoch in (1, 2, 10):
            registry.publish_summary("alpha", ActiveSummary(epoch))
        store.reset()

        assert sorted(registry.summary_epochs("alpha", below=10)) == [1, 2]
        assert store.counts == {"LIST": 1}

    def test_chosen_summaries_go(self, registry: SystemRegistry) -> None:
        for epoch in (1, 2, 10):
            registry.publish_summary("alpha", ActiveSummary(epoch))

        registry.drop_summaries("alpha", [1, 2])

        assert [
            epoch
            for epoch in range(12)
            if registry.summary(SystemSign("alpha", True, 0.0, summary_epoch=epoch))
        ] == [10]

    def test_one_too_large_to_be_read_is_never_published(self, registry: SystemRegistry) -> None:
        job = ActiveJob("3f7e7681", "run.sh", JobState.INIT, note="x" * 1000)
        registry.publish_summary("alpha", ActiveSummary(1, (job,) * 10_000))

        found = registry.summary(registry.systems()["alpha"])

        assert found is not None
        assert len(found.jobs) == 5_000


class TestAgentLogs:
    def test_a_log_is_published_read_and_deleted(self, registry: SystemRegistry, tmp_path: Path) -> None:
        log = tmp_path / "cloudqd.log"
        log.write_bytes(b"started\n")
        registry.publish_agent_log("alpha", log)

        assert b"".join(registry.agent_log("alpha")) == b"started\n"
        assert registry.delete_agent_log("alpha")
        assert not registry.delete_agent_log("alpha")
        with pytest.raises(NoAgentLog, match="There is no agent log of alpha"):
            b"".join(registry.agent_log("alpha"))
