"""One cycle of an agent: all its steps, in order (protocol section 7)."""

from __future__ import annotations

from collections.abc import Callable, Collection

from attrs import define, frozen

from cloudq.application.agent.cancel_held_jobs import CancelHeldJobs, LetGoOfClaims
from cloudq.application.agent.cancel_tasks import CancelTasks
from cloudq.application.agent.check_queue_entries import CheckQueueEntries
from cloudq.application.agent.describe_work import busy_words
from cloudq.application.agent.find_forgotten import FindForgotten
from cloudq.application.agent.finish_jobs import FinishJobs, WriteRecords
from cloudq.application.agent.follow_jobs import FollowJobs
from cloudq.application.agent.hand_over_jobs import HandOverJobs
from cloudq.application.agent.held_job import Claimed
from cloudq.application.agent.hold_lease import HoldLease
from cloudq.application.agent.holdings import Holdings
from cloudq.application.agent.job_trouble import AgentLog
from cloudq.application.agent.keep_hold import KeepHold
from cloudq.application.agent.publish_summary import PublishSummary
from cloudq.application.agent.recall_jobs import RecallJobs
from cloudq.application.agent.ship_logs import ShipLogs
from cloudq.application.agent.take_jobs import TakeJobs
from cloudq.application.agent.watch_files import WatchFiles
from cloudq.application.agent.watch_queue import WatchQueue
from cloudq.domain.errors import CloudqError, HomeInDoubt, LeaseLost
from cloudq.ports.clock import Clock
from cloudq.ports.workspace import Workspace

REMOVE_EXPIRED_EVERY_S = 600.0


@frozen
class CycleReport:
    """The result of a cycle."""

    problems: tuple[CloudqError, ...] = ()
    """The errors of failed steps, which are tried again in the next cycle."""
    is_unsettled: bool = False
    """Whether a hand-over waits for a second look, which a one-shot run should not put off."""
    is_busy: bool = False
    """Whether background work is under way for whose result a one-shot run must wait."""


@define
class RunAgentCycle:
    """Run the steps of a cycle; a step that fails does not stop the others."""

    lease: HoldLease
    watch_queue: WatchQueue
    check_queue_entries: CheckQueueEntries
    find_forgotten: FindForgotten
    take_jobs: TakeJobs
    recall_jobs: RecallJobs
    cancel_held_jobs: CancelHeldJobs
    cancel_tasks: CancelTasks
    let_go_of_claims: LetGoOfClaims
    hand_over_jobs: HandOverJobs
    follow_jobs: FollowJobs
    finish_jobs: FinishJobs
    write_records: WriteRecords
    ship_logs: ShipLogs
    publish_summary: PublishSummary
    keep_hold: KeepHold
    watch_files: WatchFiles
    workspace: Workspace
    clock: Clock
    holdings: Holdings
    log: AgentLog
    keep_s: float
    only_waits: bool = False
    """Whether a one-shot run only waits for its background work.

    It then takes no more jobs and retries nothing that failed; otherwise it might never end.
    """
    _swept_at: float | None = None

    def begin_epoch(self) -> None:
        """Forget earlier state, which may have changed while the lease was not held."""
        self.recall_jobs.begin_epoch()
        self.holdings.clear()
        self._swept_at = None
        self.take_jobs.begin_epoch()
        self.follow_jobs.begin_epoch()
        self.watch_queue.list_again()
        self.find_forgotten.look_again()

    def __call__(self) -> CycleReport:
        """Run every step once. Raises `LeaseLost` when this process may no longer act."""
        self.lease.begin_cycle()
        steps: tuple[Callable[[], object], ...] = (
            self._report_doubt,
            self.watch_queue,
            self.check_queue_entries,
            self.find_forgotten,
            self._take_jobs,
            self.recall_jobs,
            self.cancel_held_jobs,
            self.cancel_tasks,
            self.let_go_of_claims,
            self._hand_over_jobs,
            self.follow_jobs,
            self._finish_jobs,
            self.write_records,
            self.ship_logs,
            self.publish_summary,
            self._remove_expired,
            self.watch_files,
            self.keep_hold,
        )
        problems = {str(problem): problem for step in steps if (problem := self._do(step))}
        self.lease.busy = busy_words(self.holdings)
        return CycleReport(tuple(problems.values()), self._is_unsettled(), self._is_busy())

    def _do(self, step: Callable[[], object]) -> CloudqError | None:
        self.lease.require()
        try:
            step()
        except LeaseLost:
            raise
        except CloudqError as error:
            return error
        except Exception as error:  # a defect in one step must not stop the others
            self.log.exception("a step met a defect of cloudq", error=str(error))
            return CloudqError(f"defect of cloudq: {type(error).__name__}: {error}")
        return None

    def _report_doubt(self) -> None:
        if doubt := self.lease.doubt():
            raise HomeInDoubt(doubt)

    def _take_jobs(self) -> None:
        if not self.only_waits:
            self.take_jobs()

    def _hand_over_jobs(self) -> None:
        self.hand_over_jobs(may_try_again=not self.only_waits)

    def _finish_jobs(self) -> None:
        self.finish_jobs(may_try_again=not self.only_waits)

    def _remove_expired(self) -> None:
        now = self.clock.elapsed()
        if self._swept_at is None or now - self._swept_at >= REMOVE_EXPIRED_EVERY_S:
            self._swept_at = now
            self.workspace.remove_unpublished(self.lease.identity.system, self.lease.epoch)
            for tag in self.workspace.remove_expired(self.keep_s, self._dirs_in_use):
                self.log.info("work directory removed", job=str(tag))

    def _dirs_in_use(self) -> Collection[str]:
        """Return the directories of the scheduler's jobs and of held jobs; confirm the lease first.

        A job of the scheduler may have been submitted by a script that ended long ago. A held job may
        have ended long ago, too, and returned with a restored bucket. The lease is confirmed because
        directories that are not in use are removed next.
        """
        self.lease.confirm()
        held = (str(held_job.space.work_dir) for held_job in self.holdings.held.values())
        return [*self.follow_jobs.scheduler.work_dirs().values(), *held]

    def _is_busy(self) -> bool:
        is_asking = self.follow_jobs.awaits_first_answer
        return self.hand_over_jobs.is_busy or is_asking or self.finish_jobs.is_busy

    def _is_unsettled(self) -> bool:
        return any(
            isinstance(held.phase, Claimed) and held.phase.is_looked_for
            for held in self.holdings.held.values()
        )
