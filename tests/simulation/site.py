"""Simulate what real sites do against the usual assumptions; each kind of trouble can be switched off."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from random import Random

from attrs import evolve, field, frozen


class Kind(Enum):
    """A usual assumption that a site breaks."""

    STOPPED_CLOCKS = "stopped-clocks"
    """A host stops together with its clocks; all others continue."""
    LATE_LIST = "late-list"
    """A LIST shows the writes and deletions of some seconds ago."""
    SKEWED_DATES = "skewed-dates"
    """The front ends of the store disagree on the time by seconds."""
    SLOW_WORK = "slow-work"
    """Background work takes seconds to minutes, and its agent continues beside it."""
    CLONES = "clones"
    """A host is copied with its memory while it runs, and both continue; or only a home is copied."""
    HOST_LOCKS = "host-locks"
    """Agents on two hosts share a home whose file locks hold on one host only."""
    RESTORED_BUCKET = "restored-bucket"
    """The bucket is restored from a backup."""
    PURGE = "purge"
    """Control and work directories vanish while their jobs wait or run."""
    EXPIRY = "expiry"
    """A lifecycle rule deletes manifests, queue entries or doorbells of a certain age."""


SWITCHED_ON = frozenset(Kind)
"""The kinds that worlds have by default."""
CHANCE = 0.25
"""The share of worlds that have a given kind that is switched on."""


@frozen
class Kinds:
    """The kinds that worlds may have, and whether every world has them."""

    chosen: frozenset[Kind] = SWITCHED_ON
    always: bool = False

    @classmethod
    def told(cls, only: Iterable[str] = (), without: Iterable[str] = ()) -> Kinds:
        """Return the kinds that ``--only`` and ``--without`` request."""
        if wanted := frozenset(map(Kind, only)):
            return cls(wanted, always=True)
        return cls(SWITCHED_ON - frozenset(map(Kind, without)))

    @property
    def options(self) -> str:
        """Return the options that a replay needs besides the seed."""
        if self.always:
            return "".join(f" --only {kind.value}" for kind in Kind if kind in self.chosen)
        return "".join(f" --without {kind.value}" for kind in Kind if kind in SWITCHED_ON - self.chosen)


@frozen
class Site:
    """The differences of one world's site from the usual; 0 where there is none."""

    stop: float = 0.0
    """Chance per call that the host of the caller stops with its clocks."""
    list_lag_s: float = 0.0
    date_skew_s: float = 0.0
    """The seconds by which the clocks of the store's front ends differ."""
    work_s: float = 0.0
    """The longest time that background work takes, in seconds."""
    clone: float = 0.0
    """Chance per event that a host or a home is copied."""
    restore: float = 0.0
    """Chance per event that the bucket is backed up, or restored."""
    purge: float = 0.0
    """Chance per event that files vanish."""
    expire_s: float = 0.0
    """The age in seconds at which objects are deleted."""
    kinds: frozenset[Kind] = field(factory=frozenset)

    @classmethod
    def of(cls, seed: int, kinds: Kinds) -> Site:
        """Return the site of the world *seed*; each kind in it is independent of the other kinds."""
        has = {
            kind: kind in kinds.chosen and (kinds.always or Random(f"{kind.value} {seed}").random() < CHANCE)
            for kind in Kind
        }
        pick = Random(f"site {seed}").choice
        values = {
            Kind.STOPPED_CLOCKS: ("stop", pick([0.002, 0.01, 0.03])),
            Kind.LATE_LIST: ("list_lag_s", pick([5.0, 12.0, 30.0])),
            Kind.SKEWED_DATES: ("date_skew_s", pick([2.0, 5.0, 15.0])),
            Kind.SLOW_WORK: ("work_s", pick([10.0, 60.0, 400.0])),
            Kind.CLONES: ("clone", pick([0.05, 0.2])),
            Kind.RESTORED_BUCKET: ("restore", pick([0.05, 0.15])),
            Kind.PURGE: ("purge", pick([0.05, 0.15])),
            Kind.EXPIRY: ("expire_s", pick([300.0, 1000.0, 4000.0])),
        }
        chosen = {name: value for kind, (name, value) in values.items() if has[kind]}
        return cls(**chosen, kinds=frozenset(kind for kind in Kind if has[kind]))

    def at_peace(self) -> Site:
        """Return the site without further events; the properties of the store stay."""
        return evolve(self, stop=0.0, clone=0.0, restore=0.0, purge=0.0, expire_s=0.0)
