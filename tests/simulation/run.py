"""Run worlds: ``python -m tests.simulation.run --worlds 1000``; repeat one: ``--seed N``."""

from __future__ import annotations

import argparse
import gc
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import count
from pathlib import Path

from attrs import define, field, frozen

from cloudq.adapters import filesystem
from cloudq.adapters.workspace import claim_space
from tests.parts.memory import place_in_memory
from tests.simulation.life import Life
from tests.simulation.site import Kind, Kinds
from tests.simulation.story import Broken
from tests.simulation.tally import Tally
from tests.simulation.weak_store import WeakLife

A_CHUNK = 25
"""The number of worlds that a process gets at a time."""


@frozen
class How:
    """The options of all worlds."""

    base: Path
    most_steps: int | None = None
    raises: bool = False
    weak_store: bool = False
    """Whether the store ignores conditions."""
    kinds: Kinds = field(factory=Kinds)

    @property
    def options(self) -> str:
        """Return the options that a replay needs besides the seed."""
        steps = f" --most-steps {self.most_steps}" if self.most_steps else ""
        return steps + (" --weak-store" if self.weak_store else "") + self.kinds.options


def live(seed: int, how: How, tally: Tally) -> None:
    """Live the world of *seed*; note a broken promise with its story and the command for a replay."""
    tmp = how.base / str(seed)
    tmp.mkdir(parents=True)
    again = f"replay: python -m tests.simulation.run --seed {seed}{how.options}"
    make = WeakLife if how.weak_store else Life
    world = make(seed, tmp, raises=how.raises, most_steps=how.most_steps, kinds=how.kinds)
    try:
        world.live()
    except Broken as error:
        tally.broken[seed] = f"{world.story.text()}\n\n{error}\n{again}"
    except Exception:  # noqa: BLE001 (a defect of the simulation itself must name its seed too)
        tally.broken[seed] = f"{world.story.text()}\n\n{traceback.format_exc()}\n{again}"
    finally:
        tally.count(world)
        shutil.rmtree(tmp, ignore_errors=True)


def live_all(seeds: range, how: How) -> Tally:
    """Live the worlds of *seeds* in this process."""
    never_wait_for_a_disk()
    tally = Tally()
    for seed in seeds:
        live(seed, how, tally)
    return tally


def never_wait_for_a_disk() -> None:
    """Turn off all waits for a disk: no machine loses its power here."""
    os.fsync = lambda _: None
    filesystem.sync_dir = claim_space.sync_dir = lambda _: None
    own_identity = claim_space.own_identity()
    claim_space.own_identity = lambda: own_identity


def look_for_garbage_seldom() -> None:
    """Search for garbage seldom: worlds leave few cycles, and the search takes a tenth of the time."""
    gc.freeze()
    gc.set_threshold(50_000, 50, 50)


@define
class Runner:
    """A distributor of seeds, in order, to processes, whose number does not change the results."""

    how: How
    chosen: argparse.Namespace
    tally: Tally = field(factory=Tally)
    began: float = field(factory=time.monotonic)
    told_at: float = field(factory=time.monotonic)
    reached: int = 0
    """The first seed that was not handed out."""

    def run(self) -> None:
        self.reached = self.chosen.first
        with ProcessPoolExecutor(self.chosen.processes, initializer=look_for_garbage_seldom) as pool:
            running: set[Future[Tally]] = set()
            for seeds in self._chunks():
                running.add(pool.submit(live_all, seeds, self.how))
                self.reached = seeds.stop
                if len(running) >= self.chosen.processes:
                    running = self._collect(running)
            while running:
                running = self._collect(running)

    def _chunks(self) -> Iterator[range]:
        first, worlds = self.chosen.first, self.chosen.worlds
        end = None if worlds is None else first + worlds
        for start in count(first, A_CHUNK):
            if self._is_over() or (end is not None and start >= end):
                return
            yield range(start, start + A_CHUNK if end is None else min(start + A_CHUNK, end))

    def _is_over(self) -> bool:
        if self.chosen.seconds is not None and time.monotonic() - self.began >= self.chosen.seconds:
            return True
        return 0 < self.chosen.stop_after <= len(self.tally.broken)

    def _collect(self, running: set[Future[Tally]]) -> set[Future[Tally]]:
        done, left = wait(running, return_when=FIRST_COMPLETED)
        for each in done:
            tally = each.result()
            for seed, told in tally.broken.items():
                _say(f"world {seed}: {' | '.join(line for line in told.splitlines()[-4:] if line)}"[:800])
            self.tally.add(tally)
        self._tell_progress()
        return left

    def _tell_progress(self) -> None:
        now = time.monotonic()
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{self.tally.line()}\x1b[K")
            sys.stderr.flush()
        elif self.chosen.tell_every and now - self.told_at >= self.chosen.tell_every:
            self.told_at = now
            _say(f"so far {self.tally.line()}; to go on: --first {self.tally.worlds + self.chosen.first}")

    def tell(self) -> None:
        took = time.monotonic() - self.began
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")
        _say(self.tally.line())
        _say(self.tally.table())
        each = 1000 * took * self.chosen.processes / max(self.tally.jobs, 1)
        seeds = f"seeds {self.chosen.first} to {self.reached - 1}"
        _say(f"{seeds}; {took:.0f} s, {each:.1f} ms a job life and core")
        _say(f"to go on: --first {self.reached}")


def main() -> int:
    chosen = _parser().parse_args()
    with tempfile.TemporaryDirectory(dir=place_in_memory()) as base:
        kinds = Kinds.told(chosen.only, chosen.without)
        how = How(Path(base), chosen.most_steps, chosen.raises, chosen.weak_store, kinds)
        if chosen.seed is not None:
            return _tell_of(chosen.seed, how)
        if chosen.worlds is None and chosen.seconds is None:
            chosen.worlds = 1000
        runner = Runner(how, chosen)
        runner.run()
        runner.tell()
        return 1 if runner.tally.broken else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, help="live this one world and tell its story")
    parser.add_argument("--worlds", type=int, help="how many seeds")
    parser.add_argument("--seconds", type=float, help="begin no more worlds after so long")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--most-steps", type=int, help="make lives short")
    parser.add_argument("--weak-store", action="store_true", help="on a store that ignores conditions")
    names = [kind.value for kind in Kind]
    parser.add_argument("--only", action="append", default=[], choices=names, help="in every world")
    parser.add_argument("--without", action="append", default=[], choices=names, help="in no world")
    parser.add_argument("--stop-after", type=int, default=0, help="stop after so many broken worlds")
    parser.add_argument("--tell-every", type=float, default=0, help="seconds between lines in a log")
    parser.add_argument("--raises", action="store_true", help="show where unexpected exceptions come from")
    return parser


def _tell_of(seed: int, how: How) -> int:
    tally = live_all(range(seed, seed + 1), how)
    told = tally.broken.get(seed)
    _say(told or f"world {seed} kept every promise\n{tally.line()}")
    return 1 if told else 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
