"""An agent's life: take the lease, run cycles, give the lease back."""

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
    """Runs cycles while it holds the lease; waits for it otherwise."""

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
    """Keeps what is wrong on this machine, where it can be read while the store is out of reach."""
    _stopping: Event = field(factory=Event, init=False)
    _last_problems: tuple[str, ...] = field(default=(), init=False)
    _told_of_lost_lease: bool = field(default=False, init=False)

    def stop(self) -> None:
        """Ask the agent to finish the step it is in and end; safe in a signal handler.

        Work in the background ends, too, as soon as it asks for its permit.
        """
        self.permits.has_stopped = True
        self._stopping.set()

    def forever(self) -> None:
        """Run until stopped; then give the lease back. Running jobs go on.

        Raises `StoreUnfit` for a store on which nothing can be run safely, `SchedulerUnfit` for
        commands that do not take what is needed of them.
        """
        told_of: LeaseWait | None = None
        try:
            while not self._stopping.is_set():
                told_of = self._once(told_of)
        finally:
            self._give_back()

    def one_cycle(self) -> LeaseWait | None:
        """One cycle, and what it takes to settle hand-overs that crashed; then give the lease back.

        Returns who holds the lease if somebody else does. Raises what kept the cycle from working.
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
        """Until a run of one cycle looks again at what is not settled."""
        return LOOK_AT_WORK_EVERY_S if report.is_busy else self.cycle.follow_jobs.scheduler.poll_interval_s

    def _once(self, told_of: LeaseWait | None) -> LeaseWait | None:
        try:
            self.check_scheduler()
            if self.lease.is_lapsed():
                waiting = self.lease.acquire(self.check_store)
                if waiting is not None:
                    return self._wait_for_holder(waiting, told_of)
                self.log.info("acting for", system=self.lease.identity.system, epoch=self.lease.epoch)
                self._told_of_lost_lease = False
                self.cycle.begin_epoch()
            self._cycle()
        except LeaseLost as error:
            self._tell_of_lost_lease(error)
        except (StoreUnfit, SchedulerUnfit):
            raise
        except CloudqError as error:
            self._tell((str(error),))
        self.clock.sleep(self.poll_interval_s)
        return None

    def _wait_for_holder(self, waiting: LeaseWait, told_of: LeaseWait | None) -> LeaseWait:
        if told_of is None or told_of.holder.epoch != waiting.holder.epoch:
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
        self._tell(tuple(map(str, report.problems)))
        self.ship_agent_log()
        return report

    def _tell(self, problems: tuple[str, ...]) -> None:
        """Say what is wrong once, and that it is over once."""
        if problems == self._last_problems:
            return
        for problem in problems:
            self.log.warning("not everything could be done", error=problem)
        if not problems:
            self.log.info("everything works again")
        self._last_problems = problems
        self.lease.last_error = "; ".join(problems)[:MAX_TROUBLE_CHARS]
        self.note_trouble(self.lease.last_error)

    def _tell_of_lost_lease(self, error: LeaseLost) -> None:
        """Say once that nothing is done until the lease is taken again, not with every poll."""
        if not self._told_of_lost_lease:
            self.log.warning("not acting", error=str(error))
        self._told_of_lost_lease = True

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
    """What a run of one cycle ends with: the scheduler's error only if nothing else went wrong."""
    of_scheduler = all(isinstance(problem, SchedulerProblem) for problem in problems)
    return SchedulerUnavailable if of_scheduler else StoreProblem
