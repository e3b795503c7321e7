"""Simulate people: they submit, cancel, take back, follow and delete at any moment."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

from attrs import define, evolve, field

from cloudq.application.client.submit_job import Submitted
from cloudq.bootstrap.client import ClientParts, wire_client
from cloudq.domain.errors import CloudqError
from cloudq.domain.jobs.claim import ClaimKind
from cloudq.domain.jobs.dependency import Holds
from cloudq.domain.jobs.job_request import JobRequest
from cloudq.domain.names import ClaimTag
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.domain.scripts.jobscript import Jobscript
from cloudq.domain.scripts.meta_script import MetaScript
from cloudq.domain.scripts.target import AnySystem, Pinned
from tests.parts.inline_workers import InlineWorkers
from tests.parts.scripted_scheduler import Script
from tests.parts.trap import Killed
from tests.simulation.gate import Gated, Process
from tests.simulation.machines import Host, HostClock

if TYPE_CHECKING:
    from tests.simulation.life import Life

SCRIPT = Jobscript("run.sh", b"#!/bin/bash\n#LOCAL --slots 1\necho hello\n")
META_SCRIPT = Jobscript(
    "mjob.sh", b"#$ project: p\n#$ resource: cpu\n#$ n_resource: 1\n#$ walltime: 1h\necho hello\n"
)
_TIME = re.compile(r"--time (\d+)s")


@define
class Wish:
    """The facts about a job that a user submitted, or tried to submit."""

    job_id: str
    systems: tuple[str, ...]
    array: str | None
    limit_s: float | None
    hold: tuple[str, ...]
    hold_ok: tuple[str, ...]
    is_confirmed: bool = False
    is_cancel_tried: bool = False
    is_taken_back: bool = False
    is_delete_tried: bool = False
    canceled_tasks: set[int] = field(factory=set)

    @classmethod
    def of(cls, record: dict[str, Any], *, is_confirmed: bool) -> Wish:
        """Return the owner's wishes that the record of a job contains."""
        limit = _TIME.search(record["submit_opt"])
        return cls(
            record["uuid"],
            tuple(record["invited"]),
            record["array_tid"],
            float(limit[1]) if limit else None,
            tuple(record["hold_jid"]),
            tuple(record["hold_ok_jid"]),
            is_confirmed,
        )

    @property
    def tasks(self) -> list[int | None]:
        return list(ArrayRange.parse(self.array)) if self.array else [None]


@define
class Users:
    """All users; each does one thing at a time, as a separate process."""

    life: Life
    count: int = 0
    has_deleted_all: bool = False
    last: Wish | None = None
    """The job on which a user acted last: others often act on it, too."""

    def do_something(self) -> None:
        self.life.dice.one_of(_DOINGS)(self)

    # Submitting ----------------------------------------------------------------------------------

    def submit(self) -> None:
        dice = self.life.dice
        limit_s = dice.one_of([10.0, 60.0]) if dice.happens(0.25) else None
        array = dice.one_of(["1-2", "1-3:2", "1-3%1"]) if dice.happens(0.25) else None
        request = JobRequest(
            script=SCRIPT,
            target=Pinned(self._some_systems()),
            submit_opt=f"--time {limit_s:.0f}s" if limit_s else "",
            holds=Holds(self._some_known(0.2), self._some_known(0.1)),
            array_tid=ArrayRange.parse(array) if array else None,
            input_archive=self._input() if dice.happens(0.25) else None,
            force=True,
        )
        if dice.happens(0.08):
            request = self._for_anybody(request)
        self._put(f"submit to {request.target}", lambda client: client.submit(request))

    def _some_systems(self) -> tuple[str, ...]:
        dice, names = self.life.dice, [place.name for place in self.life.systems]
        return tuple(dice.some_of(names)) if dice.happens(0.4) else (dice.one_of(names),)

    def _some_known(self, chance: float) -> tuple[str, ...]:
        known = sorted(job_id for job_id, wish in self.life.wishes.items() if wish.is_confirmed)
        return (self.life.dice.one_of(known),) if known and self.life.dice.happens(chance) else ()

    def _for_anybody(self, request: JobRequest) -> JobRequest:
        meta = MetaScript.parse(META_SCRIPT.name, META_SCRIPT.body)
        return evolve(request, script=meta, target=AnySystem(), submit_opt="")

    def rerun(self) -> None:
        if (wish := self._some()) is not None:
            only_failed = self.life.dice.happens(0.5)
            self.count += 1
            scratch = self.life.tmp / f"scratch{self.count}"
            scratch.mkdir()
            self._put(
                f"rerun {wish.job_id}",
                lambda client: client.rerun(wish.job_id, scratch, only_failed=only_failed, force=True),
            )

    def _put(self, doing: str, do: Callable[[ClientParts], Submitted]) -> None:
        """Submit in some way, and remember the wish, even if the submission failed."""
        store, before = self.life.store, set(self.life.store.jobs)
        confirmed: list[str] = []

        def submit(client: ClientParts) -> None:
            job = do(client).job
            self.life.story.tell("user", "submitted", job.uuid, job.invited, job.array_tid, job.hold_jid)
            confirmed.append(job.uuid)

        self._as_a_process(doing, submit)
        new = (store.jobs.keys() - before) | set(confirmed)
        for job_id in sorted(new - self.life.wishes.keys()):
            if record := store.jobs.get(job_id) or store.final.get(job_id):
                self.last = Wish.of(record, is_confirmed=job_id in confirmed)
                self.life.wishes[job_id] = self.last

    # Ending --------------------------------------------------------------------------------------

    def cancel(self, wish: Wish | None = None) -> None:
        if (wish := wish or self._some_held()) is not None:
            job_id, wish.is_cancel_tried = wish.job_id, True
            self._as_a_process(f"cancel {job_id}", lambda client: client.cancel(job_id))

    def cancel_without_the_holder(self) -> None:
        """Cancel a job as ``cancel --force`` does."""
        if (wish := self._some_held()) is None:
            return
        job_id, force = wish.job_id, self.life.dice.happens(0.7)

        def cancel(client: ClientParts) -> None:
            newest = client.take_back.jobs.newest_claim(job_id)
            if newest is not None:
                n = newest.n - 1 if newest.kind is ClaimKind.CANCEL else newest.n
                client.cancel.without_the_holder(job_id, n, force=force)

        wish.is_cancel_tried = True
        self._as_a_process(f"cancel {job_id} without its holder, force={force}", cancel, "put_if_absent")

    def cancel_task(self) -> None:
        arrays = [wish for wish in self.life.wishes.values() if wish.array]
        if arrays:
            wish = self.life.dice.one_of(arrays)
            task = self.life.dice.one_of(wish.tasks)
            assert task is not None
            wish.canceled_tasks.add(task)
            doing = f"cancel task {task} of {wish.job_id}"
            self._as_a_process(doing, lambda client: client.cancel.task(wish.job_id, task))

    def delete(self) -> None:
        if (wish := self._some()) is not None:
            wish.is_delete_tried = True
            self._as_a_process(f"delete {wish.job_id}", lambda client: client.delete(wish.job_id))

    def delete_all(self) -> None:
        self.has_deleted_all = True
        self._as_a_process("delete all", lambda client: list(client.delete.all_finished()))

    def give_up_what_cannot_be(self) -> None:
        """Cancel what owners see waiting in vain: for a deleted job, or for one that no system can take."""
        jobs, wishes = self.life.store.jobs, list(self.life.wishes.values())
        waited_for = {needed for wish in wishes for needed in (*wish.hold, *wish.hold_ok)}
        for wish in wishes:
            waits_for_ever = wish.job_id in jobs and any(needed not in jobs for needed in wish.hold_ok)
            if waits_for_ever or (wish.job_id in waited_for and self._is_left_over(wish.job_id)):
                self.cancel(wish)

    def _is_left_over(self, job_id: str) -> bool:
        """Return whether only the record of a submission is left: a part expired, or went back."""
        store = self.life.store
        is_over = job_id not in store.jobs or job_id in store.final
        return not is_over and not store.is_offered(job_id) and self.life.checks.is_nobodys(job_id)

    def may_be_deleted(self, wish: Wish) -> bool:
        """Return whether a user tried to delete that job, or all that had ended."""
        ended = wish.job_id in self.life.store.final
        return wish.is_delete_tried or (self.has_deleted_all and ended)

    # Looking, taking back ------------------------------------------------------------------------

    def follow(self) -> None:
        if (wish := self._some()) is not None:
            system, n = wish.systems[0], 1
            if (claim := self.life.store.newest_claim(wish.job_id)) and claim["kind"] == "run":
                system, n = claim["system"], claim["n"]

            def follow(client: ClientParts) -> None:
                client.take_back.queue.request_follow(system, ClaimTag(wish.job_id, n))
                client.take_back.queue.request_refresh(system, ClaimTag(wish.job_id, n))
                client.take_back.queue.ring(system)

            self._as_a_process(f"follow {wish.job_id}", follow)

    def look(self) -> None:
        """Read: this never disturbs others, and never fails because of what others do in the meantime."""
        self._as_a_process("list", lambda client: (client.query.active(), list(client.query.history())))

    def read_log(self) -> None:
        if (wish := self._some()) is not None:

            def read(client: ClientParts) -> None:
                job = client.query.job(wish.job_id)
                for _ in client.read_log.of_job(job, "stdout", wish.tasks[0]):
                    pass

            self._as_a_process(f"log {wish.job_id}", read)

    def take_back(self, wish: Wish | None = None, systems: tuple[str, ...] = (), force: bool = True) -> None:
        dice = self.life.dice
        wish = wish or self._some_held()
        if wish is None:
            return
        names = [place.name for place in self.life.systems]
        systems = systems or tuple(dice.some_of(names))
        force = force and dice.happens(0.7)
        job_id = wish.job_id

        def take_back(client: ClientParts) -> None:
            newest = client.take_back.jobs.newest_claim(job_id)
            if newest is None:
                return
            n = newest.n - 1 if newest.kind is ClaimKind.RELEASE else newest.n
            client.take_back(job_id, systems, n, force=force)

        wish.is_taken_back = True
        self._as_a_process(f"take back {job_id} for {systems} force={force}", take_back, "put_if_absent")

    def _some(self) -> Wish | None:
        known = sorted(self.life.wishes)
        if known and (self.last is None or not self.life.dice.happens(0.3)):
            self.last = self.life.wishes[self.life.dice.one_of(known)]
        return self.last

    def _some_held(self) -> Wish | None:
        """Return, mostly, a job that a system holds, or one whose hand-over is uncertain."""
        store = self.life.store
        held = [
            wish
            for job_id, wish in sorted(self.life.wishes.items())
            if job_id in store.jobs and job_id not in store.final
            if (claim := store.newest_claim(job_id)) and claim["kind"] == "run"
        ]
        if not held or self.life.dice.happens(0.3):
            return self._some()
        if self.last not in held or self.life.dice.happens(0.5):
            self.last = self.life.dice.one_of(held)
        return self.last

    def _as_a_process(self, doing: str, do: Callable[[ClientParts], object], half: str = "") -> None:
        """Run *do* as a process; *half* is the call after which it is half done, where others should act."""
        life = self.life
        self.count += 1
        process = Process(f"client{self.count}", life)
        if life.rates.pause and life.dice.happens(0.8 if half else 0.1):
            process.weak_spot = half or life.dice.one_of(["put_if_absent", "put", "put_if_match", "get"])
        store = Gated(life.store, process, "store")
        clock = self._clock(process.name)
        client = wire_client(store, clock, life.ids, InlineWorkers(), process.name)  # type: ignore[arg-type]
        life.story.tell(process.name, doing)
        try:
            do(client)
        except Killed:
            pass
        except CloudqError as error:
            life.story.tell(process.name, "is told", type(error).__name__, error)
        except Exception as error:
            life.story.break_(f"{process.name} ({doing}) let out {error!r}")
            if life.raises:
                raise

    def _clock(self, name: str) -> HostClock:
        ahead_s = self.life.dice.one_of([0.0, 0.0, 0.0, -4000.0, 90.0, 50_000.0])
        if ahead_s:
            self.life.meet("clock: a client's is wrong", name, ahead_s)
        return HostClock(self.life.clock, Host(name, ahead_s), "boot 1", sleeps=True)

    def _input(self) -> Path:
        path = self.life.tmp / "input.zip"
        if not path.exists():
            with ZipFile(path, "w") as archive:
                archive.writestr("data", "given")
        return path


_CHANCES: dict[Callable[[Users], None], int] = {
    Users.submit: 12,
    Users.cancel: 3,
    Users.take_back: 3,
    Users.follow: 2,
    Users.delete: 2,
    Users.cancel_without_the_holder: 1,
    Users.cancel_task: 1,
    Users.rerun: 1,
    Users.delete_all: 1,
    Users.look: 1,
    Users.read_log: 1,
}
_DOINGS = [do for do, times in _CHANCES.items() for _ in range(times)]


def script_of(life: Life, job_id: str, task: int | None, n: int = 1) -> Script:
    """Return the behavior of a job's script under claim *n*."""
    chance = life.dice.for_script(job_id, task)
    return Script(
        duration_s=chance.choice([0, 3, 20, 100, 400, 700]),
        exit_code=chance.choice([0, 0, 0, 3]),
        stdout=chance.choice(["", f"task {task}\n"]),
        stderr=chance.choice(["", "oh\n"]),
        outputs={f"out.{task}": f"claim {n}".encode()} if chance.random() < 0.5 else {},
        dies_without_record=chance.random() < 0.05,
    )
