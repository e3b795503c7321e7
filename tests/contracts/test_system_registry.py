"""`SystemRegistry`: leases, summaries, agent logs; and what each costs (protocol sections 2 and 6)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from attrs import define

from cloudq.adapters.job_repository import BucketSystemRegistry, keys
from cloudq.adapters.object_stores.passing_on import PassingOn
from cloudq.domain.errors import ObjectNotFound, RecordRejected, StoreUnavailable
from cloudq.domain.job_state import JobState
from cloudq.domain.summary import ActiveJob, ActiveSummary
from cloudq.ports.object_store import MAX_CONTROL_BYTES, StoredObject
from cloudq.ports.system_registry import SystemRegistry, SystemSign
from tests.builders import a_lease
from tests.contracts.conftest import StoreTime, put_foreign
from tests.parts.counting_store import CountingStore
from tests.parts.faulty_store import FaultyStore, lost_answer, lost_answer_then_412, lost_request
from tests.parts.serial_ids import SerialIds


@pytest.fixture
def registry(store: CountingStore, ids: SerialIds) -> SystemRegistry:
    return BucketSystemRegistry(store, ids)


@define
class BeforeEachGet(PassingOn):
    """A store on which one of *acts* comes in before each GET."""

    inner: CountingStore
    acts: list[Callable[[], object]]

    def get(self, key: str, *, max_bytes: int = MAX_CONTROL_BYTES) -> StoredObject:
        if self.acts:
            self.acts.pop(0)()
        return self.inner.get(key, max_bytes=max_bytes)


def agents_take_turns(registry: SystemRegistry, last: int) -> None:
    """Three agents, one after the other, of which the *last* is there now."""
    for epoch in range(last - 2, last + 1):
        registry.create_lease("alpha", a_lease(epoch))
        registry.drop_leases_before("alpha", epoch)


class TestSystems:
    def test_one_listing_tells_who_is_there(
        self, registry: SystemRegistry, store: CountingStore, store_time: StoreTime
    ) -> None:
        for epoch in (9, 10):
            registry.create_lease("alpha", a_lease(epoch))
        registry.publish_summary("alpha", ActiveSummary(9))
        store_time.pass_by(60)
        registry.create_lease("beta", a_lease(1))
        store_time.pass_by(5)
        store.reset()

        assert registry.systems() == {
            "alpha": SystemSign("alpha", lease_epoch=10, beat_age_s=65, summary_epoch=9),
            "beta": SystemSign("beta", lease_epoch=1, beat_age_s=5),
        }
        assert store.counts == {"LIST": 1}

    def test_foreign_keys_are_skipped(self, registry: SystemRegistry, store: CountingStore) -> None:
        foreign = (
            "alpha/lease/x.json",
            "A/lease/1.json",
            "alpha/lease/01.json",
            "alpha/other/1.json",
            "readme",
        )
        put_foreign(store, *(f"systems/{key}" for key in foreign))

        assert registry.systems() == {}
        assert registry.newest_epoch("alpha") == 0


class TestLeases:
    def test_an_epoch_is_created_once_for_one_request(
        self, registry: SystemRegistry, store: CountingStore
    ) -> None:
        assert registry.create_lease("alpha", a_lease(1, nonce="mine"))
        assert store.counts == {"PUT": 1}

        assert not registry.create_lease("alpha", a_lease(1, nonce="theirs"))

    @pytest.mark.parametrize("fault", [lost_request, lost_answer, lost_answer_then_412])
    def test_an_epoch_that_we_created_is_ours_whatever_answer_came(
        self, store: CountingStore, ids: SerialIds, fault: object
    ) -> None:
        registry = BucketSystemRegistry(FaultyStore(store, deque([fault])), ids)  # type: ignore[list-item]

        assert registry.create_lease("alpha", a_lease(1))

    def test_a_beat_rewrites_the_epoch(
        self, registry: SystemRegistry, store: CountingStore, store_time: StoreTime
    ) -> None:
        lease = a_lease(1)
        registry.create_lease("alpha", lease)
        store_time.pass_by(60)
        store.reset()

        registry.beat("alpha", lease.beaten("second", released=True))

        assert store.counts == {"PUT": 1}
        seen = registry.newest_lease("alpha")
        assert seen is not None
        assert seen.lease == lease.beaten("second", released=True)
        assert seen.age_s == 0

    def test_where_no_agent_ever_was_there_is_no_beat(self, registry: SystemRegistry) -> None:
        assert registry.newest_lease("alpha") is None

    def test_a_beat_is_read_through_its_sign(self, registry: SystemRegistry, store: CountingStore) -> None:
        registry.create_lease("alpha", a_lease(1))
        sign = registry.systems()["alpha"]
        store.reset()

        seen = registry.lease(sign)

        assert seen is not None
        assert seen.lease == a_lease(1)
        assert store.counts == {"GET": 1}

    def test_a_sign_without_a_lease_costs_nothing(
        self, registry: SystemRegistry, store: CountingStore
    ) -> None:
        assert registry.lease(SystemSign("alpha", lease_epoch=0, beat_age_s=0.0)) is None
        assert store.counts == {}

    def test_a_beat_that_was_deleted_since_its_sign_was_seen_has_a_follower(
        self, registry: SystemRegistry
    ) -> None:
        registry.create_lease("alpha", a_lease(1))
        sign = registry.systems()["alpha"]
        agents_take_turns(registry, 4)

        seen = registry.lease(sign)

        assert seen is not None
        assert seen.lease.epoch == 4

    def test_agents_that_take_turns_while_a_beat_is_read_do_not_hide_it(
        self, store: CountingStore, ids: SerialIds
    ) -> None:
        plain = BucketSystemRegistry(store, ids)
        plain.create_lease("alpha", a_lease(1))
        registry = BucketSystemRegistry(BeforeEachGet(store, [lambda: agents_take_turns(plain, 4)]), ids)

        seen = registry.newest_lease("alpha")

        assert seen is not None
        assert seen.lease.epoch == 4

    def test_agents_that_take_turns_for_ever_are_no_silence(
        self, store: CountingStore, ids: SerialIds
    ) -> None:
        plain = BucketSystemRegistry(store, ids)
        plain.create_lease("alpha", a_lease(1))
        turns = [partial(agents_take_turns, plain, last) for last in range(4, 40, 3)]
        registry = BucketSystemRegistry(BeforeEachGet(store, turns), ids)

        with pytest.raises(StoreUnavailable, match="the agents of alpha take turns"):
            registry.newest_lease("alpha")

    def test_a_lease_that_was_put_under_another_epoch_is_rejected(
        self, registry: SystemRegistry, store: CountingStore
    ) -> None:
        registry.create_lease("alpha", a_lease(1))
        store.put(keys.lease("alpha", 2), store.get(keys.lease("alpha", 1)).body)

        with pytest.raises(RecordRejected):
            registry.newest_lease("alpha")

    def test_the_newest_epoch_is_the_highest_number(self, registry: SystemRegistry) -> None:
        for epoch in (1, 2, 10):
            registry.create_lease("alpha", a_lease(epoch))

        assert registry.newest_epoch("alpha") == 10

    def test_of_the_older_epochs_the_newest_stays(
        self, registry: SystemRegistry, store: CountingStore
    ) -> None:
        for epoch in (1, 2, 9, 10, 11):
            registry.create_lease("alpha", a_lease(epoch))

        registry.drop_leases_before("alpha", 10)

        assert {found.key for found in store.list_page(keys.leases("alpha")).objects} == {
            keys.lease("alpha", epoch) for epoch in (9, 10, 11)
        }


class TestSummaries:
    def test_a_summary_is_read_through_its_sign(self, registry: SystemRegistry, store: CountingStore) -> None:
        summary = ActiveSummary(3, (ActiveJob("3f7e7681", "run.sh", JobState.RUN, "alpha"),))
        registry.publish_summary("alpha", ActiveSummary(2))
        registry.publish_summary("alpha", summary)
        sign = registry.systems()["alpha"]
        store.reset()

        assert registry.summary(sign) == summary
        assert store.counts == {"GET": 1}

    def test_a_system_without_one_costs_nothing(self, registry: SystemRegistry, store: CountingStore) -> None:
        assert registry.summary(SystemSign("alpha", 1, 0.0)) is None
        assert store.counts == {}

    def test_one_that_went_meanwhile_is_none(self, registry: SystemRegistry) -> None:
        assert registry.summary(SystemSign("alpha", 1, 0.0, summary_epoch=4)) is None

    def test_older_summaries_go(self, registry: SystemRegistry) -> None:
        for epoch in (1, 2, 10):
            registry.publish_summary("alpha", ActiveSummary(epoch))

        registry.drop_summaries_before("alpha", 10)

        assert [
            epoch for epoch in range(12) if registry.summary(SystemSign("alpha", 1, 0.0, summary_epoch=epoch))
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
        with pytest.raises(ObjectNotFound):
            b"".join(registry.agent_log("alpha"))
