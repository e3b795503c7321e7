"""What happens to a site's files and objects while nobody of cloudq does anything."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import define, field, frozen

from cloudq.domain.errors import InvalidInput
from cloudq.domain.jobs.lease import Lease
from cloudq.domain.names import ClaimTag
from tests.parts.scripted_scheduler import Start
from tests.simulation.clones import copy_home, copy_host
from tests.simulation.machines import Host
from tests.simulation.places import Slot, id_of
from tests.simulation.watched_store import Backup

if TYPE_CHECKING:
    from tests.simulation.life import Life

EXPIRING = ("manifest.json", "queue/", "doorbell/")
"""What rules delete: a lifecycle rule goes by prefix; claims, logs and outputs are left alone."""
MOST_CLONES = 2
"""In one world."""
SOON_BACKED_UP = 4
"""How much likelier a backup is than a restoration: what is done between the two is what goes back."""
LOOK_FOR_OLD_OBJECTS = 0.3
"""Stores carry out their rules now and then."""


@frozen
class Begun:
    """A start of a script."""

    system: str
    home: Path
    """The home whose agent submitted it."""
    start: Start


@define
class Misfortunes:
    """Strikes whenever something happens, by the odds of the world's site."""

    life: Life = field(repr=False)
    clones: int = 0
    images: set[Path] = field(factory=set)
    """Homes that nothing distinguishes from another one, each with its own files."""
    copies: set[Path] = field(factory=set)
    """Homes that are copies of others."""
    confirmed_at: dict[Path, float] = field(factory=dict)
    """When a person last said of a home that it is the only one."""
    leases: list[tuple[float, str, str]] = field(factory=list)
    """When a lease of which system was written from the home of which id."""
    was_restored: bool = False
    is_confirmed: bool = False
    """Whether a person said that all is well since."""
    set_back: set[str] = field(factory=set)
    """Jobs of which anything went back, or is gone, with the bucket."""
    was_over: set[str] = field(factory=set)
    """Jobs that had ended when the bucket went back: of some, their work directories have been removed."""
    unaware: set[str] = field(factory=set)
    """Systems whose lease did not go back with the bucket: nothing tells their agents of it."""
    aware: set[str] = field(factory=set)
    """Ids of homes that wrote a lease between the backup and the restoration."""
    doubted: set[str] = field(factory=set)
    """Systems whose lease has said since that the bucket went back."""
    unsuspecting: set[str] = field(factory=set)
    """Ids of homes that have held a lease since which did not say so."""
    lost: set[str] = field(factory=set)
    """Jobs whose record expired when it was nowhere else, neither with an agent nor in a home."""
    _backup: Backup | None = None
    purged: set[ClaimTag] = field(factory=set)
    """Claims some of whose files vanished."""

    def strike(self) -> None:
        """Maybe something happens, maybe not."""
        life = self.life
        if life.site.clone and self.clones < MOST_CLONES and life.odds.random() < life.site.clone:
            self._clone()
        if life.site.restore and not self.was_restored:
            soon = 1 if self._backup else SOON_BACKED_UP
            if life.odds.random() < life.site.restore * soon:
                self._back_up_or_restore()
        if life.site.purge and life.odds.random() < life.site.purge:
            self._purge()
        if life.site.expire_s and life.odds.random() < LOOK_FOR_OLD_OBJECTS:
            self._expire()
        if life.site.expire_s:
            self._note_lost()

    def note_lease(self, system: str, lease: Lease) -> None:
        """Who succeeds an agent that noticed learns from its lease that the bucket went back."""
        self.leases.append((self.life.clock.seconds, system, lease.home))
        if not self.was_restored:
            self.aware.add(lease.home)
        elif lease.bucket_doubt:
            self.doubted.add(system)
        else:
            self.unsuspecting.add(lease.home)

    def ended_unnoticed(self, job_id: str, claim: dict[str, Any] | None) -> bool:
        """Whether a job had ended when the bucket went back by less than a heartbeat of its system.

        Its agent still removes the queue entry, and nothing tells it that the end is not recorded.
        """
        return claim is not None and job_id in self.was_over and claim["system"] in self.unaware

    def hid(self, earlier: Begun, later: Begun) -> bool:
        """Whether one of two agents could not know of the other's start, or a person let it go on."""
        if earlier.home == later.home:
            return False
        of_copies = not self.copies.isdisjoint((earlier.home, later.home))
        was_confirmed = self.confirmed_at.get(later.home, -1.0) >= earlier.start.at
        if of_copies and (was_confirmed or self._third_home_led_between(earlier, later)):
            return True
        if later.start.tag.job_id not in self.set_back:
            return False
        is_other = earlier.system != later.system
        if is_other and earlier.system in self.unaware:
            return True
        return self._is_unaware(later) or self._is_unaware(earlier)

    def _third_home_led_between(self, earlier: Begun, later: Begun) -> bool:
        """Whether the later home could not see in the lease what its twin had written last."""
        of_both = {id_of(earlier.home), id_of(later.home)}
        return any(
            system == later.system and earlier.start.at < at <= later.start.at and home not in of_both
            for at, system, home in self.leases
        )

    def _is_unaware(self, begun: Begun) -> bool:
        home = id_of(begun.home)
        return home not in self.aware and (begun.system not in self.doubted or home in self.unsuspecting)

    # Machines ------------------------------------------------------------------------------------

    def _clone(self) -> None:
        """A machine is restored from a snapshot beside itself, or its home is copied to another place."""
        life = self.life
        running = [slot for slot in life.slots if slot.is_free and slot.process and not slot.is_one_shot]
        whole = [slot for slot in running if slot.process and not slot.process.in_flight]
        if not whole:
            return
        slot = life.odds.choice(whole)
        name = life.odds.choice((slot.host.name, f"{slot.host.name}b"))
        what = life.odds.choice(_CLONES)
        if what == "a host is copied" and _awaits_a_submission(slot):
            return
        self.clones += 1
        target = life.tmp / f"copy{len(self.copies) + 1}"
        if what == "a home is copied":
            home = copy_home(slot.home, target, is_image=False)
            host = Host(name, slot.host.ahead_s, slot.host.booted_at, life.next_boot())
            copied = Slot(life, slot.place, home, host, is_one_shot=False, settings=slot.settings)
        else:
            is_image = what == "a host is copied"
            home = copy_home(slot.home, target, is_image=True) if is_image else slot.home
            copied = copy_host(slot, home, name=name)
            if copied.home != slot.home:
                self.images |= {slot.home, copied.home}
            for process in (slot.process, copied.process):
                assert process is not None
                process.is_copied = True
        life.meet(f"clone: {what}", slot.process.name if slot.process else "", name, copied.home.name)
        if copied.home != slot.home:
            self.copies.add(copied.home)
        life.add_slot(copied)

    # Files ---------------------------------------------------------------------------------------

    def _purge(self) -> None:
        """A site's scratch purge removes what it takes for old."""
        life = self.life
        place = life.odds.choice(life.systems)
        cache = life.odds.choice(place.homes) / "cache"
        spaces = self._spaces(cache)
        if not spaces:
            return
        tag = life.odds.choice(sorted(spaces))
        control, work = spaces[tag]
        if (what := life.odds.choice(_PURGES)) == "the cache":
            self._remove(what, place.name, set(spaces), cache)
        elif what == "a control directory":
            self._remove(what, place.name, {tag}, control)
        elif what == "all of a claim":
            self._remove(what, place.name, {tag}, control, work)
        elif any(start.tag == tag for start in place.scheduler.starts):
            self._remove(what, place.name, {tag}, work)

    def _spaces(self, cache: Path) -> dict[ClaimTag, tuple[Path, Path]]:
        """By claim: its control directory and its work directory."""
        spaces = {}
        for control in (cache / ".cloudq").glob("*"):
            with suppress(InvalidInput):
                tag = ClaimTag.parse(control.name)
                spaces[tag] = (control, cache / (tag.job_id if tag.n == 1 else str(tag)))
        return spaces

    def _remove(self, what: str, system: str, tags: set[ClaimTag], *directories: Path) -> None:
        self.life.meet(f"disk: {what} vanishes", system, *sorted(map(str, tags)))
        for tag in tags:
            self.purged.add(tag)
            self.life.disturb(tag.job_id)
        for directory in directories:
            shutil.rmtree(directory, ignore_errors=True)

    # The bucket ----------------------------------------------------------------------------------

    def _back_up_or_restore(self) -> None:
        """Everything that was written since the backup is gone, and what was deleted is there again."""
        life, store = self.life, self.life.store
        if self._backup is None:
            self._backup, self.aware = store.backup(), set()
            life.story.tell("bucket", "is backed up")
            return
        before, backup = store.backup(), self._backup
        leases = {place.name: f"systems/{place.name}/lease.json" for place in life.systems}
        self.unaware = {name for name, key in leases.items() if before.held.get(key) == backup.held.get(key)}
        life.meet("store: restored from a backup", "bucket")
        store.restore(self._backup)
        for slot in life.slots:
            if slot.process is not None:
                slot.process.is_copied = True
        self.was_restored = True
        keys = {key for key, _ in before.held.items() ^ self._backup.held.items()}
        self.set_back |= {found[1] for key in keys if (found := _JOB.search(key)) is not None}
        self.set_back |= before.final.keys() ^ self._backup.final.keys()
        self.was_over |= before.final.keys()
        for job_id in self.set_back:
            life.disturb(job_id)
        life.checks.forget_ends()

    # Objects -------------------------------------------------------------------------------------

    def _expire(self) -> None:
        """The store deletes what is older than its rule says."""
        life = self.life
        until = life.clock.now() - timedelta(seconds=life.site.expire_s)
        for key in life.store.older_than(until):
            if _is_expiring(key):
                life.meet(_name_of(key), key)
                life.store.expire(key)

    def _note_lost(self) -> None:
        """A claim says who holds a job, but only the record says what it is."""
        store = self.life.store
        for key in store.expired:
            if key.endswith(EXPIRING[0]) and not self._is_known(job_id := key.split("/")[1]):
                self.lost.add(job_id)

    def _is_known(self, job_id: str) -> bool:
        """Whether an agent that may act holds the job, or a home has the copy that is kept of its record."""
        life = self.life
        parts = [slot.parts for slot in life.slots if slot.parts is not None and slot.may_write()]
        if any(tag.job_id == job_id for each in parts for tag in each.holdings.held):
            return True
        homes = [home for place in life.systems for home in place.homes]
        return any(any((home / "cache" / ".cloudq").glob(f"{job_id}.*/record.json")) for home in homes)


_JOB = re.compile(r"^(?:jobs/|queue/[^/]+/|history/\d+~)([0-9a-f]{8})")
_CLONES = ("a host is copied", "a host is copied, not its home", "a home is copied")
_PURGES = ("a control directory", "all of a claim", "all of a claim", "a work directory", "the cache")


def _awaits_a_submission(slot: Slot) -> bool:
    """Whether the scheduler will take what the agents of its home have submitted without an answer."""
    return any(slot.home in each.control_dir.parents for each in slot.place.scheduler.late)


def _is_expiring(key: str) -> bool:
    return key.endswith(EXPIRING[0]) or key.startswith(EXPIRING[1:])


def _name_of(key: str) -> str:
    told: dict[str, Callable[[str], bool]] = {
        "store: a manifest expires": lambda key: key.endswith(EXPIRING[0]),
        "store: a queue entry expires": lambda key: key.startswith(EXPIRING[1]),
        "store: a doorbell expires": lambda key: key.startswith(EXPIRING[2]),
    }
    return next(name for name, applies in told.items() if applies(key))
