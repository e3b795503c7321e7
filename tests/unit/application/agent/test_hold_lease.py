"""The choice of the process that acts for a system (protocol section 6)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from copy import deepcopy

import pytest
from attrs import define, field

from cloudq.adapters.codec import decode_lease, encode_lease
from cloudq.adapters.job_repository import BucketSystemRegistry
from cloudq.adapters.object_stores.wrappers.dated import DatedStore
from cloudq.application.agent.hold_lease import AgentIdentity, HoldLease, LeaseWait
from cloudq.domain.errors import LeaseLost, NewerFormat, OutcomeUnknown
from cloudq.domain.jobs.lease import Lease, LeaseNotes, Offer, ProcessIdentity
from cloudq.ports.system_registry import SeenLease
from cloudq.testing.fake_clock import FakeClock
from cloudq.testing.memory_store import MemoryStore
from tests.builders import a_lease, a_process
from tests.parts.faulty_store import Fault, FaultyStore, lost_answer, lost_answer_then_412, lost_request
from tests.parts.remembered_lease import RememberedLease
from tests.parts.serial_ids import SerialIds

TIME_TO_LIVE_S = 180.0
LEASE = "systems/alpha/lease.json"
OTHER_HOST = a_process(host="login2", boot_id="boot-2")


@define
class Site:
    """A system with login nodes, and processes that may act for it."""

    clock: FakeClock = field(factory=FakeClock)
    ids: SerialIds = field(factory=SerialIds)
    gone: set[int] = field(factory=set)
    home: RememberedLease = field(factory=RememberedLease)
    faults: deque[Fault] = field(factory=deque)
    """The faults of the next guarded writes of any agent."""
    store: MemoryStore = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.store = MemoryStore(self.clock.now)

    @property
    def registry(self) -> BucketSystemRegistry:
        return BucketSystemRegistry(self.store, self.ids)

    def agent(
        self,
        process: ProcessIdentity,
        *,
        one_shot: bool = False,
        home: RememberedLease | None = None,
        home_id: str = "a home",
        clock: FakeClock | None = None,
    ) -> HoldLease:
        clock = clock or self.clock
        store = DatedStore(FaultyStore(self.store, self.faults), clock)
        return HoldLease(
            registry=BucketSystemRegistry(store, self.ids),
            clock=clock,
            store_time=store,
            ids=self.ids,
            identity=AgentIdentity("alpha", process, "2.0.0", "local", Offer("local")),
            home=lambda: home_id,
            memory=home or self.home,
            is_process_gone=lambda other: other.pid in self.gone,
            one_shot=one_shot,
        )

    def lease(self) -> Lease:
        seen = self.registry.newest_lease("alpha")
        assert seen is not None
        return seen.lease


def wait_until_acquired(agent: HoldLease, clock: FakeClock, longest_s: float) -> float | None:
    """Try every 20 s and return the seconds it took, or None if the agent never got the lease."""
    began = clock.elapsed()
    while clock.elapsed() - began <= longest_s:
        if agent.acquire() is None:
            return clock.elapsed() - began
        clock.pass_by(20)
    return None


def test_the_first_agent_of_a_system_holds_epoch_1() -> None:
    agent = Site().agent(a_process())

    assert agent.acquire() is None
    assert agent.epoch == 1
    assert agent.may_write()


def test_a_second_agent_is_told_who_holds_the_lease() -> None:
    site = Site()
    site.agent(a_process()).acquire()

    waiting = site.agent(OTHER_HOST).acquire()

    assert isinstance(waiting, LeaseWait)
    assert waiting.holder.process == a_process()


def test_a_waiter_succeeds_a_silent_holder_only_after_a_whole_time_to_live() -> None:
    site = Site()
    site.agent(a_process()).acquire()

    took = wait_until_acquired(site.agent(OTHER_HOST), site.clock, 1000)

    assert took is not None
    assert TIME_TO_LIVE_S <= took <= TIME_TO_LIVE_S + 20


def test_a_waiter_never_succeeds_a_holder_that_beats() -> None:
    site = Site()
    holder, waiter = site.agent(a_process()), site.agent(OTHER_HOST)
    holder.acquire()
    for _ in range(100):
        site.clock.pass_by(20)
        holder.send_heartbeat_if_due()

        assert waiter.acquire() is not None
    assert holder.may_write()


def test_a_new_agent_on_the_same_host_succeeds_a_process_that_is_gone_at_once() -> None:
    site = Site()
    site.agent(a_process(pid=100)).acquire()
    site.gone.add(100)
    successor = site.agent(a_process(pid=200))

    assert successor.acquire() is None
    assert successor.epoch == 2


def test_a_process_of_another_container_is_never_taken_for_gone() -> None:
    site = Site()
    site.agent(a_process(pid=100)).acquire()
    site.gone.add(100)

    assert site.agent(a_process(pid=200, pid_namespace="ns-2")).acquire() is not None


def test_a_lease_that_was_given_back_is_taken_at_once() -> None:
    site = Site()
    holder = site.agent(a_process())
    holder.acquire()
    holder.release()

    assert not holder.may_write()
    assert site.agent(OTHER_HOST).acquire() is None


def test_a_holder_writes_nothing_from_half_its_time_to_live_on() -> None:
    site = Site()
    holder = site.agent(a_process())
    holder.acquire()
    site.clock.pass_by(TIME_TO_LIVE_S / 2 - 1)
    assert holder.may_write()

    site.clock.pass_by(1)

    assert not holder.may_write()


def test_a_beat_before_the_lease_lapsed_lets_the_holder_write_again() -> None:
    site = Site()
    holder = site.agent(a_process())
    holder.acquire()
    site.clock.pass_by(TIME_TO_LIVE_S * 0.7)

    holder.send_heartbeat()

    assert holder.may_write()


def test_a_lapsed_epoch_is_never_resumed() -> None:
    site = Site()
    holder = site.agent(a_process())
    holder.acquire()
    site.clock.pass_by(TIME_TO_LIVE_S)

    holder.send_heartbeat()

    assert not holder.may_write()
    assert holder.is_lapsed()


def test_of_two_that_create_an_epoch_at_once_one_loses() -> None:
    site = Site()
    agents = [site.agent(a_process(pid=pid, host=f"login{pid}")) for pid in (1, 2, 3)]

    held = [agent for agent in agents if agent.acquire() is None]

    assert held == agents[:1]


def test_all_epochs_share_one_object() -> None:
    site = Site()
    for _ in range(5):
        holder = site.agent(a_process())
        holder.acquire()
        holder.release()

    assert site.lease().epoch == 5
    assert [key for key in site.store.snapshot() if "/lease/" not in key] == ["systems/alpha/lease.json"]


def test_a_one_shot_run_judges_by_the_stores_clock() -> None:
    site = Site()
    site.agent(a_process()).acquire()
    site.clock.pass_by(2 * TIME_TO_LIVE_S)
    assert site.agent(OTHER_HOST, one_shot=True).acquire() is not None

    site.clock.pass_by(1)

    assert site.agent(OTHER_HOST, one_shot=True).acquire() is None


def test_what_is_held_counts_from_before_the_beat_was_sent() -> None:
    site = Site()
    holder = site.agent(a_process())
    holder.acquire()
    holder.registry = _SlowRegistry(site.registry, site.clock, slow_s=TIME_TO_LIVE_S / 2)

    holder.send_heartbeat()

    assert not holder.may_write()


class _SlowRegistry(BucketSystemRegistry):
    """A registry whose store answers a heartbeat late."""

    def __init__(self, inner: BucketSystemRegistry, clock: FakeClock, slow_s: float) -> None:
        super().__init__(inner.store, inner.ids)
        object.__setattr__(self, "wait", lambda: clock.pass_by(slow_s))

    def send_heartbeat(self, system: str, lease: Lease, etag: str) -> str:
        etag = super().send_heartbeat(system, lease, etag)
        self.wait()  # type: ignore[attr-defined]
        return etag


def test_a_waiter_begins_anew_when_it_saw_another_beat() -> None:
    site = Site()
    holder, waiter = site.agent(a_process()), site.agent(OTHER_HOST)
    holder.acquire()
    waiter.acquire()
    site.clock.pass_by(TIME_TO_LIVE_S - 1)
    holder.send_heartbeat()
    site.clock.pass_by(2)

    assert waiter.acquire() is not None


def test_a_beat_that_is_confirmed_after_the_lease_lapsed_does_not_bring_it_back() -> None:
    site = Site()
    holder, waiter = site.agent(a_process()), site.agent(OTHER_HOST)
    holder.acquire()
    waiter.acquire()
    site.clock.pass_by(TIME_TO_LIVE_S - 5)
    slow = SlowBeats(holder.registry, lambda: wait_until_acquired(waiter, site.clock, 20))
    holder.registry = slow  # type: ignore[assignment]

    with pytest.raises(LeaseLost):
        holder.send_heartbeat()

    assert waiter.may_write()
    assert not holder.may_write()


@define
class SlowBeats:
    """A registry that runs an action before each heartbeat, which therefore arrives late."""

    inner: BucketSystemRegistry
    before: Callable[[], object]

    def send_heartbeat(self, system: str, lease: Lease, etag: str) -> str:
        self.before()
        return self.inner.send_heartbeat(system, lease, etag)


def test_a_waiter_that_is_held_up_after_its_look_does_not_take_an_old_beat_for_the_newest() -> None:
    site = Site()
    holder, waiter = site.agent(a_process()), site.agent(OTHER_HOST)
    holder.acquire()
    waiter.acquire()

    def send_heartbeats_for_a_while() -> None:
        for _ in range(4):
            site.clock.pass_by(60)
            holder.send_heartbeat()

    waiter.registry = SlowAnswers(waiter.registry, send_heartbeats_for_a_while)  # type: ignore[assignment]

    assert waiter.acquire() is not None
    assert holder.may_write()


@define
class SlowAnswers:
    """A registry that runs an action after each read, so that its answers are old on arrival."""

    inner: BucketSystemRegistry
    after: Callable[[], object]

    def take_lease(self, system: str, lease: Lease, predecessor: SeenLease | None) -> str:
        return self.inner.take_lease(system, lease, predecessor)

    def newest_lease(self, system: str) -> SeenLease | None:
        seen = self.inner.newest_lease(system)
        self.after()
        return seen


# Conditional heartbeats ------------------------------------------------------------------------


def succeeded(site: Site) -> tuple[HoldLease, HoldLease]:
    """A holder that was silent for a whole time to live without noticing, and its successor."""
    stopped = FakeClock()
    holder, successor = site.agent(a_process(), clock=stopped), site.agent(OTHER_HOST)
    holder.acquire()
    assert wait_until_acquired(successor, site.clock, 300) is not None
    return holder, successor


def test_a_holder_whose_clock_stood_still_steps_down_at_its_next_heartbeat() -> None:
    holder, successor = succeeded(Site())
    assert holder.may_write()

    with pytest.raises(LeaseLost):
        holder.send_heartbeat()

    assert not holder.may_write()
    assert holder.is_lapsed()
    successor.send_heartbeat()
    assert successor.may_write()


def test_what_is_to_act_is_refused_once_another_holds_the_lease() -> None:
    holder, _ = succeeded(Site())
    holder.begin_cycle()

    with pytest.raises(LeaseLost):
        holder.confirm()


def test_a_cycle_that_acts_sends_one_heartbeat_however_often_it_acts() -> None:
    site = Site()
    holder = site.agent(a_process())
    holder.acquire()
    holder.begin_cycle()
    nonces = {site.lease().nonce}
    for _ in range(3):
        holder.confirm()
        nonces.add(site.lease().nonce)

    assert len(nonces) == 2


def test_a_deleted_lease_is_lost_and_taken_anew() -> None:
    site = Site()
    holder = site.agent(a_process())
    holder.acquire()
    site.store.delete(["systems/alpha/lease.json"])

    with pytest.raises(LeaseLost):
        holder.send_heartbeat()

    assert holder.acquire() is None
    assert holder.epoch == 2


def test_a_heartbeat_whose_answer_was_lost_is_found_in_the_store() -> None:
    site = Site()
    holder = site.agent(a_process())
    holder.acquire()
    site.clock.pass_by(80)
    site.faults.append(lost_answer)

    holder.send_heartbeat()
    holder.send_heartbeat()

    site.clock.pass_by(80)
    assert holder.may_write()


def test_a_heartbeat_that_was_not_carried_out_is_sent_again() -> None:
    site = Site()
    holder = site.agent(a_process())
    holder.acquire()
    site.faults.append(lost_request)

    with pytest.raises(OutcomeUnknown):
        holder.send_heartbeat()
    holder.send_heartbeat()

    assert holder.may_write()
    assert site.lease().epoch == 1


def test_a_late_heartbeat_of_ones_own_is_found_when_the_next_is_refused() -> None:
    site = Site()
    holder = site.agent(a_process())
    holder.acquire()
    before = site.store.get("systems/alpha/lease.json")
    site.faults.append(lost_request)
    with pytest.raises(OutcomeUnknown):
        holder.send_heartbeat()
    late = holder._held.unanswered[0].lease  # type: ignore[union-attr]
    site.registry.send_heartbeat("alpha", late, before.etag)

    holder.send_heartbeat()
    holder.send_heartbeat()

    assert holder.may_write()


# Copies of an agent ----------------------------------------------------------------------------


def cloned(site: Site) -> tuple[HoldLease, HoldLease]:
    """A holder and a copy of its machine with memory and home: the same boot, process and future nonces."""
    home = RememberedLease()
    original = site.agent(a_process(), home=home)
    original.acquire()
    copy = site.agent(a_process(), home=deepcopy(home))
    for name in ("_held", "_own"):
        setattr(copy, name, getattr(original, name))
    return original, copy


def test_of_two_copies_of_an_agent_one_goes_on_and_the_other_waits() -> None:
    site = Site()
    original, copy = cloned(site)
    original.send_heartbeat()

    with pytest.raises(LeaseLost):
        copy.send_heartbeat()
    epochs = set()
    for _ in range(40):
        original.send_heartbeat_if_due()
        assert copy.acquire() is not None
        epochs.add(original.epoch)
        site.clock.pass_by(20)

    assert epochs == {1}


def test_copies_that_draw_the_same_nonces_do_not_share_an_epoch() -> None:
    site = Site()
    original, copy = cloned(site)
    original.ids, copy.ids = SerialIds(900), SerialIds(900)
    original.send_heartbeat()

    with pytest.raises(LeaseLost):
        copy.send_heartbeat()

    assert copy.acquire() is not None
    original.send_heartbeat()
    assert original.may_write()


def test_a_process_that_is_gone_is_waited_for_if_another_home_wrote() -> None:
    site = Site()
    site.agent(a_process(pid=100), home=RememberedLease()).acquire()
    site.gone.add(100)

    assert site.agent(a_process(pid=200)).acquire() is not None


def test_the_same_process_takes_the_next_epoch_after_its_own_lapsed() -> None:
    site = Site()
    holder = site.agent(a_process())
    holder.acquire()
    site.clock.pass_by(TIME_TO_LIVE_S)

    assert holder.acquire() is None
    assert holder.epoch == 2


def test_who_succeeds_a_home_with_the_id_of_its_own_is_in_doubt() -> None:
    site = Site()
    original, copy = cloned(site)
    original.send_heartbeat()

    assert wait_until_acquired(copy, site.clock, 300) is not None

    assert copy.epoch == 2
    assert "one of the two is a copy" in copy.doubt()
    assert original.doubt() == ""


def test_who_succeeds_an_agent_of_the_same_shared_home_is_in_no_doubt() -> None:
    site = Site()
    site.agent(a_process()).acquire()
    successor = site.agent(OTHER_HOST)

    assert wait_until_acquired(successor, site.clock, 300) is not None
    assert successor.doubt() == ""


def test_a_lease_given_back_by_a_home_with_the_id_of_ones_own_is_waited_for() -> None:
    site = Site()
    original, copy = cloned(site)
    original.release()

    took = wait_until_acquired(copy, site.clock, 300)

    assert took is not None
    assert took >= TIME_TO_LIVE_S
    assert "one of the two is a copy" in copy.doubt()


def test_a_lease_given_back_elsewhere_counts_once_the_home_shows_its_nonce() -> None:
    site, shown_late = Site(), RememberedLease()
    holder = site.agent(a_process())
    holder.acquire()
    holder.release()
    successor = site.agent(OTHER_HOST, home=shown_late)
    assert successor.acquire() is not None
    shown_late.kept = site.home.kept

    assert successor.acquire() is None
    assert successor.doubt() == ""


def test_a_heartbeat_that_was_written_and_refused_all_the_same_raises_no_doubt() -> None:
    site = Site()
    holder = site.agent(a_process())
    holder.acquire()
    site.faults.append(lost_answer_then_412)
    with pytest.raises(LeaseLost):
        holder.send_heartbeat()

    took = wait_until_acquired(holder, site.clock, 300)

    assert took is not None
    assert took >= TIME_TO_LIVE_S
    assert holder.doubt() == ""


def test_a_home_on_a_full_disk_is_not_taken_for_a_copy_of_itself() -> None:
    site = Site()
    holder = site.agent(a_process())
    holder.acquire()
    site.home.is_full = True
    site.clock.pass_by(60)
    holder.send_heartbeat()
    site.home.is_full = False
    successor = site.agent(OTHER_HOST)

    assert wait_until_acquired(successor, site.clock, 300) is not None
    assert successor.doubt() == ""


# Clocks that stopped ---------------------------------------------------------------------------


def test_time_that_only_the_store_saw_lets_the_lease_lapse() -> None:
    site, own = Site(), FakeClock()
    holder = site.agent(a_process(), clock=own)
    holder.acquire()
    site.clock.pass_by(TIME_TO_LIVE_S / 2 + 20)
    holder.registry.newest_lease("alpha")
    assert not holder.may_write()
    assert not holder.is_lapsed()

    site.clock.pass_by(TIME_TO_LIVE_S / 2)
    holder.registry.newest_lease("alpha")

    assert holder.is_lapsed()


def test_clocks_of_front_ends_that_differ_a_little_are_no_pause() -> None:
    site, own = Site(), FakeClock()
    holder = site.agent(a_process(), clock=own)
    holder.acquire()
    site.clock.pass_by(14)
    holder.registry.newest_lease("alpha")
    own.pass_by(TIME_TO_LIVE_S / 2 - 1)

    assert holder.may_write()


# A bucket that went back in time ---------------------------------------------------------------


@pytest.mark.parametrize("left", [0, 2])
def test_a_lease_older_than_remembered_puts_the_home_in_doubt(left: int) -> None:
    site = Site()
    site.home.kept = LeaseNotes(epoch=5)
    if left:
        site.registry.take_lease("alpha", a_lease(left, released=True), None)
    agent = site.agent(a_process())

    assert agent.acquire() is None
    assert agent.epoch == 6
    assert "until you check the bucket and confirm this home" in agent.doubt()


def test_a_faster_process_of_the_same_home_is_no_reason_for_doubt() -> None:
    site = Site()
    agent, faster = site.agent(a_process()), site.agent(OTHER_HOST)

    waiting = agent.acquire(faster.acquire)

    assert waiting is not None
    assert agent.doubt() == ""


def test_a_lease_that_others_held_since_is_no_reason_for_doubt() -> None:
    site = Site()
    site.home.kept = LeaseNotes(epoch=5)
    site.registry.take_lease("alpha", a_lease(9, released=True), None)
    agent = site.agent(a_process())

    assert agent.acquire() is None
    assert agent.doubt() == ""


def test_an_older_heartbeat_of_the_epoch_that_was_held_puts_the_home_in_doubt() -> None:
    site = Site()
    holder = site.agent(a_process())
    holder.acquire()
    kept = site.store.get(LEASE).body
    site.clock.pass_by(60)
    holder.send_heartbeat()
    site.store.put(LEASE, kept)
    site.clock.pass_by(TIME_TO_LIVE_S)

    assert holder.acquire() is None
    assert "is older than the last one that this home wrote" in holder.doubt()


def test_a_beat_that_follows_an_older_one_than_a_twin_wrote_raises_doubt() -> None:
    site, home = Site(), RememberedLease()
    original = site.agent(a_process(), home=home)
    original.acquire()
    twin = site.agent(a_process(), home=home)  # the host was copied, the home is on a shared disk
    twin._held, twin._own = original._held, original._own
    kept = site.store.get(LEASE).body
    twin.send_heartbeat()
    site.store.put(LEASE, kept)

    original.send_heartbeat()

    assert original.may_write()
    assert "is older than the last one that this home wrote" in original.doubt()


def test_a_heartbeat_without_an_answer_is_no_reason_for_doubt() -> None:
    site = Site()
    holder = site.agent(a_process())
    holder.acquire()
    site.faults.append(lost_request)
    with pytest.raises(OutcomeUnknown):
        holder.send_heartbeat()
    site.clock.pass_by(TIME_TO_LIVE_S)

    assert holder.acquire() is None
    assert holder.doubt() == ""


def test_another_home_in_an_epoch_that_was_held_here_shows_a_bucket_that_went_back() -> None:
    site = Site()
    site.home.kept = LeaseNotes(epoch=5)
    site.registry.take_lease("alpha", a_lease(5, home="another home", released=True), None)
    agent = site.agent(a_process())

    assert agent.acquire() is None
    assert "until you check the bucket and confirm this home" in agent.doubt()


def test_a_second_home_learns_from_the_lease_that_the_bucket_went_back() -> None:
    site, other_home = Site(), RememberedLease()
    site.home.kept = LeaseNotes(epoch=5)
    first = site.agent(a_process())
    first.acquire()
    first.release()
    second = site.agent(OTHER_HOST, home=other_home, home_id="another home")

    assert second.acquire() is None
    assert "on login1, found no lease in the bucket, or an older one" in second.doubt()
    assert second.doubt().endswith("confirm this home")


def test_a_person_settles_each_doubt_once_a_home() -> None:
    site, other_home = Site(), RememberedLease()
    site.home.kept = LeaseNotes(epoch=5)
    first = site.agent(a_process())
    second = site.agent(OTHER_HOST, home=other_home, home_id="another home")
    for agent in (first, second):
        agent.acquire()
        agent.release()
    for home in (site.home, other_home):
        home.kept, home.doubts = home.kept.after_confirmation(site.lease()), ""

    for agent in (first, second, first):
        assert agent.acquire() is None
        assert agent.doubt() == ""
        agent.release()


# Agents of cloudq 2.0 --------------------------------------------------------------------------


def an_old_agent(site: Site, epoch: int, **about: object) -> None:
    site.store.put(f"systems/alpha/lease/{epoch}.json", encode_lease(a_lease(epoch, **about)))


def test_an_old_agent_that_is_silent_is_succeeded_after_a_whole_time_to_live() -> None:
    site = Site()
    an_old_agent(site, 7)
    successor = site.agent(OTHER_HOST)

    took = wait_until_acquired(successor, site.clock, 1000)

    assert took is not None
    assert took >= TIME_TO_LIVE_S
    assert successor.epoch == 8


def test_an_old_agent_that_starts_later_finds_a_lease_that_it_cannot_read() -> None:
    site = Site()
    an_old_agent(site, 7, released=True)
    site.agent(OTHER_HOST).acquire()
    newest = max(
        int(key.removesuffix(".json").rpartition("/")[2]) for key in site.store.snapshot() if "/lease/" in key
    )
    key = f"systems/alpha/lease/{newest}.json"

    with pytest.raises(NewerFormat, match=r"has format 2\.0, which a newer cloudq wrote"):
        decode_lease(site.store.get(key).body, key, newest)


def test_an_old_agent_that_was_first_is_waited_for() -> None:
    site = Site()
    an_old_agent(site, 7, released=True)
    successor = site.agent(OTHER_HOST)
    put = site.store.put

    def put_beside(key: str, body: bytes) -> str:
        put("systems/alpha/lease/8.json", encode_lease(a_lease(8)))
        return put(key, body)

    site.store.put = put_beside  # type: ignore[method-assign]

    waiting = successor.acquire()

    assert waiting is not None
    assert waiting.holder.epoch == 8
