"""Put in bugs on purpose: ``python -m tests.simulation.mutants`` shows how soon each is found.

A check that no longer works would never see a broken promise; here, such a check is noticed.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from attrs import evolve

from cloudq.adapters.job_repository import jobs as bucket_jobs
from cloudq.adapters.job_repository import keys, records
from cloudq.adapters.workspace.claim_space import DirectoryClaimSpace
from cloudq.application.agent import follow_jobs, take_jobs
from cloudq.application.agent.cancel_held_jobs import CancelHeldJobs
from cloudq.application.agent.check_dependencies import CheckDependencies
from cloudq.application.agent.finish_jobs import FinishJobs
from cloudq.application.agent.follow_jobs import FollowJobs
from cloudq.application.agent.hand_over_job import HandOverJob
from cloudq.application.agent.held_job import Cancel, Ending, Uploaded
from cloudq.application.agent.hold_lease import HoldLease
from cloudq.application.agent.holdings import Requests
from cloudq.application.agent.stop_claim import StopClaim
from cloudq.application.agent.watch_queue import WatchQueue
from cloudq.application.client.submit_job import SubmitJob
from cloudq.application.shared.end_job import EndJob
from cloudq.application.shared.take_back_job import TakeBackJob
from cloudq.domain.errors import RecordChanged, SchedulerUnavailable
from cloudq.domain.jobs import outcome
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.lease import HeldLease
from cloudq.domain.jobs.outcome import Evidence
from cloudq.domain.jobs.task_states import TaskState
from cloudq.domain.names import ClaimTag
from cloudq.ports.batch_scheduler import LocalJob
from tests.parts.memory import place_in_memory
from tests.parts.scripted_scheduler import ScriptedScheduler
from tests.simulation import site_mutants
from tests.simulation.bugs import Found, Mutant, change, mutant, registered
from tests.simulation.run import How, live, never_wait_for_a_disk
from tests.simulation.tally import Tally

FIRST_SEED = 0

# The start ------------------------------------------------------------------------------------------


@mutant("a submission that comes late starts the script a second time", "I1")
def no_lock_in_the_job_shell(stack: ExitStack) -> None:
    real = ScriptedScheduler._take_lock

    def take(self: Any, job: Any, number: Any, task: Any) -> bool:
        real(self, job, number, task)
        task.shell_holds = job.submission.control_dir.is_dir()
        return task.shell_holds

    change(stack, ScriptedScheduler, "_take_lock", take)


@mutant(
    "after a crash no record shows what was submitted: the ledger prevents a second start, not a wrong end",
    "I1",
    "I5",
)
def no_intent(stack: ExitStack) -> None:
    change(stack, DirectoryClaimSpace, "begin_attempt", lambda self, n, *_: self.attempt_files(n))


@mutant("the scheduler may have taken the job though the command gave no answer", "I1")
def resubmit_without_asking_by_tag(stack: ExitStack) -> None:
    def submit(self: Any, work: Any, last: Any, *_: Any) -> Any:
        return self._submit(work, last.number + 1)

    change(stack, HandOverJob, "_look_for", submit)


@mutant("a queue that is slow to show a job hides it from one look", "I1")
def resubmit_after_one_look(stack: ExitStack) -> None:
    def look(self: Any, work: Any, last: Any, _problems: Any) -> Any:
        if scheduler_job_ids := self.scheduler.find(work.tag):
            return self._submitted(work, scheduler_job_ids, last.command, ())
        return self._submit(work, last.number + 1)

    change(stack, HandOverJob, "_look_for", look)


@mutant("a submission that got no answer may still start after the end of the job", "I5", "I2")
def ended_without_blocking_the_lock(stack: ExitStack) -> None:
    change(stack, StopClaim, "block", lambda *_: ())


@mutant("two claims on one job overwrite each other's files", "I7", "I5")
def work_directory_shared_by_claims(stack: ExitStack) -> None:
    real = DirectoryClaimSpace.__init__

    def init(self: Any, cache: Path, *args: Any, **kwargs: Any) -> None:
        real(self, cache, *args, **kwargs)
        object.__setattr__(self, "work_dir", cache / self.tag.job_id)

    change(stack, DirectoryClaimSpace, "__init__", init)
    change(stack, DirectoryClaimSpace, "_owns_work_dir", lambda _: True)


@mutant("a submission that holds no lock waits in the queue for nothing", "I1")
def second_id_under_the_tag_not_canceled(stack: ExitStack) -> None:
    change(stack, FollowJobs, "_cancel_extra_submissions", lambda *_: None)


@mutant(
    "ids start again when a scheduler is reset, and a different job with the same id is followed, or ended",
    "I5",
)
def scheduler_job_id_believed(stack: ExitStack) -> None:
    change(stack, LocalJob, "may_be_of", lambda *_: True)


# The lease ------------------------------------------------------------------------------------------


@mutant("an agent that was held up continues beside its successor", "I3", "I7", "I5")
def lease_never_checked(stack: ExitStack) -> None:
    change(stack, HeldLease, "may_write", lambda *_: True)
    change(stack, HeldLease, "is_lapsed", lambda *_: False)


@mutant("a heartbeat that took long, and arrived too late, counts for longer than its waiter waits", "I3")
def beat_counted_from_the_answer(stack: ExitStack) -> None:
    def send_heartbeat(self: Any) -> None:
        with self._lock:
            held = self._held
            if held is not None and not held.is_lapsed(self._now(held)):
                self._held = evolve(self._heartbeat_sent(held), sent_at=self.clock.elapsed())

    change(stack, HoldLease, "send_heartbeat", send_heartbeat)


@mutant("a holder that is slow is treated as dead", "I3")
def successor_does_not_wait(stack: ExitStack) -> None:
    change(stack, HoldLease, "_may_succeed", lambda *_: True)


# The bucket -----------------------------------------------------------------------------------------


@mutant(
    "if a writer's own retry is answered with 412, every writer becomes the winner", "I1", "I2", "I3", "I7"
)
def nonce_not_compared_after_an_unknown_outcome(stack: ExitStack) -> None:
    change(stack, records, "_is_ours", lambda *_: True)


@mutant("two systems that find no claim both create one", "I1", "I3")
def claim_written_without_a_condition(stack: ExitStack) -> None:
    real = records.create

    def create(store: Any, key: str, body: bytes) -> Any:
        return store.put(key, body) if "/claims/" in key else real(store, key, body)

    change(stack, bucket_jobs, "create", create)


@mutant(
    "an agent finds an incomplete job, or drops a queue entry that no process puts again",
    "I2",
    "I4",
    "I5",
    "I9",
)
def queue_entry_before_the_manifest(stack: ExitStack) -> None:
    real = SubmitJob._reserve

    def reserve(self: Any, job: Any) -> Any:
        for system in job.invited:
            self.queue.invite(system, ClaimTag(job.uuid, 1))
        return real(self, job)

    change(stack, SubmitJob, "_reserve", reserve)
    change(stack, SubmitJob, "_invite", lambda *_, ring: [])


@mutant("a process that read the record long ago undoes what was written since", "I5", "I7")
def manifest_written_without_if_match(stack: ExitStack) -> None:
    change(stack, bucket_jobs, "replace", lambda store, key, body, _etag: store.put(key, body))


@mutant("a job that ended in the meantime is offered again", "I5", "I7", "I1")
def release_without_if_match(stack: ExitStack) -> None:
    def back(self: Any, job_id: str, release: Any) -> Any:
        stored = take_jobs.load_or_none(self.jobs, job_id)
        if stored is None:
            return None
        job = stored.job
        if job.is_final:
            job = evolve(job, state=JobState.RUN, history_key="", time_finish=None)
        back = job.taken_back(self.clock.now(), release.systems, "taken back")
        back = evolve(back, revision=stored.job.revision + 1, nonce=self.ids.nonce())
        self.jobs.store.put(keys.manifest(job_id), bucket_jobs.encode_job(back))
        return stored

    change(stack, TakeBackJob, "_back_to_init", back)


@mutant("a cancel that finds the job ended records it as canceled", "I5")
def final_record_not_respected_by_cancel(stack: ExitStack) -> None:
    def make_final(self: Any, stored: Any, claim: Any) -> Any:
        for _ in range(5):
            alive = evolve(stored.job, state=JobState.RUN) if stored.job.is_final else stored.job
            try:
                return self.jobs.replace(stored, self._canceled(alive, claim))
            except RecordChanged:
                stored = self.jobs.load(stored.job.uuid)
        return stored

    change(stack, EndJob, "_make_final", make_final)


@mutant("a crash before the manifest is written leaves a history entry for a running job", "I8")
def history_before_manifest(stack: ExitStack) -> None:
    real = FinishJobs._final

    def final(self: Any, held: Any) -> Any:
        job = real(self, held)
        self.jobs.put_history(job.history_key)
        return job

    change(stack, FinishJobs, "_final", final)


@mutant("a crash before the manifest is written leaves a job that no agent can find", "I9", "I2")
def queue_entry_deleted_too_early(stack: ExitStack) -> None:
    real = FinishJobs._start

    def start(self: Any, held: Any) -> Any:
        self.holdings.withdraw.add(held.tag)
        return real(self, held)

    change(stack, FinishJobs, "_start", start)


@mutant("a job is shown as over before its results can be read", "I5")
def logs_after_manifest(stack: ExitStack) -> None:
    real_stage_out, real_put_away = FinishJobs._stage_out, FinishJobs._put_away

    def put_away(self: Any, held: Any) -> None:
        real_stage_out(self, held, held.phase)
        real_put_away(self, held)

    change(stack, FinishJobs, "_stage_out", lambda *_: Uploaded())
    change(stack, FinishJobs, "_put_away", put_away)


@mutant("if the LIST fails, or is older than the ring of the doorbell, the announced change is missed", "I2")
def doorbell_kept_before_the_list(stack: ExitStack) -> None:
    def watch(self: Any) -> None:
        bell, now = self.queue.doorbell(self.system, self._bell), self.clock.elapsed()
        if bell == self._bell and not self._is_due(now):
            return
        self._bell, self._listed_at = bell, now
        self._take(self.queue.listing(self.system), now)

    change(stack, WatchQueue, "__call__", watch)


@mutant("a client waits in vain for the states of now, and its request stays in the queue", "I8")
def refresh_requests_not_answered(stack: ExitStack) -> None:
    change(stack, Requests, "answer_refreshes", lambda *_: None)


# The end --------------------------------------------------------------------------------------------


@mutant("a job that is no longer in the queue has not necessarily succeeded", "I5")
def empty_queue_means_done(stack: ExitStack) -> None:
    real = outcome._decide_without_verdict

    def decide(evidence: Evidence, record: Any) -> TaskState | None:
        if record is None and evidence.status is None:
            return TaskState(JobState.DONE, 0)
        return real(evidence, record)

    change(stack, outcome, "_decide_without_verdict", decide)


@mutant("a network file system shows the exit record some seconds late", "I5")
def grace_of_no_seconds(stack: ExitStack) -> None:
    real = follow_jobs.decide
    change(stack, follow_jobs, "decide", lambda evidence: real(evolve(evidence, grace_s=0.0)))


@mutant("a scheduler that is down has not lost all its jobs", "I5", "I6")
def failed_query_means_nothing_there(stack: ExitStack) -> None:
    real = ScriptedScheduler.poll

    def poll(self: Any, scheduler_job_ids: Any) -> Any:
        try:
            return real(self, scheduler_job_ids)
        except SchedulerUnavailable:
            return {}

    change(stack, ScriptedScheduler, "poll", poll)


@mutant("a requeue leaves the record of the interrupted run", "I5")
def exit_record_believed_of_a_live_job(stack: ExitStack) -> None:
    real = follow_jobs.decide

    def decide(evidence: Evidence) -> TaskState | None:
        return real(evidence if evidence.exit is None else evolve(evidence, status=None, start=None))

    change(stack, follow_jobs, "decide", decide)


@mutant("the scheduler has only noted that the job should end", "I5")
def cancel_accepted_means_ended(stack: ExitStack) -> None:
    real = follow_jobs.decide

    def decide(evidence: Evidence) -> TaskState | None:
        return TaskState(JobState.DELETED) if evidence.cancel_accepted else real(evidence)

    change(stack, follow_jobs, "decide", decide)


@mutant("the scheduler did not answer, so the job may still run", "I5")
def cancel_counts_without_an_answer(stack: ExitStack) -> None:
    real = CancelHeldJobs._cancel

    def cancel(self: Any, held: Any, now: float) -> None:
        try:
            real(self, held, now)
        except SchedulerUnavailable:
            held.cancel = Cancel(accepted_at=now)
            held.enter(Ending(TaskState(JobState.DELETED)))

    change(stack, CancelHeldJobs, "_cancel", cancel)


@mutant("a script that needs the results of another job starts without them", "I5")
def dependencies_not_waited_for(stack: ExitStack) -> None:
    change(stack, CheckDependencies, "why_waiting", lambda *_: "")


HEAD = "| bug put in on purpose | why it would matter | breaks | lives | seed |\n|---|---|---|---|---|\n"
MUTANTS: tuple[Mutant, ...] = (*registered(), *site_mutants.BUGS)


# The search for them --------------------------------------------------------------------------------


def find(bug: Mutant, base: Path, first: int = FIRST_SEED) -> Found | None:
    """Live worlds with the bug until one of the promises that it must break is broken."""
    tally, seed = Tally(), first
    with bug.applied():
        while tally.jobs < bug.most_lives:
            live(seed, How(base, kinds=bug.kinds), tally)
            story = tally.broken.pop(seed, "")
            for promise in _promises(story):
                if promise in bug.breaks:
                    return Found(promise, tally.jobs, seed)
            if any(sign in story for sign in ("let out", "Traceback", "a defect was logged")):
                raise AssertionError(f"{bug.name} is no such bug, it does not run:\n{story[-2000:]}")
            seed += 1
    return None


def _promises(story: str) -> list[str]:
    """Return the invariants that a story reports as broken."""
    return re.findall(r"!!! +(I\d) ", story)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="those whose names have this in them")
    parser.add_argument("--first", type=int, default=FIRST_SEED, help="the first seed")
    chosen = parser.parse_args()
    never_wait_for_a_disk()
    missed = 0
    sys.stdout.write(HEAD)
    with tempfile.TemporaryDirectory(dir=place_in_memory()) as base:
        for bug in MUTANTS:
            if chosen.only in bug.name:
                began = time.monotonic()
                found = find(bug, Path(base), chosen.first)
                missed += found is None
                sys.stdout.write(f"{row(bug, found)}\n")
                sys.stderr.write(f"{time.monotonic() - began:.1f} s\n")
                sys.stdout.flush()
    return 1 if missed else 0


def row(bug: Mutant, found: Found | None) -> str:
    """Return a line of the table."""
    told = f"{found.promise} | {found.lives} | {found.seed}" if found else f"- | not in {bug.most_lives} | "
    return f"| {bug.name} | {bug.why} | {told} |"


if __name__ == "__main__":
    sys.exit(main())
