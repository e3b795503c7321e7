"""People: they submit, cancel, take back, follow and delete at any moment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipFile

from attrs import define

from cloudq.adapters.schedulers.scripted import Script
from cloudq.adapters.workers import InlineWorkers
from cloudq.application.submit_job import SubmitRequest
from cloudq.bootstrap.client import ClientParts, wire_client
from cloudq.domain.array_range import ArrayRange
from cloudq.domain.claim import ClaimKind
from cloudq.domain.errors import CloudqError
from cloudq.domain.jobscript import Jobscript
from cloudq.domain.names import ClaimTag
from tests.parts.trap import Killed
from tests.simulation.gate import Gated, Process

if TYPE_CHECKING:
    from tests.simulation.life import Life

SCRIPT = Jobscript("run.sh", b"#!/bin/bash\necho hello\n")


@define
class Wish:
    """What is known of a job that somebody submitted, or tried to."""

    job_id: str
    systems: tuple[str, ...]
    array: str | None
    limit_s: float | None
    hold: tuple[str, ...]
    has_input: bool
    is_confirmed: bool = False
    is_cancel_tried: bool = False
    is_taken_back: bool = False
    is_delete_tried: bool = False

    @property
    def tasks(self) -> list[int | None]:
        return list(ArrayRange.parse(self.array)) if self.array else [None]


@define
class Users:
    """All of them; each does one thing at a time, as a process of its own."""

    life: Life
    count: int = 0

    def do_something(self) -> None:
        doings: list[Callable[[], None]] = [self.submit] * 4
        doings += [self.cancel, self.cancel, self.delete, self.take_back, self.follow, self.look]
        self.life.dice.one_of(doings)()

    def submit(self) -> None:
        dice = self.life.dice
        names = [place.name for place in self.life.systems]
        systems = tuple(dice.some_of(names)) if dice.happens(0.4) else (dice.one_of(names),)
        array = dice.one_of(["1-2", "1-3:2", "1-3%1"]) if dice.happens(0.25) else None
        limit_s = dice.one_of([10.0, 60.0]) if dice.happens(0.25) else None
        known = sorted(job_id for job_id, wish in self.life.wishes.items() if wish.is_confirmed)
        hold = (dice.one_of(known),) if known and dice.happens(0.2) else ()
        archive = self._input() if dice.happens(0.25) else None
        request = SubmitRequest(
            script=SCRIPT,
            submit_to=systems,
            submit_opt=f"--time {limit_s:.0f}s" if limit_s else "",
            hold_jid=hold,
            array_tid=ArrayRange.parse(array) if array else None,
            input_archive=archive,
            force=True,
        )
        before = set(self.life.store.jobs)

        def submit(client: ClientParts) -> None:
            job_id = client.submit(request).job.uuid
            self.life.story.tell("user", "submitted", job_id, systems, array, limit_s, hold)
            confirmed.append(job_id)

        confirmed: list[str] = []
        self._as_a_process("submit", submit)
        new = self.life.store.jobs.keys() - before
        for job_id in sorted((new | set(confirmed)) - self.life.wishes.keys()):
            record = self.life.store.jobs.get(job_id)
            if record is not None or job_id in confirmed:
                is_confirmed = job_id in confirmed
                wish = Wish(job_id, systems, array, limit_s, hold, archive is not None, is_confirmed)
                self.life.wishes[job_id] = wish

    def cancel(self) -> None:
        if (wish := self._some()) is not None:
            wish.is_cancel_tried = True
            self._as_a_process(f"cancel {wish.job_id}", lambda client: client.cancel(wish.job_id))

    def delete(self) -> None:
        if (wish := self._some()) is not None:
            wish.is_delete_tried = True
            self._as_a_process(f"delete {wish.job_id}", lambda client: client.delete(wish.job_id))

    def follow(self) -> None:
        if (wish := self._some()) is not None:
            system, n = wish.systems[0], 1
            if (claim := self.life.store.newest_claim(wish.job_id)) and claim["kind"] == "run":
                system, n = claim["system"], claim["n"]

            def follow(client: ClientParts) -> None:
                client.take_back.queue.request_follow(system, ClaimTag(wish.job_id, n))
                client.take_back.queue.ring(system)

            self._as_a_process(f"follow {wish.job_id}", follow)

    def look(self) -> None:
        """Reading is never in the way, and never fails for what others do meanwhile."""
        self._as_a_process("list", lambda client: (client.query.active(), list(client.query.history())))

    def take_back(self, wish: Wish | None = None, systems: tuple[str, ...] = (), force: bool = True) -> None:
        dice = self.life.dice
        wish = wish or self._some()
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
        self._as_a_process(f"take back {job_id} for {systems} force={force}", take_back)

    def _some(self) -> Wish | None:
        known = sorted(self.life.wishes)
        return self.life.wishes[self.life.dice.one_of(known)] if known else None

    def _as_a_process(self, doing: str, do: Callable[[ClientParts], object]) -> None:
        life = self.life
        self.count += 1
        process = Process(f"client{self.count}", life)
        store = Gated(life.store, process, "store")
        client = wire_client(store, life.clock, life.ids, InlineWorkers(), process.name)  # type: ignore[arg-type]
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

    def _input(self) -> Path:
        path = self.life.tmp / "input.zip"
        if not path.exists():
            with ZipFile(path, "w") as archive:
                archive.writestr("data", "given")
        return path


def script_of(life: Life, job_id: str, task: int | None) -> Script:
    """What the script of a job does."""
    chance = life.dice.for_script(job_id, task)
    return Script(
        duration_s=chance.choice([0, 3, 20, 20, 100, 700]),
        exit_code=chance.choice([0, 0, 0, 3]),
        stdout=chance.choice(["", f"task {task}\n"]),
        stderr=chance.choice(["", "oh\n"]),
        outputs={f"out.{task}": b"1"} if chance.random() < 0.5 else {},
        dies_without_record=chance.random() < 0.05,
    )
