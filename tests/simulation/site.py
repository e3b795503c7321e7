"""What real sites do that nobody promised not to: kinds of trouble, each of which can be switched off."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from random import Random

from attrs import evolve, field, frozen


class Kind(Enum):
    """A usual assumption that a site breaks."""

    STOPPED_CLOCKS = "stopped-clocks"
    """A host stops together with its clocks; all others go on."""
    LATE_LIST = "late-list"
    """A LIST shows what was written and deleted some seconds ago."""
    SKEWED_DATES = "skewed-dates"
    """The front ends of the store disagree by seconds on the time."""
    SLOW_WORK = "slow-work"
    """Background work takes seconds to minutes, and its agent goes on beside it."""
    CLONES = "clones"
    """A host is copied with its memory while it runs, and both go on; or only a home is copied."""
    HOST_LOCKS = "host-locks"
    """Agents on two hosts share a home whose file locks hold on one host only."""
    RESTORED_BUCKET = "restored-bucket"
    """The bucket comes back from a backup."""
    PURGE = "purge"
    """Control and work directories vanish while their jobs wait or run."""
    EXPIRY = "expiry"
    """A lifecycle rule deletes manifests, queue entries or doorbells of some age."""


SWITCHED_ON = frozenset(Kind)
"""The kinds that worlds have unless they are told otherwise."""
CHANCE = 0.25
"""How many of the worlds have a kind that is switched on."""


@frozen
class Kinds:
    """Which kinds worlds may have, and whether every world has them."""

    chosen: frozenset[Kind] = SWITCHED_ON
    always: bool = False

    @classmethod
    def told(cls, only: Iterable[str] = (), without: Iterable[str] = ()) -> Kinds:
        """What ``--only`` and ``--without`` ask for."""
        if wanted := frozenset(map(Kind, only)):
            return cls(wanted, always=True)
        return cls(SWITCHED_ON - frozenset(map(Kind, without)))

    @property
    def options(self) -> str:
        """What a replay needs besides the seed."""
        if self.always:
            return "".join(f" --only {kind.value}" for kind in Kind if kind in self.chosen)
        return "".join(f" --without {kind.value}" for kind in Kind if kind in SWITCHED_ON - self.chosen)


@frozen
class Site:
    """How one world's site differs from the usual; 0 where it does not."""

    stop: float = 0.0
    """Chance per call that the host of the caller stops with its clocks."""
    list_lag_s: float = 0.0
    date_skew_s: float = 0.0
    """How far apart the clocks of the store's front ends are."""
    work_s: float = 0.0
    """How long background work takes at most."""
    clone: float = 0.0
    """Chance that a host or a home is copied whenever something happens."""
    restore: float = 0.0
    """Chance that the bucket is backed up, or comes back, whenever something happens."""
    purge: float = 0.0
    """Chance that files vanish whenever something happens."""
    expire_s: float = 0.0
    """The age at which objects are deleted."""
    kinds: frozenset[Kind] = field(factory=frozenset)

    @classmethod
    def of(cls, seed: int, kinds: Kinds) -> Site:
        """The site of the world *seed*: whether another kind is switched on changes nothing of this one."""
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
        """Nothing happens any more; what the store is like stays."""
        return evolve(self, stop=0.0, clone=0.0, restore=0.0, purge=0.0, expire_s=0.0)
