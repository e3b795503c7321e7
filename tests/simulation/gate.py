"""A process whose every call of a port may be its last, may last for hours, may get no answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from attrs import define, field

from cloudq.adapters.schedulers.scripted import SubmitFault
from cloudq.domain.errors import (
    OutcomeUnknown,
    PreconditionFailed,
    SchedulerUnavailable,
    StoreUnavailable,
    WriteConflict,
)
from tests.parts.trap import Killed

if TYPE_CHECKING:
    from tests.simulation.life import Life

CONDITIONAL = frozenset({"put_if_absent", "put_if_match"})
WRITES = CONDITIONAL | {"put", "upload", "delete"}
QUESTIONS = frozenset({"find", "poll", "cancel", "free_slots"})
TOLD = WRITES | {"submit", "cancel", "block", "begin_attempt", "remove"}

Work = Callable[[], Any]


@define(eq=False)
class Process:
    """Something that runs: an agent, or a client while it does one thing."""

    name: str
    life: Life = field(repr=False)
    is_dead: bool = False
    is_busy: bool = False
    """In the middle of something: held up, or running."""
    beat: Callable[[], None] | None = None
    """What its second thread does."""
    is_beating: bool = False

    def call(self, port: str, method: str, work: Work, args: tuple[Any, ...]) -> Any:
        if self.is_dead:
            raise Killed(self.name)
        life, rates = self.life, self.life.rates
        if method in TOLD:
            life.story.tell(self.name, f"{port}.{method}", *args[:1])
        if life.dice.happens(rates.slow):
            self._take_time()
        if life.dice.happens(rates.kill):
            self._die(work)
        pause = life.dice.happens(rates.pause)
        held_up_before = pause and life.dice.happens(0.5)
        if held_up_before:
            self._hold_up(f"before {port}.{method}")
        try:
            return self._faulty(port, method, work, args)
        finally:
            if pause and not held_up_before:
                self._hold_up(f"after {port}.{method}")
            life.checks.at_every_call()

    def die(self) -> None:
        self.is_dead = True

    def _die(self, work: Work) -> None:
        after = self.life.dice.happens(0.5)
        self.life.story.tell(self.name, "is killed", "after that" if after else "before that")
        self.die()
        if after:
            work()
        raise Killed(self.name)

    def _hold_up(self, where: str) -> None:
        self.life.story.tell(self.name, "is held up", where)
        self.life.meanwhile()
        self.life.story.tell(self.name, "goes on", where)
        if self.is_dead:
            raise Killed(self.name)

    def _take_time(self) -> None:
        """The call lasts; the process's other thread goes on."""
        self.life.pass_by(self.life.dice.random.uniform(0, 30))
        if self.beat is not None and not self.is_beating:
            self.is_beating = True
            try:
                self.beat()
            finally:
                self.is_beating = False

    def _faulty(self, port: str, method: str, work: Work, args: tuple[Any, ...]) -> Any:
        dice, rates = self.life.dice, self.life.rates
        if port == "store" and dice.happens(rates.store):
            return self._store_fault(method, work)
        if port == "scheduler" and method in QUESTIONS and dice.happens(rates.scheduler):
            self.life.story.tell(self.name, "gets no answer from the scheduler", method)
            if method == "cancel" and dice.happens(0.5):
                work()
            raise SchedulerUnavailable("simulated: no answer")
        if port == "scheduler" and method == "submit" and dice.happens(rates.submit):
            self._submit_fault(args)
        return work()

    def _store_fault(self, method: str, work: Work) -> Any:
        dice, tell = self.life.dice, self.life.story.tell
        fate = dice.one_of(["down", "answer lost", "own retry met 412", "conflict"])
        if method in WRITES and fate in {"answer lost", "own retry met 412"}:
            work()
            tell(self.name, "the store did it, but:", fate)
            if method not in CONDITIONAL:
                raise StoreUnavailable(f"simulated: {fate}")
            raise PreconditionFailed("412") if fate.startswith("own") else OutcomeUnknown("no answer")
        tell(self.name, "the store did nothing:", method)
        if method in CONDITIONAL and fate == "conflict":
            raise WriteConflict("409")
        if method in CONDITIONAL and dice.happens(0.5):
            raise OutcomeUnknown("no answer")
        raise StoreUnavailable("simulated: down")

    def _submit_fault(self, args: tuple[Any, ...]) -> None:
        fault = self.life.dice.one_of(list(SubmitFault))
        submission = args[0]
        scheduler = next(
            place.scheduler for place in self.life.systems if place.has_home_of(submission.control_dir)
        )
        scheduler.submit_faults.append(fault)
        self.life.story.tell("scheduler", f"this submission: {fault.value}", submission.tag)
        if fault is SubmitFault.REFUSED:
            self.life.disturb(submission.tag.job_id)


class Gated:
    """A port of one process."""

    def __init__(self, inner: Any, process: Process, name: str) -> None:
        self._inner, self._process, self._name = inner, process, name

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(self._inner, attribute)
        if not callable(found) or attribute in {"describe", "submitted", "log_path", "attempt_files"}:
            return found

        def gated(*args: Any, **kwargs: Any) -> Any:
            return self._process.call(self._name, attribute, lambda: _done(found(*args, **kwargs)), args)

        return gated


class GatedWorkspace(Gated):
    """A workspace whose spaces are gated too."""

    def space(self, tag: Any) -> Any:
        return Gated(self._inner.space(tag), self._process, "space")

    def is_process_gone(self, _: str) -> bool:
        """All simulated agents are one process of this machine: time limits decide."""
        return False


def _done(answer: Any) -> Any:
    """Nothing of a call is left for later."""
    return iter(list(answer)) if isinstance(answer, Iterator) else answer
