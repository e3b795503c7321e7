"""Examine whether the systems' agents are running, up to date and free of errors."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from cloudq.application.doctor.examine import Check
from cloudq.application.doctor.examine_store import RIGHTS
from cloudq.application.shared.list_agents import AgentReport, ListAgents
from cloudq.domain.finding import Finding, Level, Remedy
from cloudq.domain.jobs.lease import AgentState
from cloudq.domain.names import span

AGENTS = "agents"


@frozen
class ExamineAgents:
    """Judge the agents by what they report."""

    list_agents: ListAgents
    version: str
    """The version of this cloudq."""

    def checks(self) -> tuple[Check, ...]:
        """Return one check, with a finding for each problem of an agent."""
        return (Check(AGENTS, self._ask, needs=RIGHTS),)

    def _ask(self) -> Iterator[Finding]:
        agents = self.list_agents()
        if not agents:
            yield Finding(
                Level.WARNING,
                AGENTS,
                "no agent ever reported",
                "start one on the system that will run the jobs",
                Remedy.START_AGENT,
            )
            return
        alive = [agent.system for agent in agents if agent.state is AgentState.ALIVE]
        if alive:
            yield Finding(Level.OK, AGENTS, f"alive: {', '.join(alive)}")
        for agent in agents:
            yield from self._of(agent)

    def _of(self, agent: AgentReport) -> Iterator[Finding]:
        if agent.state is AgentState.UNKNOWN:
            words = agent.last_error or "its agent left no heartbeat"
            yield Finding(
                Level.PROBLEM,
                AGENTS,
                f"{agent.system}: {words}",
                "update cloudq here, or check the agent there",
            )
            return
        yield from _absent(agent)
        if agent.version != self.version:
            yield Finding(
                Level.WARNING,
                AGENTS,
                f"{agent.system} runs cloudq {agent.version}, this machine runs {self.version}",
                "install the same version on both",
            )
        if agent.last_error:
            yield Finding(
                Level.WARNING,
                AGENTS,
                f"{agent.system}: {agent.last_error}",
                "look at its log",
                Remedy.READ_AGENT_LOG,
                agent.system,
            )


def _absent(agent: AgentReport) -> Iterator[Finding]:
    if agent.state is AgentState.ALIVE:
        return
    jobs = (agent.jobs_held or 0) + (agent.jobs_waiting or 0)
    silent = "has been stopped" if agent.state is AgentState.STOPPED else "has been away"
    what = f"the agent of {agent.system} {silent} for {span(agent.last_beat_s or 0.0)}"
    if agent.state is AgentState.STOPPED and not jobs:
        yield Finding(Level.OK, AGENTS, f"{what}; no job waits for it")
        return
    yield Finding(
        Level.WARNING,
        AGENTS,
        f"{what}, with {jobs} jobs",
        "start it; if it never comes back, requeue its jobs or cancel them by force",
        Remedy.REPLACE_AGENT,
        agent.system,
    )
