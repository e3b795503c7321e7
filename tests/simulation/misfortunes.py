"""Change a site's files and objects without any action of cloudq."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import define, field, frozen

from cloudq.adapters.workspace import DirectoryLeaseMemory
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
"""The objects that rules delete: a lifecycle rule goes by prefix; claims, logs and outputs are spared."""
MOST_CLONES = 2
"""The most copies in one world."""
WHEN_IT_COULD_HURT, OTHERWISE = 10, 0.4
"""How much more often a bucket is backed up, or restored, when an offer that it brings back could hurt."""
LOOK_FOR_OLD_OBJECTS = 0.3
"""Chance per event that the store applies its rules, which stores do only now and then."""


@frozen
class Begun:
    """A start of a script."""

    system: str
    home: Path
    """The home whose agent submitted it."""
    start: Start
    submitted_at: float


@define
class Misfortunes:
    """The misfortunes of a world, which may strike at each event, by the odds of its site."""

    life: Life = field(repr=False)
    clones: int = 0
    images: set[Path] = field(factory=set)
    """Homes that nothing distinguishes from another one, each with its own files."""
    copies: set[Path] = field(factory=set)
    """The homes that are copies of others."""
    confirmed_at: dict[Path, float] = field(factory=dict)
    """The time at which a person last confirmed a home as the only one."""
    leases: list[tuple[float, str, str]] = field(factory=list)
    """The leases that were written: time, system, and id of the home."""
    was_restored: bool = False
    is_confirmed: bool = False
    """Whether a person has confirmed since then that all is well."""
    set_back: set[str] = field(factory=set)
    """The jobs with objects that went back, or disappeared, with the bucket."""
    was_over: set[str] = field(factory=set)
    """The jobs that had ended when the bucket went back; the work directories of some were removed."""
    unaware: set[str] = field(factory=set)
    """The systems whose lease did not go back with the bucket: nothing informs their agents."""
    aware: set[Path] = field(factory=set)
    """The homes to which the store confirmed a lease between the backup and the restoration."""
    newer: set[str] = field(factory=set)
    """The nonces of the leases that were written in between."""
    doubted: set[str] = field(factory=set)
    """The systems whose lease has stated since then that the bucket went back."""
    unsuspecting: set[Path] = field(factory=set)
    """The homes that have since held a lease which did not state so."""
    lost: set[str] = field(factory=set)
    """The jobs whose record expired when neither an agent nor a home had a copy of it."""
    _backup: Backup | None = None
    purged: set[ClaimTag] = field(factory=set)
    """The claims of which some files vanished."""

    def strike(self) -> None:
        """Let misfortunes happen by chance."""
        life = self.life
        if life.site.clone and self.clones < MOST_CLONES and life.odds.random() < life.site.clone:
            self._clone()
        if life.site.restore and not self.was_restored and life.odds.random() < self._chance_of_restoration():
            self._back_up_or_restore()
        if life.site.purge and life.odds.random() < life.site.purge:
            self._purge()
        if life.site.expire_s and life.odds.random() < LOOK_FOR_OLD_OBJECTS:
            self._expire()
        if life.site.expire_s:
            self._note_lost()

    def note_lease(self, system: str, lease: Lease) -> None:
        """Note a lease, by which the successor of an agent that noticed the restoration learns of it."""
        self.leases.append((self.life.clock.seconds, system, lease.home))
        assert self.life.acting is not None  # only agents write leases
        home = self.life.acting.home
        if not self.was_restored:
            self.newer.add(lease.nonce)
        elif lease.bucket_doubt:
            self.doubted.add(system)
        else:
            self.unsuspecting.add(home)

    def ended_unnoticed(self, job_id: str, claim: dict[str, Any] | None) -> bool:
        """Return whether a job had ended when the bucket went back by less than a heartbeat of its system.

        Its agent still removes the queue entry, and nothing shows the agent that the end is not
        recorded.
        """
        return claim is not None and job_id in self.was_over and claim["system"] in self.unaware

    def hid(self, earlier: Begun, later: Begun) -> bool:
        """Return whether one of two agents could not know of the other's start, or a person allowed it."""
        if earlier.home == later.home:
            return False
        of_copies = not self.copies.isdisjoint((earlier.home, later.home))
        was_confirmed = (
            self.confirmed_at.get(later.home, -1.0) >= earlier.submitted_at
            or self.confirmed_at.get(earlier.home, -1.0) >= later.submitted_at
        )
        if of_copies and (was_confirmed or self._third_home_led_between(earlier, later)):
            return True
        if later.start.tag.job_id not in self.set_back:
            return False
        if {earlier.home, later.home} <= self.images:
            return True  # the bucket went back to what the image knew of it
        is_other = earlier.system != later.system
        if is_other and earlier.system in self.unaware:
            return True
        return self._is_unaware(later) or self._is_unaware(earlier)

    def _third_home_led_between(self, earlier: Begun, later: Begun) -> bool:
        """Return whether the later home could not see in the lease what its twin had written last."""
        of_both = {id_of(earlier.home), id_of(later.home)}
        first, second = sorted((earlier.submitted_at, later.submitted_at))
        return any(
            system == later.system and first < at <= max(second, later.start.at) and home not in of_both
            for at, system, home in self.leases
        )

    def _is_unaware(self, begun: Begun) -> bool:
        home = begun.home
        return home not in self.aware and (begun.system not in self.doubted or home in self.unsuspecting)

    # Machines ------------------------------------------------------------------------------------

    def _clone(self) -> None:
        """Restore a machine from a snapshot beside itself, or copy its home to another place."""
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
        """Remove files that a site's scratch purge takes for old."""
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
        """Return the control directory and the work directory of each claim."""
        spaces = {}
        for control in (cache / ".cloudq").glob("*"):
            with suppress(InvalidInput):
                tag = ClaimTag.parse(control.name)
                spaces[tag] = (control, cache / (tag.job_id if tag.n == 1 else str(tag)))
        return spaces

    def _remove(self, what: str, system: str, tags: set[ClaimTag], *directories: Path) -> None:
        self.life.meet(f"disk: {what} vanishes", system, *sorted(map(str, tags)))
        self._note_purged(tags)
        for directory in directories:
            shutil.rmtree(directory, ignore_errors=True)

    def note_removal(self, home: Path) -> None:
        """Note the claims whose files a person removes with the rest of a copied *home*."""
        self._note_purged(set(self._spaces(home / "cache")))

    def _note_purged(self, tags: set[ClaimTag]) -> None:
        for tag in tags:
            self.purged.add(tag)
            self.life.disturb(tag.job_id)

    # The bucket ----------------------------------------------------------------------------------

    def _chance_of_restoration(self) -> float:
        """Return the chance that the bucket is backed up, or restored, now.

        It is greatest when the backup offers a job to several homes, and one of them starts it later.
        """
        life, backup = self.life, self._backup
        claims = backup.claims if backup else life.store.claims
        homes: Counter[str] = Counter()
        for key in backup.held if backup else life.store.keys("queue/"):
            if (entry := _QUEUE_ENTRY.fullmatch(key)) is not None:
                homes[entry[2]] += len(next(place.homes for place in life.systems if place.name == entry[1]))
        offered = {job_id for job_id, number in homes.items() if number > 1 and not claims.get(job_id)}
        begun = {start.tag.job_id for place in life.systems for start in place.scheduler.starts}
        could_hurt = offered & begun if backup else offered
        return life.site.restore * (WHEN_IT_COULD_HURT if could_hurt else OTHERWISE)

    def _back_up_or_restore(self) -> None:
        """Back the bucket up, or restore it: later writes are gone, and deleted objects are there again."""
        life, store = self.life, self.life.store
        if self._backup is None:
            self._backup, self.newer = store.backup(), set()
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
        self.aware = {
            home
            for place in life.systems
            for home in place.homes
            if DirectoryLeaseMemory(home, place.name).notes().confirmed in self.newer
        }
        keys = {key for key, _ in before.held.items() ^ self._backup.held.items()}
        self.set_back |= {found[1] for key in keys if (found := _JOB.search(key)) is not None}
        self.set_back |= before.final.keys() ^ self._backup.final.keys()
        self.was_over |= before.final.keys()
        for job_id in self.set_back:
            life.disturb(job_id)
        life.checks.forget_ends()

    # Objects -------------------------------------------------------------------------------------

    def _expire(self) -> None:
        """Delete the objects that are older than the store's rule allows."""
        life = self.life
        until = life.clock.now() - timedelta(seconds=life.site.expire_s)
        for key in life.store.older_than(until):
            if _is_expiring(key):
                life.meet(_name_of(key), key)
                life.store.expire(key)

    def _note_lost(self) -> None:
        """Note jobs whose record is lost: a claim names the holder, but only the record describes the job."""
        store = self.life.store
        for key in store.expired:
            if key.endswith(EXPIRING[0]) and not self._is_known(job_id := key.split("/")[1]):
                self.lost.add(job_id)

    def _is_known(self, job_id: str) -> bool:
        """Return whether an agent that may act holds the job, or a home keeps a copy of its record."""
        life = self.life
        parts = [slot.parts for slot in life.slots if slot.parts is not None and slot.may_write()]
        if any(tag.job_id == job_id for each in parts for tag in each.holdings.held):
            return True
        homes = [home for place in life.systems for home in place.homes]
        return any(any((home / "cache" / ".cloudq").glob(f"{job_id}.*/record.json")) for home in homes)


_QUEUE_ENTRY = re.compile(r"queue/([^/]+)/([0-9a-f]{8})\.\d+")
_JOB = re.compile(r"^(?:jobs/|queue/[^/]+/|history/\d+~)([0-9a-f]{8})")
_CLONES = ("a host is copied", "a host is copied, not its home", "a home is copied")
_PURGES = ("a control directory", "all of a claim", "all of a claim", "a work directory", "the cache")


def _awaits_a_submission(slot: Slot) -> bool:
    """Return whether the scheduler will still accept a submission of its home that got no answer."""
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
