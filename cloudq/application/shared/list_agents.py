"""List the agents of all systems, as they last reported."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from attrs import evolve, frozen

from cloudq.domain.errors import RecordRejected
from cloudq.domain.jobs.lease import AgentState
from cloudq.domain.jobs.summary import ActiveSummary
from cloudq.ports.clock import Clock
from cloudq.ports.system_registry import SeenLease, SystemRegistry, SystemSign
from cloudq.ports.workers import Workers


@frozen
class AgentReport:
    """One system's agent, as it last reported."""

    system: str
    state: AgentState
    since: datetime | None = None
    """The time since which it acts, by its own clock, or since which it is silent, by the store's."""
    last_beat_s: float | None = None
    """Seconds since its last heartbeat, by the store's clock."""
    version: str = ""
    host: str = ""
    profile: str = ""
    scheduler: str = ""
    jobs_held: int | None = None
    """None if it did not report the number."""
    jobs_waiting: int | None = None
    """The number of jobs in its queue that no agent had taken, as far as it knew."""
    store_check: str = ""
    last_error: str = ""
    busy: str = ""
    """Its background work as of its last heartbeat."""


@frozen
class ListAgents:
    """Read the reports of all agents at once: one LIST, and two GETs per system."""

    registry: SystemRegistry
    clock: Clock
    workers: Workers

    def __call__(self) -> tuple[AgentReport, ...]:
        """Return a report for every system whose agent ever reported, sorted by name."""
        signs: Mapping[str, SystemSign] = self.registry.systems()
        return tuple(self.workers.map(self._report, [signs[system] for system in sorted(signs)]))

    def _report(self, sign: SystemSign) -> AgentReport:
        try:
            seen = self.registry.lease(sign)
            report = AgentReport(sign.system, AgentState.UNKNOWN) if seen is None else self._of(sign, seen)
            summary = self.registry.summary(sign)
        except RecordRejected as error:
            return AgentReport(
                sign.system, AgentState.UNKNOWN, last_beat_s=sign.heartbeat_age_s, last_error=str(error)
            )
        return report if summary is None else _with_queue(report, summary)

    def _of(self, sign: SystemSign, seen: SeenLease) -> AgentReport:
        lease, state = seen.lease, seen.agent_state
        silent_since = self.clock.now() - timedelta(seconds=seen.age_s)
        return AgentReport(
            system=sign.system,
            state=state,
            since=lease.since if state is AgentState.ALIVE else silent_since,
            last_beat_s=seen.age_s,
            version=lease.version,
            host=lease.process.host,
            profile=lease.profile,
            scheduler=lease.offer.scheduler,
            store_check=lease.store_check,
            last_error=lease.last_error,
            busy=lease.busy,
        )


def _with_queue(report: AgentReport, summary: ActiveSummary) -> AgentReport:
    held = sum(job.run_system == report.system for job in summary.jobs)
    waiting = sum(not job.run_system for job in summary.jobs)
    return evolve(report, jobs_held=held, jobs_waiting=waiting)
