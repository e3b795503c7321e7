"""The invariants of protocol section 9, checked at every write, at every call, at rest, at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import define, field

from cloudq.adapters.schedulers.scripted import ScriptedScheduler, Start
from cloudq.domain.job_state import FINAL_STATES
from cloudq.domain.outcome import Life as Stage
from tests.simulation.users import Wish, script_of

if TYPE_CHECKING:
    from tests.simulation.life import Life

FINAL = frozenset(state.value for state in FINAL_STATES)
OUT_OF_SIGHT = "out of this agent's sight"


def name_of(stream: str, task: int | None) -> str:
    return stream if task is None else f"{stream}.{task}"


@define
class Checks:
    """Breaks the story at the first sight of a promise that was not kept."""

    life: Life
    started_at_end: dict[str, int] = field(factory=dict)
    """How many starts a job's last claim had when its record became final."""

    def _break(self, promise: str) -> None:
        self.life.story.break_(promise)

    # At every write of a manifest ----------------------------------------------------------------

    def judge_manifest(self, job_id: str, old: dict[str, Any] | None, new: dict[str, Any]) -> None:
        self.life.story.tell("bucket", f"{job_id} is {new['state']}", f"claim {new.get('claim', 0)}")
        if old is not None and old["state"] in FINAL:
            self._break(f"I5 final record of {job_id} was rewritten: {old['state']} -> {new['state']}")
        if old is None and job_id in self.life.store.final:
            self._break(f"I7 the record of {job_id}, which was deleted, was written again")
        if new["state"] in FINAL:
            self.life.store.final[job_id] = new
            self._judge_end(job_id, new)

    def _judge_end(self, job_id: str, record: dict[str, Any]) -> None:
        tag = (job_id, record.get("claim", 0))
        starts = self._starts(*tag)
        self.started_at_end[job_id] = len(starts)
        for scheduler in self._schedulers():
            for job in scheduler._jobs.values():
                if (job.submission.tag.job_id, job.submission.tag.n) != tag:
                    continue
                for task, each in job.tasks.items():
                    if each.shell_holds and each.status.life is Stage.RUNNING:
                        self._break(f"I5 {job_id} became {record['state']} while task {task} runs")
        if OUT_OF_SIGHT not in record["error_msg"]:
            self._judge_logs(job_id, record, starts)

    def _judge_logs(self, job_id: str, record: dict[str, Any], starts: list[Start]) -> None:
        store, n = self.life.store, record.get("claim", 0)
        for task in {start.task for start in starts}:
            script = script_of(self.life, job_id, task)
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

    # At every call -------------------------------------------------------------------------------

    def at_every_call(self) -> None:
        for place in self.life.systems:
            acting = [slot for slot in self.life.slots if slot.place is place and slot.may_write()]
            if len(acting) > 1:
                names = " and ".join(slot.process.name for slot in acting if slot.process)
                self._break(f"I3 {names} may write at once")

    # When nobody is in the middle of anything ----------------------------------------------------

    def at_rest(self) -> None:
        self._starts_once()
        self._no_start_after_the_end()
        self._markers_stand()

    def _starts_once(self) -> None:
        seen: dict[tuple[str, int, int | None], list[Start]] = {}
        for scheduler in self._schedulers():
            for start in scheduler.starts:
                seen.setdefault((start.tag.job_id, start.tag.n, start.task), []).append(start)
        for (job_id, n, task), starts in seen.items():
            if len({start.local_id for start in starts}) > 1:
                self._break(f"I1 two submissions started {job_id}.{n} task {task}")
            if len(starts) > 1 + self.life.requeues.get(starts[0].local_id, 0):
                self._break(f"I1 {job_id}.{n} task {task} was started {len(starts)} times")

    def _no_start_after_the_end(self) -> None:
        for job_id, count in self.started_at_end.items():
            record = self.life.store.final[job_id]
            if len(self._starts(job_id, record.get("claim", 0))) > count:
                self._break(f"I5 {job_id} was started after its end")

    def _markers_stand(self) -> None:
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
                if not store.has(key):
                    self._break(f"I9 {key} is missing")

    # When trouble is over ------------------------------------------------------------------------

    def everybody_has_heard(self) -> None:
        store = self.life.store
        for slot in self.life.slots:
            if not slot.may_write() or slot.parts is None:
                continue
            system, holdings = slot.place.name, slot.parts.holdings
            known = holdings.held.keys() | holdings.invitations.keys()
            known |= holdings.withdraw | holdings.superseded
            for key in store.keys(f"queue/{system}/"):
                name = key.rsplit("/", 1)[1]
                is_marker, rang = name.count(".") == 1, key not in store.unannounced.get(system, ())
                if is_marker and rang and name not in {str(tag) for tag in known}:
                    self._break(f"I2 {system} was told of {name} and does not know of it")

    # When all trouble is over and everything had its time ----------------------------------------

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
            if not wish.is_delete_tried:
                self._break(f"I2 {job_id} is gone")
        elif record["state"] not in FINAL:
            if wish.is_confirmed or job_id in self.life.store.invited:
                self._break(f"I2 {job_id} is still {record['state']}")
            elif any(self._starts(job_id, n) for n in range(1, 9)):
                self._break(f"I4 {job_id} was run though it was never submitted")
        else:
            self._judge_right_end(job_id, wish, record)
            if OUT_OF_SIGHT not in record["error_msg"]:  # else pieces are all there is of its logs
                self._no_log_pieces(job_id, record.get("claim", 0))

    def _judge_right_end(self, job_id: str, wish: Wish, record: dict[str, Any]) -> None:
        state, n = record["state"], record.get("claim", 0)
        started = {start.task for start in self._starts(job_id, n)}
        what = f"I5 {job_id} is {state} ({record['error_msg']})"
        if state == "DELETED" and not wish.is_cancel_tried:
            self._break(f"{what}, and nobody canceled it")
        right = self._right_end(job_id, wish)
        if state == "DONE" and (right != "DONE" or started != set(wish.tasks)):
            self._break(f"{what}, but it should be {right}; started: {started}")
        if state == "TIMEOUT" and not self._times_out(job_id, wish):
            self._break(f"{what}, but it had time")
        if wish.is_cancel_tried or job_id in self.life.disturbed:
            return
        forgotten = any(script_of(self.life, job_id, task).dies_without_record for task in wish.tasks)
        if right == "TIMEOUT" and state == "ERROR" and self.life.schedulers_forget():
            return  # only the scheduler knew that it was the time limit
        if state != right and not forgotten:
            self._break(f"{what}, but it should be {right}")
        code = script_of(self.life, job_id, None).exit_code
        if (
            wish.array is None
            and right in {"DONE", "ERROR"}
            and record["exit_code"] != code
            and not forgotten
        ):
            self._break(f"{what} with exit code {record['exit_code']}, not {code}")

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
        if pieces and not self.life.was_paused:
            self._break(f"{pieces[0]} is left behind")

    def _histories(self) -> None:
        told = [key.split("~")[1] for key in self.life.store.keys("history/")]
        for job_id, wish in self.life.wishes.items():
            record = self.life.store.jobs.get(job_id)
            is_final = record is not None and record["state"] in FINAL
            if not wish.is_confirmed and job_id not in self.life.store.invited:
                continue  # no agent ever meets it: its owner ends what was begun
            if is_final and told.count(job_id) != 1:
                self._break(f"I8 {job_id} has {told.count(job_id)} history keys")
            if record is not None and not is_final and told.count(job_id):
                self._break(f"I8 {job_id} is not over and has a history key")
            if told.count(job_id) > 1 and not wish.is_delete_tried:
                self._break(f"I8 {job_id} has {told.count(job_id)} history keys")

    def _schedulers(self) -> list[ScriptedScheduler]:
        return [place.scheduler for place in self.life.systems]

    def _starts(self, job_id: str, n: int) -> list[Start]:
        return [
            start
            for scheduler in self._schedulers()
            for start in scheduler.starts
            if (start.tag.job_id, start.tag.n) == (job_id, n)
        ]
