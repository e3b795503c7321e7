"""What the agents of all systems tell of themselves."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum

from attrs import evolve, frozen

from cloudq.domain.errors import RecordRejected
from cloudq.domain.jobs.lease import is_presumed_dead
from cloudq.domain.jobs.summary import ActiveSummary
from cloudq.ports.clock import Clock
from cloudq.ports.system_registry import SeenLease, SystemRegistry, SystemSign
from cloudq.ports.workers import Workers


class AgentState(Enum):
    """Whether a system has an agent that acts for it."""

    ALIVE = "alive"
    AWAY = "away"
    """It has not reported for longer than its time to live."""
    STOPPED = "stopped"
    """It ended on purpose, and gave its lease back."""
    UNKNOWN = "unknown"
    """What it tells cannot be read."""


@frozen
class AgentReport:
    """One system's agent, as it last reported."""

    system: str
    state: AgentState
    since: datetime | None = None
    """Since when it acts, by its own clock; or since when it does not, by the store's."""
    last_beat_s: float | None = None
    """Seconds since it last reported, by the store's clock."""
    version: str = ""
    host: str = ""
    profile: str = ""
    scheduler: str = ""
    jobs_held: int | None = None
    """None: it did not say."""
    jobs_waiting: int | None = None
    """Jobs that it was offered and nobody has taken yet, as far as it knew."""
    store_check: str = ""
    last_error: str = ""
    busy: str = ""
    """What goes on in its background, as of its last heartbeat."""


@frozen
class ListAgents:
    """Asks all at once: one LIST, and two GET a system."""

    registry: SystemRegistry
    clock: Clock
    workers: Workers

    def __call__(self) -> tuple[AgentReport, ...]:
        """Every system whose agent ever reported, by name."""
        signs: Mapping[str, SystemSign] = self.registry.systems()
        return tuple(self.workers.map(self._report, [signs[system] for system in sorted(signs)]))

    def _report(self, sign: SystemSign) -> AgentReport:
        try:
            seen = self.registry.lease(sign)
            report = AgentReport(sign.system, AgentState.UNKNOWN) if seen is None else self._of(sign, seen)
            summary = self.registry.summary(sign)
        except RecordRejected as error:
            return AgentReport(
                sign.system, AgentState.UNKNOWN, last_beat_s=sign.beat_age_s, last_error=str(error)
            )
        return report if summary is None else _with_queue(report, summary)

    def _of(self, sign: SystemSign, seen: SeenLease) -> AgentReport:
        lease, state = seen.lease, _state(seen)
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


def _state(seen: SeenLease) -> AgentState:
    if seen.lease.released:
        return AgentState.STOPPED
    is_away = is_presumed_dead(seen.age_s, seen.lease.time_to_live_s)
    return AgentState.AWAY if is_away else AgentState.ALIVE


def _with_queue(report: AgentReport, summary: ActiveSummary) -> AgentReport:
    held = sum(job.run_system == report.system for job in summary.jobs)
    waiting = sum(not job.run_system for job in summary.jobs)
    return evolve(report, jobs_held=held, jobs_waiting=waiting)
