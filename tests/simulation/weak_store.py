"""Lives on a store that ignores conditions: ``python -m tests.simulation.weak_store --lives 1000``.

Each system has one home and one agent at a time, as the lock in the home sees to: one that is held
up keeps its place. What may go wrong is what goes wrong in any life. I1 to I6 and I9 must hold;
with one home I7 and I8 do, too.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import traceback
from pathlib import Path

from attrs import evolve

from cloudq.application.agent_settings import AgentSettings
from tests.simulation.dice import Rates
from tests.simulation.life import Life
from tests.simulation.run import never_wait_for_a_disk
from tests.simulation.story import Broken
from tests.simulation.watched_store import WatchedStore


class UnconditionalStore(WatchedStore):
    """Takes conditions and ignores them."""

    def put_if_absent(self, key: str, body: bytes) -> str:
        return self.put(key, body)

    def put_if_match(self, key: str, body: bytes, etag: str) -> str:
        return self.put(key, body)


class WeakLife(Life):
    """A life on such a store, whose agents were told to accept it."""

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        store = UnconditionalStore(self.clock.now)
        vars(store).update(vars(self.store))
        self.store = store
        for place in self.systems:
            del place.homes[1:]
        firsts = {id(slot.place): slot for slot in reversed(self.slots)}
        self.slots = [slot for slot in self.slots if firsts[id(slot.place)] is slot]

    def _settings(self, name: str) -> AgentSettings:
        return evolve(super()._settings(name), accept_weak_store=True)

    def live(self) -> None:
        """Every agent has reported before anybody submits: clients learn from it."""
        rates, self.rates = self.rates, Rates.none()
        for slot in self.slots:
            slot.step()
        self.rates = rates
        super().live()


def broken_in(seed: int, base: Path, most_steps: int | None = None) -> str:
    """What the life of *seed* broke, with its story and how to see it again; empty if nothing."""
    tmp = base / str(seed)
    tmp.mkdir(parents=True)
    life = WeakLife(seed, tmp, most_steps=most_steps)
    again = f"replay: python -m tests.simulation.weak_store --seed {seed}"
    again += f" --most-steps {most_steps}" if most_steps else ""
    try:
        life.live()
    except Broken as error:
        return f"{life.story.text()}\n\n{error}\n{again}"
    except Exception:  # noqa: BLE001 (a defect of the simulation itself must name its seed too)
        return f"{life.story.text()}\n\n{traceback.format_exc()}\n{again}"
    finally:
        shutil.rmtree(tmp, ignore_errors=True)
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, help="live this one life and tell its story")
    parser.add_argument("--lives", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--most-steps", type=int, help="make lives short")
    chosen = parser.parse_args()
    never_wait_for_a_disk()
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as base:
        if chosen.seed is not None:
            told = broken_in(chosen.seed, Path(base), chosen.most_steps)
            sys.stdout.write(f"{told or 'it kept every promise'}\n")
            return 1 if told else 0
        return _count(range(chosen.first, chosen.first + chosen.lives), Path(base), chosen.most_steps)


def _count(seeds: range, base: Path, most_steps: int | None) -> int:
    broken = 0
    for seed in seeds:
        if told := broken_in(seed, base, most_steps):
            broken += 1
            sys.stdout.write(f"{seed}: {' | '.join(told.splitlines()[-2:])}\n")
    sys.stdout.write(f"{len(seeds)} lives, {broken} broken\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
