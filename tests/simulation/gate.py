"""Simulate a process whose every port call may be its last, may last for hours, or may get no answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from types import GeneratorType
from typing import TYPE_CHECKING, Any

from attrs import define, field

from cloudq.domain.errors import (
    ObjectNotFound,
    OutcomeUnknown,
    PreconditionFailed,
    SchedulerUnavailable,
    StoreUnavailable,
    WorkspaceFull,
    WorkspaceProblem,
    WriteConflict,
)
from tests.parts.scripted_scheduler import ScriptedScheduler, SubmitFault
from tests.parts.trap import Killed

if TYPE_CHECKING:
    from tests.simulation.life import Life
    from tests.simulation.machines import Host
    from tests.simulation.slow_workers import SlowWork

CONDITIONAL = frozenset({"put_if_absent", "put_if_match"})
WRITES = CONDITIONAL | {"put", "upload", "delete"}
DATED = frozenset({"get", "get_if_changed", "list_page"})
"""The methods whose answers contain the store's time."""
QUESTIONS = frozenset({"find", "poll", "cancel", "cancel_tasks", "forget", "free_slots"})
CANCELS = frozenset({"cancel", "cancel_tasks"})
DISK_WRITES = frozenset({
    "home", "create", "install_script", "install_job_shell", "job_shell_for", "install_tools", "keep_options",
    "extract_input", "note_baseline", "publish", "begin_attempt", "block", "note_miss", "pack_output",
    "note_staged_out",
})  # fmt: skip
DISK_READS = frozenset({"owner", "attempts", "records", "fingerprint", "read_job_shell"})
WHERE_STOPS_HURT = frozenset({"install_job_shell", "note_baseline", "publish", "begin_attempt", "submit"})
"""The methods that may touch the files of a script that a successor has started."""
MORE_STOPS = 5
LONGEST_WAIT = 30
"""Looks at the lease: enough to take it, and to start what its holder was about to start."""
TOLD = WRITES | CANCELS | {"submit", "block", "begin_attempt", "remove"}

Work = Callable[[], Any]


@define(eq=False)
class Process:
    """A running program: an agent, or a client while it does one thing."""

    name: str
    life: Life = field(repr=False)
    is_dead: bool = False
    is_busy: bool = False
    """Whether it is in the middle of something: held up, or running."""
    send_heartbeat: Callable[[], None] | None = None
    """The work of its second thread."""
    is_sending_heartbeat: bool = False
    home: Path | None = None
    """The directory of its files."""
    host: Host | None = None
    """The machine on which it runs, if that may stop."""
    slept: int = 0
    """The number of sleeps; runs of one cycle sleep until their background work has ended."""
    stops: int = 0
    """The number of times that its host was stopped together with its clocks."""
    is_unaware: bool = False
    """Whether it was stopped and has read nothing from the store since: no clock shows it the stop."""
    background: list[SlowWork] = field(factory=list, repr=False)
    """The work that was started and is not done."""
    is_in_background: bool = False
    """Whether the caller is a thread of its background work."""
    in_flight: int = 0
    """The number of its background tasks that are in the middle of something."""
    is_copied: bool = False
    """Whether its host was copied, or the bucket restored, since the store answered one of its heartbeats.

    Two processes may then count on the same lease, or the bucket may have the lease of a former holder.
    """
    _has_heard_of_time: bool = False
    _has_heard_of_lease: bool = False
    weak_spot: str = ""
    """The method after whose next call it is killed or held up, with its work half done."""
    waits_beside: Callable[[], None] | None = None
    """The actions of others while it is held up there; None: any."""
    beside: Counter[str] = field(factory=Counter)
    """How often it saw a scheduler job wait beside another of its claim since it last canceled the job."""

    def call(self, port: str, method: str, work: Work, args: tuple[Any, ...], inner: Any) -> Any:
        if self.is_dead:
            raise Killed(self.name)
        self.act_on_what_was_heard()
        life, where = self.life, f"{port}.{method}"
        if self.is_in_background and life.odds.random() < 0.1 and not _renews_a_lease(args):
            self._let_cycles_go_on(where)
        chance = life.site.stop * (MORE_STOPS if method in WHERE_STOPS_HURT else 1)
        if not chance or life.odds.random() >= chance:
            return self._call(port, method, work, args, inner)
        if life.odds.random() < 0.5:
            self._stop_clocks(f"before {where}")
            return self._call(port, method, work, args, inner)
        try:
            return self._call(port, method, work, args, inner)
        finally:
            self._stop_clocks(f"after {where}")

    def _call(self, port: str, method: str, work: Work, args: tuple[Any, ...], inner: Any) -> Any:
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
            answer = self._answer(port, method, work, args)
            if port in {"scheduler", "space"}:
                life.checks.after_a_call(self, method, args, inner, answer)
            return answer
        finally:
            if method == self.weak_spot:
                self._stop_half_way(f"after {port}.{method}")
            elif pause and not held_up_before:
                self._hold_up(f"after {port}.{method}")
            life.checks.at_every_call()

    def _answer(self, port: str, method: str, work: Work, args: tuple[Any, ...]) -> Any:
        """Return the answer of a call; note whether it showed the time, or the holder of the lease."""
        self.life.acting = self
        stops, is_dated = self.stops, port == "store" and method in DATED
        asks_for_lease = self.is_copied and port == "store" and method in WRITES and "/lease" in str(args[0])
        is_answered = False
        try:
            answer = self._faulty(port, method, work, args)
            is_answered = True
        except (ObjectNotFound, PreconditionFailed):
            is_answered = True
            raise
        finally:
            self._has_heard_of_time |= is_answered and is_dated and stops == self.stops
            self._has_heard_of_lease |= is_answered and asks_for_lease
        return answer

    def die(self) -> None:
        self.is_dead = True

    def _die(self, work: Work) -> None:
        after = self.life.dice.happens(0.5)
        self._meet("killed after a call" if after else "killed before a call")
        self.die()
        if after:
            work()
        raise Killed(self.name)

    def _meet(self, kind: str, *about: object) -> None:
        self.life.meet(kind, self.name, *about)

    def _stop_half_way(self, where: str) -> None:
        self.weak_spot = ""
        if self.waits_beside is not None:
            self._meet("held up after a call", where)
            self.waits_beside()
            self.life.story.tell(self.name, "goes on", where)
            return
        if self.life.dice.happens(0.7):
            self._hold_up(where)
            return
        self._meet("killed after a call", where)
        self.die()
        raise Killed(self.name)

    def _hold_up(self, where: str) -> None:
        self._meet(f"held up {where.partition(' ')[0]} a call", where)
        self.life.meanwhile()
        self.life.story.tell(self.name, "goes on", where)
        if self.is_dead:
            raise Killed(self.name)

    def act_on_what_was_heard(self) -> None:
        """Take an answer into account that showed the time, or the holder of the lease.

        The answer shows what no clock did, and its reader has had the time to see it.
        """
        self.is_unaware &= not self._has_heard_of_time
        self.is_copied &= not self._has_heard_of_lease
        self._has_heard_of_time = self._has_heard_of_lease = False

    def sleeps(self) -> None:
        """Do what is due while the process sleeps; a run that sleeps without end breaks a promise.

        A run waits for its queries as long as its scheduler is down, so outages have a limit.
        """
        self.slept += 1
        if self.slept % LONGEST_OUTAGE == 0:
            self.scheduler().unavailable = False
        if self.slept > MOST_SLEEPS:
            self.life.story.break_(f"I2 {self.name}: a run of one cycle does not end")
            raise Killed(self.name)
        self.do_background_work()

    def do_background_work(self, *, all_of_it: bool = False) -> None:
        """Do the background work that is due by now, or wait until all of it is done."""
        for work in list(self.background):
            if all_of_it:
                work.wait(work.due - self.life.clock.seconds)
            work.do_if_due()

    def _let_cycles_go_on(self, where: str) -> None:
        """Let the agent and others continue beside a call of background work that takes long.

        A run of one cycle, with its heartbeat, waits for the call: it does not start again.
        """
        self._meet("background work takes long", where)
        slot = self.life.slot_of(self)
        was_busy, self.is_in_background = self.is_busy, False
        self.is_busy = slot is not None and slot.is_one_shot
        try:
            self.life.meanwhile()
        finally:
            self.is_busy, self.is_in_background = was_busy, True
        if self.is_dead:
            raise Killed(self.name)

    def _stop_clocks(self, where: str) -> None:
        """Stop the host without a trace in its clocks, while everything else continues."""
        if self.host is None or self.is_dead:
            return
        life, began = self.life, self.life.clock.seconds
        self._meet("stopped with its clocks", where)
        self.stops, self.is_unaware, self._has_heard_of_time = self.stops + 1, True, False
        life.meanwhile()
        if where.rpartition(".")[2] in WHERE_STOPS_HURT:
            life.wait_in_line(self, LONGEST_WAIT)
        elif life.odds.random() < 0.5:
            life.wait_in_line(self, life.odds.choice([8, 12, LONGEST_WAIT]))
        self.host.stood_still_s += life.clock.seconds - began
        life.story.tell(self.name, f"goes on after {life.clock.seconds - began:.0f} s", where)
        if self.is_dead:
            raise Killed(self.name)

    def _take_time(self) -> None:
        """Let the call take time, in which the process's other thread continues."""
        self._meet("a call lasts")
        self.life.pass_by(self.life.dice.random.uniform(0, 30))
        if self.send_heartbeat is not None and not self.is_sending_heartbeat:
            self.is_sending_heartbeat = True
            try:
                self.send_heartbeat()
            finally:
                self.is_sending_heartbeat = False

    def _faulty(self, port: str, method: str, work: Work, args: tuple[Any, ...]) -> Any:
        dice, rates = self.life.dice, self.life.rates
        if port == "store" and dice.happens(rates.store):
            return self._store_fault(method, work)
        if method == "cancel":
            if self.scheduler().cancel_lag_s:
                self._meet("scheduler: cancel accepted, carried out later")
            self.life.checks.before_a_cancel(self, args[0])
            for scheduler_job_id in args[0]:
                self.beside.pop(scheduler_job_id, None)
        rate = 0.3 if method in CANCELS and rates.scheduler else rates.scheduler
        if port == "scheduler" and method in QUESTIONS and dice.happens(rate):
            return self._question_fault(method, work)
        if port == "scheduler" and method == "submit":
            self.life.checks.submitted.add((self.home, args[0].submission.tag))
            if dice.happens(rates.submit):
                self._submit_fault(args)
        if port in {"space", "workspace"}:
            self._disk_fault(method, work)
        return work()

    # The store -----------------------------------------------------------------------------------

    def _store_fault(self, method: str, work: Work) -> Any:
        dice = self.life.dice
        fate = dice.one_of(["down", "answer lost", "own retry met 412", "conflict"])
        if method in CONDITIONAL and fate == "own retry met 412":
            return self._own_retry_met_412(method, work)
        if method in WRITES and fate in {"answer lost", "own retry met 412"}:
            work()
            self._meet("store: done, no answer", method)
            raise OutcomeUnknown("no answer") if method in CONDITIONAL else StoreUnavailable("no answer")
        if method in CONDITIONAL and fate == "conflict":
            self._meet("store: conflict", method)
            raise WriteConflict("409")
        if method in CONDITIONAL and dice.happens(0.5):
            self._meet("store: nothing done, outcome unknown", method)
            raise OutcomeUnknown("no answer")
        self._meet("store: write failed" if method in WRITES else "store: read failed", method)
        raise StoreUnavailable("simulated: down")

    def _own_retry_met_412(self, method: str, work: Work) -> Any:
        work()
        self._meet("store: own retry met 412", method)
        raise PreconditionFailed("412")

    # The scheduler -------------------------------------------------------------------------------

    def _question_fault(self, method: str, work: Work) -> Any:
        dice = self.life.dice
        if method in CANCELS and dice.happens(0.5):
            work()
            self._meet("scheduler: done, no answer", method)
            raise SchedulerUnavailable("simulated: no answer")
        if dice.happens(0.5):
            self._meet("scheduler: garbage", method)
            raise SchedulerUnavailable("simulated: an answer that cannot be read")
        self._meet("scheduler: no answer", method)
        raise SchedulerUnavailable("simulated: no answer")

    def _submit_fault(self, args: tuple[Any, ...]) -> None:
        fault = self.life.dice.one_of([*SubmitFault, SubmitFault.LATE, SubmitFault.LATE])
        tag = args[0].submission.tag
        self.scheduler().submit_faults.append(fault)
        if fault is SubmitFault.DEFERRED:
            self.life.checks.deferred.add((self.home, tag))
        self._meet(f"submit: {fault.value}", tag)
        if fault is SubmitFault.REFUSED:
            self.life.disturb(tag.job_id)
        self.life.users.last = self.life.wishes.get(tag.job_id, self.life.users.last)

    def scheduler(self) -> ScriptedScheduler:
        """Return the scheduler of its system; the process must have a home."""
        home = self.home
        assert home is not None
        return next(place.scheduler for place in self.life.systems if home in place.homes)

    # The disk ------------------------------------------------------------------------------------

    def _disk_fault(self, method: str, work: Work) -> None:
        dice, rates = self.life.dice, self.life.rates
        if method in DISK_READS and dice.happens(rates.disk):
            self._meet("disk: cannot be read for a moment", method)
            raise WorkspaceProblem("simulated: stale file handle")
        if method not in DISK_WRITES:
            return
        if self.home in self.life.full_disks:
            raise WorkspaceFull("simulated: no space left, for a while")
        if dice.happens(rates.disk):
            after = dice.happens(0.5)
            self._meet(f"disk: full for a moment{', after the write' if after else ''}", method)
            if after:
                work()
            raise WorkspaceFull("simulated: no space left")


class Gated:
    """A port of one process."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Gated:
        copied = type(self)(deepcopy(self._inner, memo), deepcopy(self._process, memo), self._name)
        memo[id(self)] = copied
        return copied

    def __init__(self, inner: Any, process: Process, name: str) -> None:
        self._inner, self._process, self._name = inner, process, name

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(self._inner, attribute)
        if not callable(found) or attribute in UNGATED:
            return found
        process, name, inner = self._process, self._name, self._inner

        def gated(*args: Any, **kwargs: Any) -> Any:
            answer = process.call(name, attribute, lambda: _done(found(*args, **kwargs)), args, inner)
            return Gated(answer, process, name) if attribute == "making" else answer

        self.__dict__[attribute] = gated
        return gated


MOST_SLEEPS = 3_000
LONGEST_OUTAGE = 300
"""The longest outage, in sleeps of a run of one cycle."""
UNGATED = frozenset({"submitted", "log_path", "attempt_files"})


class GatedWorkspace(Gated):
    """A workspace whose spaces are gated too."""

    @property
    def home(self) -> str:
        """Return the id of the home; its creation may fail."""
        home: str = self._process.call("workspace", "home", lambda: self._inner.home, (), self._inner)
        return home

    def space(self, tag: Any) -> Any:
        return Gated(self._inner.space(tag), self._process, "space")

    def is_process_gone(self, _: str) -> bool:
        """Return False: all simulated agents are one process of this machine, so time limits decide."""
        return False


def _renews_a_lease(args: tuple[Any, ...]) -> bool:
    """Return whether a call concerns a lease.

    A cycle that takes the lease waits for a heartbeat that is under way; here, both are one thread.
    """
    return bool(args) and str(args[0]).startswith("systems/") and "/lease" in str(args[0])


def _done(answer: Any) -> Any:
    """Consume a generator, so that nothing of a call is left for later."""
    return iter(list(answer)) if isinstance(answer, GeneratorType) else answer
