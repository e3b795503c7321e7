"""Follow handed-over jobs: one query for all, states only from evidence (protocol section 5)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from datetime import datetime

from attrs import define, evolve, field, frozen

from cloudq.application.agent.held_job import Ending, Followed, HeldJob
from cloudq.application.agent.holdings import Holdings
from cloudq.application.agent.job_trouble import JobTrouble
from cloudq.application.agent.name_follow_ups import name_follow_ups
from cloudq.application.agent.note_silence import NoteSilence
from cloudq.application.agent.stop_claim import StopClaim
from cloudq.application.agent.watch_files import WatchFiles, with_note_of_loss
from cloudq.domain.errors import SchedulerUnavailable
from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.job_shell import BLOCKED
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.outcome import Evidence, Life, SchedulerStatus, decide
from cloudq.domain.jobs.task_states import TaskState, TaskStates, derive, why_tasks_wait
from cloudq.domain.names import ClaimTag
from cloudq.ports.batch_scheduler import BatchScheduler, LocalJob
from cloudq.ports.clock import Clock
from cloudq.ports.workers import Lane, Started, Workers
from cloudq.ports.workspace import FirstMiss, TaskRecords

NO_RECORDS = TaskRecords()
WAIT_FOR_ANSWER_S = 2.0
"""How long a cycle waits for the answer to its own query; a later cycle takes a late answer over."""
JUDGE_AGAIN_AFTER_S = 60.0
"""When a job is judged again without a visible change: a record may have been briefly unreadable."""


@frozen(eq=False)
class _Asked:
    """A query under way."""

    scheduler_job_ids: frozenset[str]
    at: float
    """The time of the query, by this machine's clock."""
    answer: Started[Mapping[str, LocalJob]]
    refreshes: frozenset[ClaimTag]
    """The requests for present states that the query answers."""


@define
class FollowJobs:
    """Check the records in every cycle, and query the scheduler when one changed or a poll is due."""

    scheduler: BatchScheduler
    stop_claim: StopClaim
    files: WatchFiles
    clock: Clock
    workers: Workers
    holdings: Holdings
    trouble: JobTrouble
    note_silence: NoteSilence
    doubt: Callable[[], str]
    """Why this home may be a copy whose original has other records; empty if there is no doubt."""
    _doubt: str = field(default="", init=False)
    _polled_at: float | None = field(default=None, init=False)
    _asked: _Asked | None = field(default=None, init=False)
    _has_answer: bool = field(default=False, init=False)
    _tried: frozenset[ClaimTag] = field(default=frozenset(), init=False)
    """The requests for present states of the last query, unless it was answered: the next one is regular."""
    _unanswered: str = field(default="", init=False)
    """Why the last query got no answer; empty if it got one."""

    def __call__(self) -> None:
        """Look at all live jobs once; a failed query changes no state.

        Raises `SchedulerUnavailable` after a failed query, in every call until a query is answered.
        """
        now = self.clock.elapsed()
        self._take_answer()
        live = self._live()
        self._answer_refreshes_of_others(live)
        if live and self._asked is None and self._is_time_to_ask(live, now):
            self._asked = self._ask(live, now)
            self._asked.answer.wait(WAIT_FOR_ANSWER_S)
            self._take_answer()
        if not live:
            self._unanswered = ""
        if self._unanswered:
            raise SchedulerUnavailable(self._unanswered)

    def begin_epoch(self) -> None:
        """Drop a query from before the lease was taken: its answer may be older than the present state."""
        self._asked, self._has_answer, self._tried = None, False, frozenset()

    @property
    def awaits_first_answer(self) -> bool:
        """Return whether the first query since the lease was taken is still under way."""
        return self._asked is not None and not self._has_answer

    def _live(self) -> list[HeldJob]:
        return [held for held in self.holdings.held.values() if isinstance(held.phase, Followed)]

    def _ask(self, live: list[HeldJob], now: float) -> _Asked:
        self._polled_at = now
        scheduler_job_ids = tuple(
            scheduler_job_id for held in live for scheduler_job_id in held.scheduler_job_ids
        )
        answer = self.workers.start(lambda: self.scheduler.poll(scheduler_job_ids), Lane.POLL)
        self._tried = frozenset(self.holdings.requests.refreshes)
        return _Asked(frozenset(scheduler_job_ids), now, answer, self._tried)

    def _take_answer(self) -> None:
        """Judge the jobs by the answer to the last query, if it has arrived."""
        asked = self._asked
        if asked is None or not asked.answer.is_done():
            return
        self._asked, self._has_answer = None, True
        try:
            answer = asked.answer.result()
        except SchedulerUnavailable as error:
            self._unanswered = f"the scheduler gave no answer, all jobs keep their states: {error}"
            self.note_silence(self._live(), str(error), asked.at)
            return
        self._unanswered = ""
        self._tried = frozenset()
        self.note_silence.ended()
        self.holdings.requests.answer_refreshes(asked.refreshes)
        self._judge_all(self._live(), asked, answer)

    def _judge_all(self, live: list[HeldJob], asked: _Asked, answer: Mapping[str, LocalJob]) -> None:
        """Judge the jobs that the query named; jobs handed over since are not in the answer."""
        self._doubt = self.doubt()
        for held in live:
            if not asked.scheduler_job_ids.issuperset(held.scheduler_job_ids):
                continue
            phase = held.require(Followed)
            basis = _basis(held, phase, answer)
            if phase.judged != (basis, held.note) or asked.at - phase.judged_at >= JUDGE_AGAIN_AFTER_S:
                with self.trouble.of(held):
                    self._judge_again(held, phase, answer, basis, asked.at)
        name_follow_ups(
            self.scheduler, [held for held in live if held.end is not None and not held.is_elsewhere]
        )

    def _is_time_to_ask(self, live: list[HeldJob], now: float) -> bool:
        is_wanted = not self.holdings.requests.refreshes <= self._tried
        return self._some_changed(live) or is_wanted or self._poll_is_due(now)

    def _poll_is_due(self, now: float) -> bool:
        return self._polled_at is None or now - self._polled_at >= self.scheduler.poll_interval_s

    def _answer_refreshes_of_others(self, live: list[HeldJob]) -> None:
        """Answer requests about jobs that the scheduler does not have: their records are as they are."""
        requests = self.holdings.requests
        requests.answer_refreshes(requests.refreshes - {held.tag for held in live})

    def _some_changed(self, live: list[HeldJob]) -> bool:
        changed = False
        for held in live:
            with self.trouble.of(held):
                phase = held.require(Followed)
                seen = None if held.is_elsewhere else held.space.fingerprint()
                if seen != phase.fingerprint:
                    phase.fingerprint, changed = seen, True
        return changed

    # One job ---------------------------------------------------------------------------------

    def _judge_again(
        self,
        held: HeldJob,
        phase: Followed,
        answer: Mapping[str, LocalJob],
        basis: Hashable,
        now: float,
    ) -> None:
        phase.judged = None
        self._judge(held, phase, answer, now)
        if not phase.missed:  # else its state may change by the mere passing of time
            phase.judged, phase.judged_at = (basis, held.note), now

    def _judge(self, held: HeldJob, phase: Followed, answer: Mapping[str, LocalJob], asked_at: float) -> None:
        if not self.files.are_there(held):
            phase.missed = True  # to be judged again even if nothing changes
            return
        known = _known_states(held)
        pending = [task for task, state in known.items() if not state.state.is_final]
        records = {} if held.is_elsewhere else held.space.records(pending)
        if self._some_were_not_asked_for(held, records):
            return
        if words := _unanswered(held, pending, records, answer):
            held.note = words
            return
        statuses = {task: _status(held, records.get(task, NO_RECORDS), task, answer) for task in pending}
        records = {
            task: self.files.make_up_for(held, task, records.get(task, NO_RECORDS), statuses[task])
            for task in pending
        }
        absent_s = self._absent_s(held, phase, statuses, records, asked_at)
        decided = dict(known)
        for task in pending:
            state = self._decide(held, phase, task, records[task], statuses[task], absent_s)
            decided[task] = state or known[task]
        self._cancel_extra_submissions(held, pending, records, answer)
        self._apply(held, decided, records)

    def _some_were_not_asked_for(self, held: HeldJob, records: Mapping[int | None, TaskRecords]) -> bool:
        """Return whether a submission unknown until now holds a lock; from now on it is followed."""
        holders = {
            task_records.holder for task_records in records.values() if task_records.holder is not None
        }
        unknown = holders - {BLOCKED, *held.scheduler_job_ids}
        held.learn(tuple(sorted(unknown)), first=True)
        return bool(unknown)

    def _cancel_extra_submissions(
        self,
        held: HeldJob,
        pending: list[int | None],
        records: Mapping[int | None, TaskRecords],
        answer: Mapping[str, LocalJob],
    ) -> None:
        """Cancel submissions without a lock once every lock is taken: they can only end at once."""
        if len(held.scheduler_job_ids) < 2 or held.is_elsewhere:
            return
        holders = {records.get(task, NO_RECORDS).holder for task in pending}
        if None in holders:
            return
        extra = tuple(
            scheduler_job_id for scheduler_job_id in held.scheduler_job_ids if scheduler_job_id not in holders
        )
        if extra and len(extra) < len(held.scheduler_job_ids):
            self.stop_claim.cancel(
                [
                    scheduler_job_id
                    for scheduler_job_id in extra
                    if scheduler_job_id in answer and answer[scheduler_job_id].may_be_of(held.tag)
                ]
            )
            held.scheduler_job_ids = tuple(
                scheduler_job_id for scheduler_job_id in held.scheduler_job_ids if scheduler_job_id in holders
            )
            held.job = evolve(held.job, jobid=held.scheduler_job_ids[0])

    def _decide(
        self,
        held: HeldJob,
        phase: Followed,
        task: int | None,
        records: TaskRecords,
        status: SchedulerStatus | None,
        absent_s: float,
    ) -> TaskState | None:
        own_exit = records.exit if records.exit and records.exit.scheduler_job_id == records.holder else None
        state = decide(
            Evidence(
                start=records.start,
                exit=own_exit,
                status=status,
                cancel_accepted=_is_cancel_accepted(held) or task in phase.canceled_tasks,
                absent_s=absent_s,
                records_in_sight=not held.is_elsewhere,
            )
        )
        if state is None or not state.state.is_final or own_exit:
            return state
        if self._doubt:  # the original of this home may have another exit record, and the outputs
            held.note = self._doubt
            return None
        if held.is_elsewhere:
            return state
        return state if self._can_start_no_more(held, task) else None

    def _can_start_no_more(self, held: HeldJob, task: int | None) -> bool:
        """Return whether the start is settled: the lock is blocked, or a known submission holds it."""
        holder = held.space.block(task)
        if holder in {BLOCKED, *held.scheduler_job_ids}:
            return True
        held.learn((holder,), first=True)
        return False

    def _absent_s(
        self,
        held: HeldJob,
        phase: Followed,
        statuses: Mapping[int | None, SchedulerStatus | None],
        records: Mapping[int | None, TaskRecords],
        asked_at: float,
    ) -> float:
        """Return the seconds from the first query that showed no live task to this one.

        The time of the first query is kept on disk for one-shot agents. The span ends when this query
        was sent: an agent that is delayed afterwards has not looked for longer.
        """
        lives = any(status is not None and status.life is not Life.ENDED for status in statuses.values())
        proved = all(records.get(task, NO_RECORDS).exit for task in statuses)
        if lives or proved or held.is_elsewhere:
            if phase.missed:
                held.space.note_miss(None)
                phase.missed = False
            return 0.0
        boot_id, first = self.clock.boot_id(), held.space.first_miss()
        if first is None or first.boot_id != boot_id:
            first = FirstMiss(boot_id, self.clock.elapsed())
            held.space.note_miss(first)
        phase.missed = True
        return max(0.0, asked_at - first.at)

    def _apply(
        self,
        held: HeldJob,
        decided: dict[int | None, TaskState],
        records: Mapping[int | None, TaskRecords],
    ) -> None:
        whole = derive(decided.values())
        if whole is None:
            return
        if held.job.array_tid is not None:
            states = {task: state for task, state in decided.items() if task is not None}
            held.job = evolve(held.job, tasks=TaskStates.of(states))
        started = [
            task_records.start.time
            for task_records in records.values()
            if task_records.start and task_records.start.time
        ]
        runs = any(state.state is JobState.RUN for state in decided.values())
        if runs or (started and whole.state.is_final):
            self._note_start(held, min(started) if started else self.clock.now())
        if whole.state.is_final:
            end = whole if held.job.array_tid is None else evolve(whole, reason=_failures(held.job))
            held.enter(Ending(with_note_of_loss(held, end)))
        elif held.cancel is None:
            self._enter(held, whole)
            held.note = "; ".join(filter(None, (whole.reason, why_tasks_wait(decided.values()))))

    def _note_start(self, held: HeldJob, at: datetime) -> None:
        if held.job.time_start is None:
            held.job = evolve(held.job, time_start=at)
            if held.job.time_ready is not None:
                self.holdings.recent_waits.append(max(0.0, (at - held.job.time_ready).total_seconds()))

    def _enter(self, held: HeldJob, whole: TaskState) -> None:
        if whole.state is JobState.RUN:
            held.job = held.job.running(held.job.time_start or self.clock.now(), whole.reason)
        elif held.job.state is JobState.RUN:
            held.job = held.job.entered(JobState.READY, self.clock.now(), whole.reason or "requeued")


def _is_cancel_accepted(held: HeldJob) -> bool:
    return held.cancel is not None and held.cancel.accepted_at is not None


def _basis(held: HeldJob, phase: Followed, answer: Mapping[str, LocalJob]) -> Hashable:
    """Return all evidence except time, so that thousands of unchanged jobs cost almost nothing."""
    shown = [
        (scheduler_job_id, hash((frozenset(job.tasks.items()), job.unanswered)) if job else None)
        for scheduler_job_id, job in (
            (scheduler_job_id, answer.get(scheduler_job_id)) for scheduler_job_id in held.scheduler_job_ids
        )
    ]
    is_canceled, tasks = _is_cancel_accepted(held), frozenset(phase.canceled_tasks)
    return (held.is_elsewhere, phase.fingerprint, is_canceled, tasks, *shown)


def _unanswered(
    held: HeldJob,
    pending: list[int | None],
    records: Mapping[int | None, TaskRecords],
    answer: Mapping[str, LocalJob],
) -> str:
    """Return why a submission that may run the script has no answer, which rules out any conclusion."""
    holders = {records.get(task, NO_RECORDS).holder for task in pending}
    candidates = (
        held.scheduler_job_ids
        if None in holders
        else [scheduler_job_id for scheduler_job_id in held.scheduler_job_ids if scheduler_job_id in holders]
    )
    words = (
        answer[scheduler_job_id].unanswered for scheduler_job_id in candidates if scheduler_job_id in answer
    )
    return next(filter(None, words), "")


def _status(
    held: HeldJob, records: TaskRecords, task: int | None, answer: Mapping[str, LocalJob]
) -> SchedulerStatus | None:
    """Return the scheduler's status of the submission that counts: the lock's holder, or else any."""
    ids = held.scheduler_job_ids
    if records.holder and records.holder != BLOCKED:
        ids = (records.holder,)
    statuses = [
        answer[scheduler_job_id].tasks[task]
        for scheduler_job_id in ids
        if scheduler_job_id in answer
        and task in answer[scheduler_job_id].tasks
        and answer[scheduler_job_id].may_be_of(held.tag)
    ]
    alive = [status for status in statuses if status.life is not Life.ENDED]
    of_the_script = [status for status in statuses if status.may_concern_script]
    return next(iter(alive or of_the_script or statuses), None)


def _known_states(held: HeldJob) -> dict[int | None, TaskState]:
    if held.job.array_tid is None:
        return {None: TaskState(held.job.state)}
    known = held.job.tasks.as_dict()
    return {task: known.get(task, TaskState(JobState.READY)) for task in held.job.array_tid}


def _failures(job: Job) -> str:
    """List the tasks of an array that did not succeed, and how they ended."""
    return "; ".join(str(group) for group in job.tasks.groups if group.state is not JobState.DONE)
