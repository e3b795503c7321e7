"""Live one life of a small world from one seed: first trouble, then none, then the final checks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

from attrs import define, field

from cloudq.application.agent.agent_settings import AgentSettings
from cloudq.domain.jobs.outcome import Life as Stage
from cloudq.domain.names import ClaimTag
from cloudq.testing.fake_clock import FakeClock
from tests.parts.scripted_scheduler import ScriptedScheduler
from tests.parts.serial_ids import SerialIds
from tests.simulation.checks import FINAL, Checks
from tests.simulation.dice import Dice, Rates
from tests.simulation.gate import Process
from tests.simulation.machines import Host
from tests.simulation.misfortunes import Misfortunes
from tests.simulation.places import Place, Slot
from tests.simulation.site import Kind, Kinds, Site
from tests.simulation.story import Broken, Story, ToldLog
from tests.simulation.users import Users, Wish, script_of
from tests.simulation.watched_store import WatchedStore

MAX_DEPTH = 3
"""The most processes that may be held up at once, each within the other."""
MAX_MEANWHILE = 120
"""The most events in a life while a process is held up."""
MAX_IN_LINE = 30
"""The most times in a life that waiters for a lease continue while its holder is stopped."""
HEALTHY_ROUNDS = 24
"""Rounds without faults: enough for all tasks of a life to run one after the other."""
STEPS_TO_HEAR = 2
"""The polls after which an agent must know of everything for which the doorbell rang."""
STEPS_A_ROUND = 40


@define(eq=False)
class Life:
    """All parts of one life."""

    seed: int
    tmp: Path
    raises: bool = False
    """Whether to let unexpected exceptions out, to see where they come from."""
    most_steps: int | None = None
    kinds: Kinds = field(factory=Kinds)
    """The usual assumptions that may be broken."""
    clock: FakeClock = field(factory=FakeClock)
    ids: SerialIds = field(factory=SerialIds)
    log: ToldLog = field(init=False)
    story: Story = field(init=False)
    dice: Dice = field(init=False)
    rates: Rates = field(init=False)
    site: Site = field(init=False)
    odds: Random = field(init=False)
    """The random source of the site: separate, so that a world without such events stays the same."""
    store: WatchedStore = field(init=False)
    checks: Checks = field(init=False)
    users: Users = field(init=False)
    misfortunes: Misfortunes = field(init=False)
    systems: list[Place] = field(factory=list)
    hosts: list[Host] = field(factory=list)
    slots: list[Slot] = field(factory=list)
    rivals: list[list[Slot]] = field(factory=list)
    """The slots of each system that has several."""
    wishes: dict[str, Wish] = field(factory=dict)
    requeues: Counter[tuple[str, ClaimTag]] = field(factory=Counter)
    """How often a scheduler put jobs of a claim back into its queue, by the system's name."""
    disturbed: set[str] = field(factory=set)
    full_disks: set[Path] = field(factory=set)
    faults: Counter[str] = field(factory=Counter)
    """The number of faults of each kind."""
    acting: Process | None = None
    """The process whose call is being answered."""
    was_paused: bool = False
    depth: int = 0
    left_meanwhile: int = MAX_MEANWHILE
    left_in_line: int = MAX_IN_LINE
    _pid: int = 100
    _boots: int = 0

    def __attrs_post_init__(self) -> None:
        self.dice, self.story = Dice(self.seed), Story(self.clock)
        self.log = ToldLog(self.story)
        self.rates = self.dice.rates()
        self.site, self.odds = Site.of(self.seed, self.kinds), Random(f"odds {self.seed}")
        self.store = WatchedStore(self._date, self.dice.one_of([1000] * 8 + [3, 20]))
        self.store.list_lag_s = self.site.list_lag_s
        self.checks, self.users = Checks(self), Users(self)
        self.misfortunes = Misfortunes(self)
        self.store.judge, self.store.judge_history = self.checks.judge_manifest, self.checks.judge_history
        self.store.note_lease = self.misfortunes.note_lease
        for name in ("alpha", "beta", "gamma")[: self.dice.one_of([1, 1, 2, 2, 3])]:
            self._add_system(name)
        self.story.tell("dice", str(self.rates))
        if self.site.kinds:
            self.story.tell("dice", str(self.site))

    def next_pid(self) -> int:
        self._pid += 1
        return self._pid

    def _date(self) -> datetime:
        """Return the time of one of the store's front ends."""
        skew = self.site.date_skew_s
        return self.clock.now() + timedelta(seconds=self.odds.choice((-skew, 0.0, skew)) / 2 if skew else 0.0)

    def next_boot(self) -> str:
        self._boots += 1
        return f"boot {self._boots}"

    def meet(self, kind: str, who: str, *about: object) -> None:
        """Add a fault to the story, and count it."""
        self.faults[kind] += 1
        self.story.tell(who, kind, *about)

    def disturb(self, job_id: str) -> None:
        """Note that the scheduler interferes with a job."""
        self.disturbed.add(job_id)

    def slot_of(self, process: Process) -> Slot | None:
        """Return the slot of *process*; None for a client, or for an agent whose slot now has another one."""
        return next((slot for slot in self.slots if slot.process is process), None)

    def schedulers_forget(self) -> bool:
        return any(place.scheduler._forget_after_s is not None for place in self.systems)

    # The world -----------------------------------------------------------------------------------

    def _add_system(self, name: str) -> None:
        dice = self.dice
        scheduler = ScriptedScheduler(
            self.clock,
            lambda submission, task: script_of(self, submission.tag.job_id, task, submission.tag.n),
            slots=dice.one_of([None, 1, 2, 4]),
            forget_after_s=dice.one_of([None, None, 0.0, 30.0, 300.0]),
            late_by_s=dice.one_of([2.0, 9.0, 14.0, 60.0, 700.0]),
            submit_time_limit_s=dice.one_of([5.0, 10.0]),
            record_lag_s=dice.one_of([0.0, 0.0, 4.0, 60.0]),
        )
        scheduler.cancel_lag_s = dice.one_of([0.0, 0.0, 0.0, 30.0, 90.0])
        homes = [self.tmp / name / home for home in ("home", "other")[: dice.one_of([1, 1, 1, 2])]]
        place = Place(name, scheduler, homes)
        self.systems.append(place)
        hosts = max(len(homes), dice.one_of([1, 2]))
        for number in range(max(hosts, 2) if Kind.HOST_LOCKS in self.site.kinds else hosts):
            home = homes[min(number, len(homes) - 1)]
            ahead_s, up_s = dice.one_of([0.0, 0.0, -500.0, 7000.0]), dice.random.random() * 9000
            host = Host(f"{name}{number}", ahead_s, -up_s, self.next_boot())
            self.hosts.append(host)
            if host.ahead_s:
                self.meet("clock: an agent's is wrong", host.name, host.ahead_s)
            if number and Kind.HOST_LOCKS in self.site.kinds and home == homes[0]:
                self.meet("disk: file locks do not reach the other host of a home", host.name)
            one_shot = dice.happens(0.2)
            self.slots.append(Slot(self, place, home, host, one_shot, self._settings(name)))
        rivals = [slot for slot in self.slots if slot.place is place]
        self.rivals += [rivals] if len(rivals) > 1 else []

    def add_slot(self, slot: Slot) -> None:
        """Add one more agent of a system, on a machine and in a home that may be new, too."""
        rivals = [each for each in self.slots if each.place is slot.place]
        self.slots.append(slot)
        self.hosts.append(slot.host)
        if slot.home not in slot.place.homes:
            slot.place.homes.append(slot.home)
        of_system = next((each for each in self.rivals if each[0] is rivals[0]), None)
        if of_system is None:
            self.rivals.append([*rivals, slot])
        else:
            of_system.append(slot)

    def _settings(self, name: str) -> AgentSettings:
        dice = self.dice
        return AgentSettings(
            name,
            poll_interval_s=5.0,
            keep_s=dice.one_of([86_400.0, 86_400.0, 600.0]),
            handicap_s=dice.one_of([0.0, 0.0, 0.0, 30.0]),
            max_held=dice.one_of([10_000, 10_000, 2]),
        )

    def pass_by(self, seconds: float) -> None:
        self.clock.pass_by(seconds)
        for place in self.systems:
            place.scheduler.advance()

    # Trouble -------------------------------------------------------------------------------------

    def live(self) -> None:
        """Run the whole life. Raises `Broken` with the story if a promise was broken."""
        for _ in range(min(self.dice.one_of([6, 12, 25, 60]), self.most_steps or 60)):
            self._something_happens()
            self.checks.at_rest()
            self._stop_if_broken()
        self._heal()
        self._count_what_scripts_met()
        self.checks.at_the_end()
        self._stop_if_broken()

    def _count_what_scripts_met(self) -> None:
        for place in self.systems:
            for start in place.scheduler.starts:
                lost = script_of(self, start.tag.job_id, start.task).dies_without_record
                self.faults["script: dies without a record"] += lost
                self.faults["disk: the exit record is seen late"] += place.scheduler._record_lag_s > 0
        self.faults["store: lists in short pages"] += self.store.short_pages
        self.faults["store: LIST does not show what is there"] += self.store.late_lists

    def meanwhile(self) -> None:
        """Let others continue while a process is held up, for a moment or for hours."""
        self.was_paused = True
        if self.depth >= MAX_DEPTH or self.left_meanwhile <= 0:
            return
        self.depth += 1
        try:
            for _ in range(self.dice.one_of([1, 3, 8, 12, 40])):
                if self.left_meanwhile <= 0:
                    break
                self.left_meanwhile -= 1
                self._something_happens()
        finally:
            self.depth -= 1

    def wait_in_line(self, process: Process, looks: int) -> None:
        """Let those that wait for the lease of a stopped agent continue until they have it.

        They may be stopped, too, and wait for each other in turn, so a life has a limited number of
        such waits.
        """
        slot = self.slot_of(process)
        if slot is not None and self.left_in_line > 0:
            self.left_in_line -= 1
            self.wait_beside(slot, looks)

    def wait_beside(self, slot: Slot, looks: int) -> None:
        """Let those that wait for the lease of a held-up agent continue to look at it."""
        self.was_paused = True
        for _ in range(looks):
            self.pass_by(22)
            for other in self.slots:
                if other.place is slot.place and other is not slot and other.is_free:
                    other.step()

    def _something_happens(self) -> None:
        self.pass_by(self.dice.step_s())
        self.misfortunes.strike()
        chance = self.dice.random.random()
        free = [slot for slot in self.slots if slot.is_free]
        if chance < 0.70 and free:
            self.dice.one_of(free).step()
        elif chance < 0.88:
            self.users.do_something()
        elif chance < 0.97:
            self._place_acts(self.dice.one_of(self.systems))
        elif chance < 0.985 and free:
            self.dice.one_of(free).stop()
        else:
            self._reboot(self.dice.one_of(self.hosts))

    def _place_acts(self, place: Place) -> None:
        """Let something happen to a system without cloudq's doing."""
        _ACTS[self.dice.one_of(_CHANCES)](self, place)

    def _hold(self, place: Place) -> None:
        place.scheduler.holds_queue = not place.scheduler.holds_queue
        if place.scheduler.holds_queue:
            self.meet("scheduler: holds its queue", place.name)

    def _turn_off_or_on(self, place: Place) -> None:
        place.scheduler.unavailable = not place.scheduler.unavailable
        if place.scheduler.unavailable:
            self.meet("scheduler: down for a while", place.name)

    def _reset(self, place: Place) -> None:
        """Lose jobs, accounts and the count of ids, as with a controller's state directory."""
        if not place.scheduler._jobs:
            return
        self.meet("scheduler: reset, ids begin anew", place.name)
        for job in place.scheduler._jobs.values():
            self.disturb(job.submission.tag.job_id)
            self.users.last = self.wishes.get(job.submission.tag.job_id, self.users.last)
        place.scheduler.reset()

    def _fill_or_free_a_disk(self, place: Place) -> None:
        home = self.dice.one_of(place.homes)
        if home in self.full_disks:
            self.full_disks.remove(home)
        elif self.rates.disk:
            self.full_disks.add(home)
            self.meet("disk: full for a while", place.name, home.name)

    def _hit_a_job(self, place: Place, act: str, words: str) -> None:
        scheduler = place.scheduler
        alive = [job for job in scheduler._jobs.values() if not job.is_ended()]
        running = [
            job
            for job in alive
            if any(task.status.life is Stage.RUNNING and task.shell_holds for task in job.tasks.values())
        ]
        if not (choice := alive if act == "lose" else running):
            return
        job = self.dice.one_of(choice)
        tag = job.submission.tag
        self.meet(f"scheduler: {words}", place.name, tag, f"local {job.scheduler_job_id}")
        if act != "requeue":
            self.disturb(tag.job_id)
        else:
            self.requeues[place.name, tag] += 1
        getattr(scheduler, act)(job.scheduler_job_id)

    def _reboot(self, host: Host) -> None:
        if any(slot.host is host and not slot.is_free for slot in self.slots):
            return
        self.meet("reboot", host.name)
        for slot in self.slots:
            if slot.host is host:
                slot.gone()
        host.gone.clear()
        host.boot = self.next_boot()
        host.booted_at = self.clock.seconds - host.stood_still_s - self.dice.random.uniform(0, 60)

    # Peace ---------------------------------------------------------------------------------------

    def _heal(self) -> None:
        """Stop all faults, and give every home of every system a healthy agent, one after the other."""
        self.story.tell("dice", "all trouble is over")
        self.rates, self.site = Rates.none(), self.site.at_peace()
        self.left_meanwhile = 0
        for place in self.systems:
            place.scheduler.holds_queue = place.scheduler.unavailable = False
            place.scheduler.submit_faults.clear()
        self.full_disks.clear()
        self.users.give_up_what_cannot_be()
        told: set[str] = set()
        for _ in range(STEPS_TO_HEAR):
            told = self.store.announced()  # queue entries that agents put, and ring for, in this poll are new
            self.pass_by(10)
            for slot in self.slots:
                slot.step()
        self.checks.everybody_has_heard(told)
        for turn in range(HEALTHY_ROUNDS):
            for slot in self.slots:
                slot.stop()
                slot.is_one_shot = False
                self.misfortunes.is_confirmed |= slot.ask_a_person()
            acting = [self._slot_of(place, turn) for place in self.systems]
            for _ in range(STEPS_A_ROUND):
                self.pass_by(55 + 7 * (turn > 0))
                for slot in acting:
                    slot.step()
                if self._is_all_over():
                    return

    def _slot_of(self, place: Place, turn: int) -> Slot:
        slots = [slot for slot in self.slots if slot.place is place]
        homes = [[slot for slot in slots if slot.home == home] for home in place.homes]
        return homes[turn % len(homes)][0]

    def _is_all_over(self) -> bool:
        if self.store.keys("queue/"):
            return False
        records = self.store.jobs.values()
        return all(
            record["state"] in FINAL
            or record["uuid"] not in self.store.invited
            or self.checks.is_nobodys(record["uuid"])
            for record in records
        )

    def _stop_if_broken(self) -> None:
        if self.story.broken:
            raise Broken("; ".join(self.story.broken))


_ACTS: dict[str, Callable[[Life, Place], None]] = {
    "hold": Life._hold,
    "down": Life._turn_off_or_on,
    "requeue": lambda life, place: life._hit_a_job(place, "requeue", "requeues"),
    "preempt": lambda life, place: life._hit_a_job(place, "preempt", "preempts"),
    "lose": lambda life, place: life._hit_a_job(place, "lose", "loses a job"),
    "reset": Life._reset,
    "disk": Life._fill_or_free_a_disk,
}
_CHANCES = [*_ACTS, "requeue", "requeue", "requeue", "preempt"]
