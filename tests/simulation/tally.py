"""Sum up lives in numbers that can be added."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from attrs import define, field

if TYPE_CHECKING:
    from tests.simulation.life import Life

KINDS = (
    "killed before a call",
    "killed after a call",
    "held up before a call",
    "held up after a call",
    "a call lasts",
    "stopped with its clocks",
    "background work takes long",
    "clone: a host is copied",
    "clone: a host is copied, not its home",
    "clone: a home is copied",
    "reboot",
    "store: read failed",
    "store: write failed",
    "store: done, no answer",
    "store: own retry met 412",
    "store: conflict",
    "store: nothing done, outcome unknown",
    "store: lists in short pages",
    "store: restored from a backup",
    "store: a manifest expires",
    "store: a queue entry expires",
    "store: a doorbell expires",
    "store: LIST does not show what is there",
    "scheduler: no answer",
    "scheduler: garbage",
    "scheduler: done, no answer",
    "scheduler: cancel accepted, carried out later",
    "scheduler: down for a while",
    "scheduler: holds its queue",
    "scheduler: requeues",
    "scheduler: preempts",
    "scheduler: loses a job",
    "scheduler: reset, ids begin anew",
    "submit: refused",
    "submit: refused, and taken all the same",
    "submit: deferred",
    "submit: failed, and taken all the same",
    "submit: no answer, nothing done",
    "submit: no answer, done",
    "submit: no answer, done later",
    "disk: full for a moment",
    "disk: full for a moment, after the write",
    "disk: full for a while",
    "disk: cannot be read for a moment",
    "disk: file locks do not reach the other host of a home",
    "disk: the exit record is seen late",
    "disk: a control directory vanishes",
    "disk: a work directory vanishes",
    "disk: all of a claim vanishes",
    "disk: the cache vanishes",
    "script: dies without a record",
    "clock: an agent's is wrong",
    "clock: a client's is wrong",
)
"""All kinds of faults; one that never happens would be a defect of the simulation."""


@define
class Tally:
    """The sum of several worlds."""

    worlds: int = 0
    jobs: int = 0
    """The number of jobs that were submitted, or nearly."""
    starts: int = 0
    ends: Counter[str] = field(factory=Counter)
    faults: Counter[str] = field(factory=Counter)
    broken: dict[int, str] = field(factory=dict)
    """The story and the error of each broken world, by its seed."""

    def count(self, life: Life) -> None:
        """Add one world that was lived to its end."""
        self.worlds += 1
        self.jobs += len(life.wishes)
        self.starts += sum(len(place.scheduler.starts) for place in life.systems)
        self.ends.update(record["state"] for record in life.store.final.values())
        self.faults.update(life.faults)

    def add(self, other: Tally) -> None:
        """Add the counts of another tally."""
        self.worlds += other.worlds
        self.jobs += other.jobs
        self.starts += other.starts
        self.ends.update(other.ends)
        self.faults.update(other.faults)
        self.broken.update(other.broken)

    def line(self) -> str:
        """Return the sum in short."""
        faults = self.faults.total()
        return (
            f"{self.jobs:,} job lives in {self.worlds:,} worlds: {self.starts:,} starts of scripts, "
            f"{faults:,} faults, {len(self.broken):,} worlds with a broken promise"
        )

    def table(self) -> str:
        """Return a table of the jobs' ends and of the number of faults of each kind."""
        rows = [(f"ended {state}", count) for state, count in sorted(self.ends.items())]
        rows += [(kind, self.faults[kind]) for kind in KINDS]
        return "\n".join(f"  {count:>12,}  {what}" for what, count in rows)
