"""The life of an agent: take the lease, run cycles, give the lease back."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event

from attrs import define, field

from cloudq.application.agent.check_scheduler import CheckScheduler
from cloudq.application.agent.check_store import CheckStore
from cloudq.application.agent.hold_lease import HoldLease, LeaseWait
from cloudq.application.agent.job_trouble import AgentLog
from cloudq.application.agent.permit import Permits
from cloudq.application.agent.run_agent_cycle import CycleReport, RunAgentCycle
from cloudq.application.agent.ship_agent_log import ShipAgentLog
from cloudq.domain.errors import (
    CloudqError,
    LeaseLost,
    SchedulerProblem,
    SchedulerUnavailable,
    SchedulerUnfit,
    StoreProblem,
    StoreUnfit,
)
from cloudq.ports.clock import Clock

LOOK_AT_HOLDER_EVERY_S = 20.0
LOOK_AT_WORK_EVERY_S = 1.0
MAX_SETTLING_CYCLES = 4
MAX_TROUBLE_CHARS = 500


@define
class RunAgent:
    """Run cycles while the lease is held; wait for it otherwise."""

    lease: HoldLease
    check_store: CheckStore
    check_scheduler: CheckScheduler
    cycle: RunAgentCycle
    ship_agent_log: ShipAgentLog
    clock: Clock
    log: AgentLog
    poll_interval_s: float
    permits: Permits
    note_trouble: Callable[[str], object] = lambda _: None
    """Keep the present problems on this machine, where they can be read while the store is unreachable."""
    _stopping: Event = field(factory=Event, init=False)
    _last_problems: tuple[str, ...] = field(default=(), init=False)
    _has_reported_lost_lease: bool = field(default=False, init=False)

    def stop(self) -> None:
        """Make the agent finish its current step and end; safe in a signal handler.

        Background work ends, too, as soon as it checks its permit.
        """
        self.permits.has_stopped = True
        self._stopping.set()

    def forever(self) -> None:
        """Run until stopped, then give the lease back; running jobs continue.

        Raises `StoreUnfit` for a store on which no job can run safely, and `SchedulerUnfit` for
        scheduler commands that do not support what cloudq needs.
        """
        last_wait: LeaseWait | None = None
        try:
            while not self._stopping.is_set():
                last_wait = self._once(last_wait)
        finally:
            self._give_back()

    def one_cycle(self) -> LeaseWait | None:
        """Run one cycle, and more until interrupted hand-overs are settled; then give the lease back.

        Returns the lease of another holder if there is one. Raises the problems of the last cycle.
        """
        self.check_scheduler()
        waiting = self.lease.acquire(self.check_store)
        if waiting is not None:
            return waiting
        self.cycle.only_waits = False
        try:
            self.cycle.begin_epoch()
            report = self._cycle()
            self.cycle.only_waits = True
            settling = MAX_SETTLING_CYCLES
            while report.is_busy or (report.is_unsettled and settling):
                settling -= not report.is_busy
                self.clock.sleep(self._pause_s(report))
                report = self._cycle()
        finally:
            self._give_back(stopped=False)
        if report.problems:
            raise _error_of(report.problems)("\n".join(map(str, report.problems)))
        return None

    def _pause_s(self, report: CycleReport) -> float:
        """Return how long a run of one cycle waits before it looks again at what is not settled."""
        return LOOK_AT_WORK_EVERY_S if report.is_busy else self.cycle.follow_jobs.scheduler.poll_interval_s

    def _once(self, last_wait: LeaseWait | None) -> LeaseWait | None:
        try:
            self.check_scheduler()
            if self.lease.is_lapsed():
                waiting = self.lease.acquire(self.check_store)
                if waiting is not None:
                    return self._wait_for_holder(waiting, last_wait)
                self.log.info("acting for", system=self.lease.identity.system, epoch=self.lease.epoch)
                self._has_reported_lost_lease = False
                self.cycle.begin_epoch()
            self._cycle()
        except LeaseLost as error:
            self._report_lost_lease(error)
        except (StoreUnfit, SchedulerUnfit):
            raise
        except CloudqError as error:
            self._report((str(error),))
        self.clock.sleep(self.poll_interval_s)
        return None

    def _wait_for_holder(self, waiting: LeaseWait, last_wait: LeaseWait | None) -> LeaseWait:
        if last_wait is None or last_wait.holder.epoch != waiting.holder.epoch:
            holder = waiting.holder
            self.log.info(
                "another agent acts for this system: waiting in case it ends",
                system=self.lease.identity.system,
                host=holder.process.host,
                pid=holder.process.pid,
                last_beat_s=round(waiting.age_s),
            )
        self.clock.sleep(LOOK_AT_HOLDER_EVERY_S)
        return waiting

    def _cycle(self) -> CycleReport:
        report = self.cycle()
        self._report(tuple(map(str, report.problems)))
        self.ship_agent_log()
        return report

    def _report(self, problems: tuple[str, ...]) -> None:
        """Log each set of problems once, and once when they clear."""
        if problems == self._last_problems:
            return
        for problem in problems:
            self.log.warning("not everything could be done", error=problem)
        if not problems:
            self.log.info("everything works again")
        self._last_problems = problems
        self.lease.last_error = "; ".join(problems)[:MAX_TROUBLE_CHARS]
        self.note_trouble(self.lease.last_error)

    def _report_lost_lease(self, error: LeaseLost) -> None:
        """Log once, not at every poll, that nothing is done until the lease is taken again."""
        if not self._has_reported_lost_lease:
            self.log.warning("not acting", error=str(error))
        self._has_reported_lost_lease = True

    def _give_back(self, *, stopped: bool = True) -> None:
        try:
            if self.lease.may_write():
                if stopped:
                    self.cycle.publish_summary.stopped()
                self.ship_agent_log.now()
                self.lease.release()
        except CloudqError as error:
            self.log.warning("the lease could not be given back: a successor must wait", error=str(error))


def _error_of(problems: tuple[CloudqError, ...]) -> type[CloudqError]:
    """Return the error type for a run of one cycle: the scheduler's only if nothing else failed."""
    of_scheduler = all(isinstance(problem, SchedulerProblem) for problem in problems)
    return SchedulerUnavailable if of_scheduler else StoreProblem
