"""Which process acts for a system (protocol section 6)."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field

from cloudq.adapters.job_repository import BucketSystemRegistry
from cloudq.adapters.object_stores.memory import MemoryStore
from cloudq.application.hold_lease import AgentIdentity, HoldLease, LeaseWait
from cloudq.domain.lease import Lease, Offer, ProcessIdentity
from cloudq.ports.system_registry import SeenLease
from tests.builders import a_process
from tests.parts.fake_clock import FakeClock
from tests.parts.serial_ids import SerialIds

TIME_TO_LIVE_S = 180.0
OTHER_HOST = a_process(host="login2", boot_id="boot-2")


@define
class Site:
    """A system with login nodes, and processes that may act for it."""

    clock: FakeClock = field(factory=FakeClock)
    ids: SerialIds = field(factory=SerialIds)
    gone: set[int] = field(factory=set)
    store: MemoryStore = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.store = MemoryStore(self.clock.now)

    @property
    def registry(self) -> BucketSystemRegistry:
        return BucketSystemRegistry(self.store, self.ids)

    def agent(self, process: ProcessIdentity, *, one_shot: bool = False) -> HoldLease:
        return HoldLease(
            registry=self.registry,
            clock=self.clock,
            ids=self.ids,
            identity=AgentIdentity("alpha", process, "2.0.0", "local", Offer("local")),
            is_process_gone=lambda other: other.pid in self.gone,
            one_shot=one_shot,
        )

    def epochs(self) -> list[int]:
        page = self.store.list_page("systems/alpha/lease/")
        return [int(listed.key.split("/")[-1].removesuffix(".json")) for listed in page.objects]


def wait_until_acquired(agent: HoldLease, clock: FakeClock, longest_s: float) -> float | None:
    """Try every 20 s; the seconds it took, None if it never got the lease."""
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
        holder.beat_if_due()

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

    holder.beat()

    assert holder.may_write()


def test_a_lapsed_epoch_is_never_resumed() -> None:
    site = Site()
    holder = site.agent(a_process())
    holder.acquire()
    site.clock.pass_by(TIME_TO_LIVE_S)

    holder.beat()

    assert not holder.may_write()
    assert holder.is_lapsed()


def test_of_two_that_create_an_epoch_at_once_one_loses() -> None:
    site = Site()
    agents = [site.agent(a_process(pid=pid, host=f"login{pid}")) for pid in (1, 2, 3)]

    held = [agent for agent in agents if agent.acquire() is None]

    assert held == agents[:1]


def test_all_older_epochs_but_one_are_deleted() -> None:
    site = Site()
    for _ in range(5):
        holder = site.agent(a_process())
        holder.acquire()
        holder.release()

    assert site.epochs() == [4, 5]


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

    holder.beat()

    assert not holder.may_write()


class _SlowRegistry(BucketSystemRegistry):
    """A store whose answer to a beat takes long."""

    def __init__(self, inner: BucketSystemRegistry, clock: FakeClock, slow_s: float) -> None:
        super().__init__(inner.store, inner.ids)
        object.__setattr__(self, "wait", lambda: clock.pass_by(slow_s))

    def beat(self, system: str, lease: object) -> None:
        super().beat(system, lease)  # type: ignore[arg-type]
        self.wait()  # type: ignore[attr-defined]


def test_a_waiter_begins_anew_when_it_saw_another_beat() -> None:
    site = Site()
    holder, waiter = site.agent(a_process()), site.agent(OTHER_HOST)
    holder.acquire()
    waiter.acquire()
    site.clock.pass_by(TIME_TO_LIVE_S - 1)
    holder.beat()
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

    holder.beat()

    assert waiter.may_write()
    assert not holder.may_write()


@define
class SlowBeats:
    """A registry whose beats arrive late: something happens before."""

    inner: BucketSystemRegistry
    before: Callable[[], object]

    def beat(self, system: str, lease: Lease) -> None:
        self.before()
        self.inner.beat(system, lease)


def test_a_waiter_that_is_held_up_after_its_look_does_not_take_an_old_beat_for_the_newest() -> None:
    site = Site()
    holder, waiter = site.agent(a_process()), site.agent(OTHER_HOST)
    holder.acquire()
    waiter.acquire()

    def beat_for_a_while() -> None:
        for _ in range(4):
            site.clock.pass_by(60)
            holder.beat()

    waiter.registry = SlowAnswers(waiter.registry, beat_for_a_while)  # type: ignore[assignment]

    assert waiter.acquire() is not None
    assert holder.may_write()


@define
class SlowAnswers:
    """A registry whose answers are old when they come."""

    inner: BucketSystemRegistry
    after: Callable[[], object]

    def newest_epoch(self, system: str) -> int:
        return self.inner.newest_epoch(system)

    def create_lease(self, system: str, lease: Lease) -> bool:
        return self.inner.create_lease(system, lease)

    def drop_leases_before(self, system: str, epoch: int) -> None:
        self.inner.drop_leases_before(system, epoch)

    def newest_lease(self, system: str) -> SeenLease | None:
        seen = self.inner.newest_lease(system)
        self.after()
        return seen
