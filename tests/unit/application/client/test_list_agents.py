"""The state of agents, from their last reports."""

from __future__ import annotations

from cloudq.application.shared.list_agents import AgentReport
from cloudq.domain.jobs.lease import AgentState
from cloudq.domain.version import VERSION
from tests.builders import NOON, at
from tests.parts.counting_store import CountingStore
from tests.parts.scripted_scheduler import Script
from tests.parts.world import World

LONG = Script(duration_s=30_000)


def of(world: World, system: str) -> AgentReport:
    [report] = [each for each in world.client().list_agents() if each.system == system]
    return report


def test_an_agent_that_reports_is_alive_since_it_took_its_lease(world: World) -> None:
    agent = world.agent(world.system("alpha", behaviour=lambda *_: LONG))
    world.submit("alpha")
    agent.cycles(14)
    report = of(world, "alpha")

    assert report == AgentReport(
        system="alpha",
        state=AgentState.ALIVE,
        since=NOON,
        last_beat_s=report.last_beat_s,
        version=VERSION,
        host="login1",
        profile="local",
        scheduler="scripted",
        jobs_held=1,
        jobs_waiting=0,
        store_check=report.store_check,
    )
    assert report.last_beat_s is not None
    assert report.last_beat_s < 65
    assert report.store_check


def test_jobs_that_wait_to_be_taken_are_counted_apart_from_those_that_are_held(world: World) -> None:
    agent = world.agent(world.system("alpha", behaviour=lambda *_: LONG))
    first = world.submit("alpha")
    for _ in range(2):
        world.submit("alpha", hold_jid=(first,))
    agent.cycles(4)

    assert (of(world, "alpha").jobs_held, of(world, "alpha").jobs_waiting) == (1, 2)


def test_an_agent_that_does_not_report_is_away_since_its_last_beat(world: World) -> None:
    world.agent(world.system("alpha")).cycle()
    world.clock.pass_by(181)

    assert (of(world, "alpha").state, of(world, "alpha").since) == (AgentState.AWAY, at(0))


def test_an_agent_that_gave_its_lease_back_is_stopped(world: World) -> None:
    agent = world.agent(world.system("alpha"))
    agent.cycles(2)
    agent.parts.run._give_back()
    world.clock.pass_by(600)

    assert (of(world, "alpha").state, of(world, "alpha").since) == (AgentState.STOPPED, at(10))


def test_what_cannot_be_read_is_unknown_and_hides_nobody_else(world: World) -> None:
    world.agent(world.system("alpha")).cycle()
    world.store.put("systems/beta/lease.json", b"{}")
    world.store.put("systems/gamma/active/1.json", b'{"format": "99.0"}')

    alpha, beta, gamma = world.client().list_agents()

    assert (alpha.state, beta.state, gamma.state) == (
        AgentState.ALIVE,
        AgentState.UNKNOWN,
        AgentState.UNKNOWN,
    )
    assert "systems/beta/lease.json" in beta.last_error
    assert "99.0" in gamma.last_error


def test_costs_one_list_and_two_gets_a_system(world: World) -> None:
    for name in ("alpha", "beta", "gamma"):
        world.agent(world.system(name)).cycle()
    counting = CountingStore(world.store)
    world.client(counting).list_agents()

    assert counting.counts == {"LIST": 1, "GET": 6}
