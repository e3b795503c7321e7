"""Check the invariants of protocol section 9 at every write, at every call, at rest and at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

from attrs import define, field

from cloudq.domain.jobs.job_state import FINAL_STATES
from cloudq.domain.jobs.outcome import Life as Stage
from cloudq.domain.names import ClaimTag
from cloudq.domain.scripts.array_range import ArrayRange
from tests.parts.scripted_scheduler import ScriptedScheduler, Start
from tests.simulation.misfortunes import Begun
from tests.simulation.places import id_of
from tests.simulation.users import Wish, script_of

if TYPE_CHECKING:
    from tests.simulation.gate import Process
    from tests.simulation.life import Life
    from tests.simulation.places import Place, Slot

FINAL = frozenset(state.value for state in FINAL_STATES)
POLLS_TO_CANCEL = 2
REMOVED = (
    "were removed while it ran",
    "were removed before it had ended",
    "its files are gone",
    "canceled: its files and local job are gone",
    "canceled before it was started",
)
"""The messages of an agent that finds no files of a job."""
GIVEN_UP = "canceled before its outputs were in the store: they stay in"
OUT_OF_SIGHT = "out of this agent's sight"
WITHOUT_HOLDER = "without the agent of"


def _mentions(record: dict[str, Any], texts: tuple[str, ...]) -> bool:
    return any(text in record["error_msg"] for text in texts)


def name_of(stream: str, task: int | None) -> str:
    return stream if task is None else f"{stream}.{task}"


@define
class Checks:
    """The checks, which note a broken promise in the story as soon as they see it."""

    life: Life
    started_at_end: dict[str, int] = field(factory=dict)
    """The number of starts of a job's last claim when its record became final."""
    starts: dict[tuple[str, int], list[Begun]] = field(factory=dict)
    """The starts by job and claim."""
    seen_starts: dict[str, int] = field(factory=dict)
    judged_holds: set[tuple[str, int]] = field(factory=set)
    finds: Counter[tuple[int, ClaimTag]] = field(factory=Counter)
    """The number of answers of each scheduler to queries for each claim."""
    attempts: dict[Path, dict[int, int]] = field(factory=dict)
    """By control directory: for each attempt to submit, the number of the scheduler's answers until then."""
    deferred: set[tuple[Path | None, ClaimTag]] = field(factory=set)
    """Claims of a home whose last attempt was refused temporarily: nothing was submitted."""
    submitted: set[tuple[Path | None, ClaimTag]] = field(factory=set)
    """The claims for which a submit command was run from a home."""
    work_dirs: dict[Path, ClaimTag] = field(factory=dict)
    """The claim to which each work directory belongs."""
    outrun: list[tuple[Process | None, Process | None, int]] = field(factory=list)
    """Holders that have not noticed a successor on a copy of their host; the successor, and its epoch."""

    def _break(self, promise: str) -> None:
        self.life.story.break_(promise)

    # At every write of a manifest ----------------------------------------------------------------

    def judge_manifest(self, job_id: str, old: dict[str, Any] | None, new: dict[str, Any]) -> None:
        self.life.story.tell("bucket", f"{job_id} is {new['state']}", f"claim {new.get('claim', 0)}")
        if old is not None and old["state"] in FINAL:
            self._break(f"I5 final record of {job_id} was rewritten: {old['state']} -> {new['state']}")
        if old is None and job_id in self.life.store.final:
            self._judge_put_again(job_id, new)
        if old is not None and new["revision"] != old["revision"] + 1:
            self._break(f"I7 somebody's write of the record of {job_id} was undone")
        if new["state"] in FINAL:
            self.life.store.final[job_id] = new
            self._judge_end(job_id, new)

    def _judge_put_again(self, job_id: str, new: dict[str, Any]) -> None:
        """Judge a write of an absent final record: one that expired may return as it was."""
        if job_id in self.life.misfortunes.set_back and (
            self._lives(job_id) or self._ended_elsewhere(job_id)
        ):
            return  # its claim went back: nothing in the bucket leads a deletion to its holder
        if f"jobs/{job_id}/manifest.json" not in self.life.store.ever_expired:
            self._break(f"I7 the record of {job_id}, which was deleted, was written again")
        elif new["state"] != self.life.store.final[job_id]["state"] and not self._lost_its_cancel(job_id):
            self._break(f"I5 the final record of {job_id}, which had expired, came back as {new['state']}")

    def _ended_elsewhere(self, job_id: str) -> bool:
        """Return whether its final record was of another home than the one whose agent writes now."""
        acting = self.life.acting
        homes = self._homes_of(job_id, self.life.store.final[job_id])
        return acting is not None and acting.home not in homes

    def _lives(self, job_id: str) -> bool:
        """Return whether a scheduler has a job of it that has not ended."""
        of_all = (job for scheduler in self._schedulers() for job in scheduler._jobs.values())
        return any(job.submission.tag.job_id == job_id and not job.is_ended() for job in of_all)

    def _has_files(self, job_id: str) -> bool:
        """Return whether a home has files of it."""
        homes = [home for place in self.life.systems for home in place.homes]
        return any(any((home / "cache" / ".cloudq").glob(f"{job_id}.*")) for home in homes)

    def _lost_its_cancel(self, job_id: str) -> bool:
        """Return whether the request that informs the silent holder of the end has expired, too."""
        return any(f"/{job_id}." in key and key.endswith(".cancel") for key in self.life.store.ever_expired)

    def forget_ends(self) -> None:
        """Forget the ends of jobs whose records went back to a time before them."""
        for job_id in self.started_at_end.keys() - self.life.store.final.keys():
            del self.started_at_end[job_id]

    def judge_history(self, key: str) -> None:
        """Judge a new history entry: its job must be final, or deleted."""
        job_id = key.split("~")[1]
        record = self.life.store.jobs.get(job_id)
        is_set_back = job_id in self.life.misfortunes.set_back
        if record is not None and record["state"] not in FINAL and not is_set_back:
            self._break(f"I8 {job_id} is {record['state']} and gets a history key")

    def _judge_end(self, job_id: str, record: dict[str, Any]) -> None:
        if self.life.store.is_canceled_by_force(job_id) or self._is_canceled_in_its_place(job_id, record):
            return  # it may still run where no agent acts for it, and its owner was warned
        tag = (job_id, record.get("claim", 0))
        starts = self._starts_of(job_id, record)
        misfortunes, twins = self.life.misfortunes, self._twins_that_ran(*tag)
        if twins and self.life.acting and misfortunes.confirmed_at.keys() & {*twins, self.life.acting.home}:
            self.life.disturb(job_id)
            return  # a person confirmed a home whose twin still has jobs: each has its own locks
        self.started_at_end[job_id] = len(starts)
        self._judge_running(ClaimTag(*tag), record, twins)
        has_lost_files = _mentions(record, REMOVED)
        if has_lost_files and job_id in misfortunes.was_over:
            return  # its files were removed since its first end, and the bucket no longer has them
        if (has_lost_files and misfortunes.images) or twins:
            self.life.disturb(job_id)  # its files are in the other of two homes that nothing distinguishes
        elif not _mentions(record, (OUT_OF_SIGHT, GIVEN_UP)) and ClaimTag(*tag) not in misfortunes.purged:
            self._judge_logs(job_id, record, starts)

    def _judge_running(self, tag: ClaimTag, record: dict[str, Any], twins: set[Path]) -> None:
        """Judge the end of a claim: none of its tasks may still run, except in a twin of its home."""
        homes = self._homes_of(tag.job_id, record) - twins
        for job in (job for scheduler in self._schedulers() for job in scheduler._jobs.values()):
            if job.submission.tag != tag or homes.isdisjoint(job.submission.control_dir.parents):
                continue
            for task, each in job.tasks.items():
                if each.shell_holds and each.status.life is Stage.RUNNING:
                    self._break(f"I5 {tag.job_id} became {record['state']} while task {task} runs")

    def _twins_that_ran(self, job_id: str, n: int) -> set[Path]:
        """Return the twins of the home whose agent writes now from which the claim was submitted."""
        acting, images = self.life.acting, self.life.misfortunes.images
        if acting is None or acting.home not in images:
            return set()
        homes = {begun.home for begun in self.starts.get((job_id, n), [])}
        homes |= {home for home, tag in self.submitted if home and (tag.job_id, tag.n) == (job_id, n)}
        return homes & images - {acting.home}

    def _is_canceled_in_its_place(self, job_id: str, record: dict[str, Any]) -> bool:
        """Return whether a cancel took the number of the holder's claim, which went back (protocol 5.6)."""
        claim = self.life.store.newest_claim(job_id)
        took_its_place = claim is not None and claim["kind"] == "cancel" and claim["n"] == record.get("claim")
        return took_its_place and job_id in self.life.misfortunes.set_back

    def _judge_logs(self, job_id: str, record: dict[str, Any], starts: list[Start]) -> None:
        store, n = self.life.store, record.get("claim", 0)
        for task in {start.task for start in starts}:
            script = script_of(self.life, job_id, task, n)
            for stream in ("stdout", "stderr"):
                text = getattr(script, stream)
                key = f"jobs/{job_id}/{n}/{name_of(stream, task)}"
                if text and not store.has(key):
                    self._break(f"I5 {job_id} is {record['state']} without {key}")
                elif text and text.encode() not in store.body(key):
                    self._break(f"I5 {key} is not what the script wrote")
            if (
                script.outputs
                and record["state"] == "DONE"
                and not store.has(f"jobs/{job_id}/{n}/output.zip")
            ):
                self._break(f"I5 {job_id} is DONE without its output")
        if store.has(f"jobs/{job_id}/{n}/output.zip"):
            self._judge_output(job_id, n)

    def _judge_output(self, job_id: str, n: int) -> None:
        with ZipFile(BytesIO(self.life.store.body(f"jobs/{job_id}/{n}/output.zip"))) as archive:
            wrote = {name: archive.read(name) for name in archive.namelist() if name.startswith("out.")}
        for name, content in wrote.items():
            if content != f"claim {n}".encode():
                self._break(f"I5 {name} in the output of {job_id}.{n} is of {content.decode()}")

    # At every call -------------------------------------------------------------------------------

    def at_every_call(self) -> None:
        for slots in self.life.rivals:
            acting = [slot for slot in slots if slot.acts()]
            acting = [slot for slot in acting if not self._is_outrun(slot, acting)]
            if len(acting) > 1:
                names = " and ".join(slot.process.name for slot in acting if slot.process)
                self._break(f"I3 {names} may write at once")

    def _is_outrun(self, slot: Slot, acting: Sequence[Slot]) -> bool:
        """Return whether a copy of the host, with the same name and home, takes *slot*'s process for dead.

        Each succession is excused once, until *slot* has tried to renew its lease.
        """
        for other in acting:
            succession = (slot.process, other.process, other.parts.lease.epoch if other.parts else 0)
            if slot.seems_gone_on(other) and succession not in self.outrun and slot.process is not None:
                self.outrun.append(succession)
                slot.process.is_copied = True
                return True
        return False

    def before_a_cancel(self, process: Process, scheduler_job_ids: Sequence[str]) -> None:
        """Check that a scheduler job is canceled for its owner, for a newer claim, or as a duplicate.

        A duplicate is a job beside another one of the same claim.
        """
        scheduler = process.scheduler()
        for scheduler_job_id in scheduler_job_ids:
            job = scheduler._jobs.get(scheduler_job_id)
            wish = self.life.wishes.get(job.submission.tag.job_id) if job else None
            if job is None or wish is None or job.is_ended() or wish.is_cancel_tried or wish.is_taken_back:
                continue
            tag = job.submission.tag
            if tag.job_id in self.life.disturbed or tag.n > 1:
                continue
            if [each.tag for _, each in scheduler.submissions].count(tag) == 1:
                self._break(
                    f"I5 local job {scheduler_job_id} of {tag} is canceled, and nobody asked for that"
                )

    def after_a_call(
        self, process: Process, method: str, args: tuple[Any, ...], inner: Any, answer: Any
    ) -> None:
        """Check a call of *process* to a scheduler or to a claim's files."""
        if (check := _AFTER.get(method)) is not None:
            check(self, process, args, inner, answer)

    def _note_find(self, _process: Process, args: tuple[Any, ...], inner: Any, _: Any) -> None:
        self.finds[id(inner), args[0]] += 1

    def _judge_poll(self, process: Process, args: tuple[Any, ...], scheduler: Any, _: Any) -> None:
        """Check protocol 4.3: a second submission of a claim whose script runs is canceled."""
        asked = {job.scheduler_job_id: job for each in args[0] if (job := scheduler._jobs.get(each))}
        running = {
            job.submission.tag: job.scheduler_job_id
            for job in asked.values()
            if all(task.shell_holds or task.status.life is Stage.ENDED for task in job.tasks.values())
            and not job.is_ended()
            and process.home in job.submission.control_dir.parents
        }
        for scheduler_job_id, job in asked.items():
            if process.home not in job.submission.control_dir.parents:
                continue  # another home submitted it, with its own locks
            if job.submission.tag in self.life.misfortunes.purged:
                continue  # no lock shows which of them runs, until the files count as removed (protocol 5.7)
            is_waiting = all(task.status.life is Stage.QUEUED for task in job.tasks.values())
            if is_waiting and running.get(job.submission.tag, scheduler_job_id) != scheduler_job_id:
                process.beside[scheduler_job_id] += 1
                if process.beside[scheduler_job_id] > POLLS_TO_CANCEL:
                    self._break(
                        f"I1 local job {scheduler_job_id} of {job.submission.tag} waits beside another"
                    )

    def _judge_attempt(self, process: Process, args: tuple[Any, ...], space: Any, _: Any) -> None:
        """Check protocol 4.4: after an attempt with unknown outcome, the agent asks twice before the next."""
        number, tag = args[0], space.tag
        if self.work_dirs.setdefault(space.work_dir, tag) != tag:
            self._break(f"I7 {tag} has the work directory of {self.work_dirs[space.work_dir]}")
        scheduler = process.scheduler()
        asked = self.finds[id(scheduler), tag]
        begun = self.attempts.setdefault(space.control_dir, {})
        if tag in self.life.misfortunes.purged and (process.home, tag) not in self.submitted:
            begun.clear()  # its intent vanished before the submit command
        if not space.job_shell.exists():
            begun.clear()  # a stopped process goes on after the files were removed: nothing can start
        if number in begun:
            self._break(f"I1 attempt {number} of {tag} was begun twice")
        before = begun.get(number - 1)
        if before is not None and asked - before < 2 and (process.home, tag) not in self.deferred:
            self._break(f"I1 {tag} was submitted again, and the scheduler was asked {asked - before} times")
        self.deferred.discard((process.home, tag))
        begun[number] = asked

    def _judge_publishing(self, process: Process, _args: tuple[Any, ...], making: Any, _: Any) -> None:
        """Check that no agent, not even a former holder, replaces files from which a script was started."""
        scheduler, home = process.scheduler(), process.home
        started = {start.scheduler_job_id for start in scheduler.starts if start.tag == making.tag}
        for scheduler_job_id, submission in scheduler.submissions if started else ():
            of_this_home = home in submission.control_dir.parents and submission.tag == making.tag
            if (
                of_this_home
                and scheduler_job_id in started
                and making.tag not in self.life.misfortunes.purged
            ):
                self._break(f"I1 the files of {making.tag}, whose script has started, were made anew")

    # At rest -------------------------------------------------------------------------------------

    def at_rest(self) -> None:
        self._starts_once()
        self._held_jobs_wait()
        self._no_start_after_the_end()
        self._queue_entries_stand()

    def _starts_once(self) -> None:
        for place in self.life.systems:
            starts = place.scheduler.starts
            for start in starts[self.seen_starts.get(place.name, 0) :]:
                submitted_at = place.scheduler.accepted_at[start.scheduler_job_id]
                begun = Begun(place.name, self._home_of(place, start), start, submitted_at)
                self.starts.setdefault((start.tag.job_id, start.tag.n), []).append(begun)
                self._judge_starts(begun)
            self.seen_starts[place.name] = len(starts)

    def _home_of(self, place: Place, start: Start) -> Path:
        """Return the home whose agent submitted the job that started."""
        of_claim = [each for _, each in place.scheduler.submissions if each.tag == start.tag]
        started = dict(place.scheduler.submissions).get(start.scheduler_job_id)
        control_dir = (started if started in of_claim else of_claim[-1]).control_dir
        return next(home for home in place.homes if home in control_dir.parents)

    def _judge_starts(self, begun: Begun) -> None:
        start, misfortunes = begun.start, self.life.misfortunes
        of_task = [
            (each.system, each.start.scheduler_job_id)
            for each in self.starts[start.tag.job_id, start.tag.n]
            if each.start.task == start.task and not misfortunes.hid(each, begun)
        ]
        if misfortunes.is_confirmed and start.tag.job_id in misfortunes.set_back:
            return  # a person let jobs start again that ran elsewhere before the bucket went back
        if len(set(of_task)) > 1:
            self._break(f"I1 two submissions started {start.tag} task {start.task}")
        if len(of_task) > 1 + self.life.requeues[begun.system, start.tag]:
            self._break(f"I1 {start.tag} task {start.task} was started {len(of_task)} times")

    def _held_jobs_wait(self) -> None:
        """Check that the dependencies of a job are over before it starts."""
        final = self.life.store.final
        for job_id, n in self.starts.keys() - self.judged_holds:
            self.judged_holds.add((job_id, n))
            wish = self.life.wishes.get(job_id)
            if wish is None:  # its submission is still under way
                self.judged_holds.discard((job_id, n))
                continue
            for needed in (*wish.hold, *wish.hold_ok):
                is_set_back = needed in self.life.misfortunes.set_back
                if needed not in final and not self._has_expired(needed) and not is_set_back:
                    self._break(f"I5 {job_id} was started before {needed} was over")
            for needed in wish.hold_ok:
                if needed in final and final[needed]["state"] != "DONE":
                    self._break(f"I5 {job_id} was started though {needed} was not DONE")

    def _no_start_after_the_end(self) -> None:
        misfortunes = self.life.misfortunes
        for job_id, count in self.started_at_end.items():
            record = self.life.store.final[job_id]
            if misfortunes.images and (job_id in misfortunes.set_back or misfortunes.confirmed_at):
                continue  # the bucket went back to what an image knew of it, or a person confirmed one
            if len(self._starts_of(job_id, record)) > count:
                self._break(f"I5 {job_id} was started after its end")

    def _queue_entries_stand(self) -> None:
        for job_id, wish in self.life.wishes.items():
            store = self.life.store
            record = store.jobs.get(job_id)
            if record is None or record["state"] in FINAL or not wish.is_confirmed:
                continue
            claim = store.newest_claim(job_id)
            if claim is None:
                wanted = [f"queue/{system}/{job_id}.1" for system in wish.systems]
            elif claim["kind"] == "run":
                wanted = [f"queue/{claim['system']}/{job_id}.{claim['n']}"]
            else:
                continue
            for key in wanted:
                is_set_back = job_id in self.life.misfortunes.set_back
                if not (store.has(key) or key in store.expired or is_set_back):
                    self._break(f"I9 {key} is missing")

    # When trouble is over ------------------------------------------------------------------------

    def everybody_has_heard(self, told: set[str]) -> None:
        """Check that agents know of the queue entries *told*, whose doorbell rang before their last poll."""
        store = self.life.store
        for slot in self.life.slots:
            if not slot.acts() or slot.parts is None or store.list_lag_s:
                continue
            system, holdings = slot.place.name, slot.parts.holdings
            known = holdings.held.keys() | holdings.invitations.keys()
            known |= holdings.withdraw | holdings.superseded
            for key in store.keys(f"queue/{system}/"):
                name = key.rsplit("/", 1)[1]
                is_queue_entry = name.count(".") == 1
                if is_queue_entry and key in told and name not in {str(tag) for tag in known}:
                    self._break(f"I2 {system} was told of {name} and does not know of it")

    # At the end ----------------------------------------------------------------------------------

    def at_the_end(self) -> None:
        self.at_rest()
        for job_id, wish in self.life.wishes.items():
            self._judge_life(job_id, wish)
        for key in self.life.store.keys("queue/"):
            self._break(f"I8 {key} is left behind")
        self._histories()
        for told in self.life.log.defects():
            self._break(f"a defect was logged: {told[2]}")

    def _judge_life(self, job_id: str, wish: Wish) -> None:
        record = self.life.store.jobs.get(job_id)
        if record is None:
            is_set_back = job_id in self.life.misfortunes.set_back
            if not (self.life.users.may_be_deleted(wish) or self.is_nobodys(job_id) or is_set_back):
                self._break(f"I2 {job_id} is gone")
        elif record["state"] not in FINAL and self.is_nobodys(job_id):
            return
        elif record["state"] not in FINAL:
            if wish.is_confirmed or job_id in self.life.store.invited:
                self._break(f"I2 {job_id} is still {record['state']}")
            elif any(self._starts(job_id, n) for n in range(1, 9)):
                self._break(f"I4 {job_id} was run though it was never submitted")
        else:
            self._judge_right_end(job_id, wish, record)
            if not _mentions(record, (OUT_OF_SIGHT, WITHOUT_HOLDER, GIVEN_UP)):
                # otherwise the pieces are all that exists of its logs
                self._no_log_pieces(job_id, record.get("claim", 0))

    def is_nobodys(self, job_id: str) -> bool:
        """Return whether objects of the job expired, or went back, while no claim held it.

        No process can put such objects again.
        """
        store, claim = self.life.store, self.life.store.newest_claim(job_id)
        if job_id in self.life.misfortunes.lost and job_id not in store.jobs:
            return True
        is_held = claim is not None and claim["kind"] == "run" and job_id not in store.final
        misfortunes = self.life.misfortunes
        went_back = job_id in misfortunes.set_back and not is_held
        if went_back or misfortunes.ended_unnoticed(job_id, claim):
            return not store.is_offered(job_id)
        if is_held:
            return self._entry_expired(job_id) and (self._has_expired(job_id) or self._is_untraced(job_id))
        return any(job_id in key for key in store.ever_expired)

    def _is_untraced(self, job_id: str) -> bool:
        """Return whether neither a summary nor a home leads an agent to the job."""
        return not (self.life.store.is_summarized(job_id) or self._has_files(job_id))

    def _entry_expired(self, job_id: str) -> bool:
        expired = self.life.store.ever_expired
        return any(key.startswith("queue/") and f"/{job_id}." in key for key in expired)

    def _has_expired(self, job_id: str) -> bool:
        return f"jobs/{job_id}/manifest.json" in self.life.store.ever_expired

    def _judge_right_end(self, job_id: str, wish: Wish, record: dict[str, Any]) -> None:
        state, n = record["state"], record.get("claim", 0)
        started = {start.task for start in self._starts(job_id, n)}
        what = f"I5 {job_id} is {state} ({record['error_msg']})"
        final = self.life.store.final
        if any(needed in final and final[needed]["state"] != "DONE" for needed in wish.hold_ok):
            if state != "DELETED":
                self._break(f"{what}, and what it was to run after was not DONE")
            return
        right = self._right_end(job_id, wish)
        went_back = wish.is_taken_back and job_id in self.life.misfortunes.set_back
        if state == "DELETED" and not (wish.is_cancel_tried or wish.canceled_tasks or went_back):
            self._break(f"{what}, and nobody canceled it")
        if state == "DONE" and (right != "DONE" or started != set(wish.tasks)):
            self._break(f"{what}, but it should be {right}; started: {started}")
        if state == "TIMEOUT" and not self._times_out(job_id, wish):
            self._break(f"{what}, but it had time")
        if not wish.is_cancel_tried and job_id not in self.life.disturbed:
            self._judge_undisturbed(job_id, wish, record, right)

    def _judge_undisturbed(self, job_id: str, wish: Wish, record: dict[str, Any], right: str) -> None:
        """Judge the end of a job that neither its owner nor the scheduler disturbed."""
        state, what = record["state"], f"I5 {job_id} is {record['state']} ({record['error_msg']})"
        if wish.array:
            self._judge_tasks(job_id, wish, record)
        forgotten = any(script_of(self.life, job_id, task).dies_without_record for task in wish.tasks)
        if wish.canceled_tasks or forgotten:
            return
        if right == "TIMEOUT" and state == "ERROR" and self.life.schedulers_forget():
            return  # only the scheduler could show that it was the time limit
        if state != right:
            self._break(f"{what}, but it should be {right}")
        code = script_of(self.life, job_id, None).exit_code
        if wish.array is None and right in {"DONE", "ERROR"} and record["exit_code"] != code:
            self._break(f"{what} with exit code {record['exit_code']}, not {code}")

    def _judge_tasks(self, job_id: str, wish: Wish, record: dict[str, Any]) -> None:
        """Judge the final state of each task that was not canceled."""
        ends = {
            task: group["state"]
            for group in record["tasks"]
            for task in ArrayRange.parse(group["ids"], lowest=0)
        }
        for task in wish.tasks:
            script = script_of(self.life, job_id, task)
            right = self._end_of(job_id, task, wish.limit_s)
            if task in wish.canceled_tasks or script.dies_without_record:
                continue
            if right == "TIMEOUT" and self.life.schedulers_forget():
                continue
            if ends.get(task) != right:
                self._break(f"I5 task {task} of {job_id} is {ends.get(task)}, but it should be {right}")

    def _right_end(self, job_id: str, wish: Wish) -> str:
        ends = {self._end_of(job_id, task, wish.limit_s) for task in wish.tasks}
        return next(state for state in ("ERROR", "TIMEOUT", "DONE") if state in ends)

    def _end_of(self, job_id: str, task: int | None, limit_s: float | None) -> str:
        script = script_of(self.life, job_id, task)
        if limit_s is not None and limit_s < script.duration_s:
            return "TIMEOUT"
        return "ERROR" if script.exit_code else "DONE"

    def _times_out(self, job_id: str, wish: Wish) -> bool:
        return any(self._end_of(job_id, task, wish.limit_s) == "TIMEOUT" for task in wish.tasks)

    def _no_log_pieces(self, job_id: str, n: int) -> None:
        pieces = self.life.store.keys(f"jobs/{job_id}/{n}/log/")
        # A LIST that is late does not show the newest pieces; they stay until the job is deleted.
        if pieces and not self.life.was_paused and not self.life.store.list_lag_s:
            self._break(f"{pieces[0]} is left behind")

    def _histories(self) -> None:
        told = [key.split("~")[1] for key in self.life.store.keys("history/")]
        for job_id, wish in self.life.wishes.items():
            record = self.life.store.jobs.get(job_id)
            is_final = record is not None and record["state"] in FINAL
            if not wish.is_confirmed and job_id not in self.life.store.invited:
                continue  # no agent ever sees it: its owner ends the submission
            if job_id in self.life.misfortunes.set_back:
                if is_final and not told.count(job_id) and job_id in self.life.store.invited:
                    self._break(f"I8 {job_id} has no history key")
                continue
            if not told.count(job_id) and self._entry_expired(job_id):
                continue  # its writer died, and nothing leads an agent to the job
            if is_final and told.count(job_id) != 1:
                self._break(f"I8 {job_id} has {told.count(job_id)} history keys")
            if record is not None and not is_final and told.count(job_id):
                self._break(f"I8 {job_id} is not over and has a history key")
            if told.count(job_id) > 1 and not self.life.users.may_be_deleted(wish):
                self._break(f"I8 {job_id} has {told.count(job_id)} history keys")

    def _schedulers(self) -> list[ScriptedScheduler]:
        return [place.scheduler for place in self.life.systems]

    def _starts_of(self, job_id: str, record: dict[str, Any]) -> list[Start]:
        """Return the starts that *record* reports."""
        homes = self._homes_of(job_id, record)
        self._starts_once()
        of_claim = self.starts.get((job_id, record.get("claim", 0)), [])
        return [begun.start for begun in of_claim if begun.home in homes]

    def _homes_of(self, job_id: str, record: dict[str, Any]) -> set[Path]:
        """Return the homes of which *record* reports: usually all.

        If the claim of a home went back with the bucket, another one may have made a claim of its number.
        """
        homes = {home for place in self.life.systems for home in place.homes}
        its_own = record.get("home")
        if not its_own or job_id not in self.life.misfortunes.set_back:
            return homes
        return {home for home in homes if id_of(home) == its_own}

    def _starts(self, job_id: str, n: int) -> list[Start]:
        self._starts_once()
        return [begun.start for begun in self.starts.get((job_id, n), [])]


_AFTER: dict[str, Callable[[Checks, Process, tuple[Any, ...], Any, Any], None]] = {
    "find": Checks._note_find,
    "poll": Checks._judge_poll,
    "begin_attempt": Checks._judge_attempt,
    "publish": Checks._judge_publishing,
}
