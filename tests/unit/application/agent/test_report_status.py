"""Whether an agent acts for a system, as its lease and its own machine show it."""

from __future__ import annotations

import pytest
from attrs import define, evolve

from cloudq.adapters.job_repository import BucketSystemRegistry
from cloudq.application.agent.report_status import Presence, ReportStatus
from cloudq.domain.errors import StoreUnavailable
from cloudq.domain.jobs.lease import Lease, ProcessIdentity
from tests.builders import a_lease, a_process
from tests.parts.faulty_store import FaultyStore
from tests.parts.world import World


@define
class Here:
    """The agent's process on this machine, and the problem that it noted."""

    process: ProcessIdentity | None = None
    trouble: str = ""

    def running(self) -> ProcessIdentity | None:
        return self.process

    def noted_trouble(self) -> str:
        return self.trouble


def report(world: World, here: Here, doubt: str = "") -> ReportStatus:
    return ReportStatus(BucketSystemRegistry(world.store, world.ids), "alpha", here, lambda: doubt)


def write(world: World, lease: Lease) -> None:
    BucketSystemRegistry(world.store, world.ids).take_lease("alpha", lease, None)


OTHER = evolve(a_process(), pid=17)


@pytest.mark.parametrize(
    ("here", "released", "age_s", "presence"),
    [
        (a_process(), False, 0, Presence.HERE),
        (OTHER, False, 0, Presence.ELSEWHERE),
        (None, False, 0, Presence.ELSEWHERE),
        (a_process(), False, 3600, Presence.AWAY),
        (a_process(), True, 0, Presence.STOPPED),
    ],
)
def test_presence_follows_from_lease_and_process(
    world: World, here: ProcessIdentity | None, released: bool, age_s: float, presence: Presence
) -> None:
    write(world, a_lease(released=released))
    world.clock.pass_by(age_s)

    assert report(world, Here(here))().presence is presence


def test_a_system_without_lease_never_had_an_agent(world: World) -> None:
    status = report(world, Here())()

    assert status.presence is Presence.NEVER
    assert not status.presence.is_acting


def test_trouble_here_comes_before_doubt_and_lease(world: World) -> None:
    write(world, a_lease(last_error="the queue is full"))

    assert report(world, Here())().last_error == "the queue is full"
    assert report(world, Here(), "the bucket is old")().last_error == "the bucket is old"
    assert report(world, Here(OTHER, "no access"), "the bucket is old")().last_error == "no access"


def test_trouble_of_an_agent_that_is_gone_is_old(world: World) -> None:
    assert report(world, Here(None, "no access"))().last_error == ""


def test_a_store_failure_carries_the_trouble_of_the_agent(world: World) -> None:
    write(world, a_lease())
    world.store = FaultyStore(world.store, get_fault=StoreUnavailable("no answer"))

    with pytest.raises(StoreUnavailable) as failure:
        report(world, Here(OTHER, "no access"))()

    assert failure.value.__notes__ == ["The agent that runs here has trouble: no access"]
